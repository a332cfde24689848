//! Taking lines in.

use rusqlite::{OptionalExtension, Transaction, params, params_from_iter};

use super::{Store, retention::remove};
use crate::database::DatabaseError;
use crate::forget::bound;
use crate::level::Level;
use crate::owner::COLUMNS;
use crate::wire::{Batch, Part, Position, Source, Stored};

impl Store {
    /// Stores the lines of a batch that are not stored yet; returns how many these were. When the size they are kept by
    /// is exceeded, the oldest lines go.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`]; nothing of the batch is stored then.
    pub fn ingest(&self, batch: &Batch) -> Result<usize, DatabaseError> {
        self.database.write(|connection| {
            let transaction = connection.transaction()?;
            let mut stored = 0;
            for part in &batch.parts {
                stored += ingest_part(&transaction, part)?;
            }
            transaction.commit()?;
            bound(connection, self.retention, remove)?;
            Ok(stored)
        })
    }

    /// How far each container's log is stored.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub fn positions(&self) -> Result<Vec<Stored>, DatabaseError> {
        self.database.read(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT pod_uid, container, last_time, last_ordinal FROM stream")?;
            let rows = statement.query_map([], |row| {
                Ok(Stored {
                    pod_uid: row.get(0)?,
                    container: row.get(1)?,
                    last: Position { time: row.get(2)?, ordinal: row.get(3)? },
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

fn ingest_part(transaction: &Transaction<'_>, part: &Part) -> Result<usize, DatabaseError> {
    let (stream, mut last) = stream(transaction, &part.source)?;
    let mut insert_line = transaction.prepare_cached(
        "INSERT INTO line (stream, time, ordinal, level, text) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let mut insert_text =
        transaction.prepare_cached("INSERT INTO line_text (rowid, text) VALUES (?1, ?2)")?;
    let mut stored = 0;
    for line in &part.lines {
        let (place, text) = (line.0, &line.1);
        if last.is_some_and(|last| place <= last) {
            continue;
        }
        insert_line.execute(params![
            stream,
            place.time,
            place.ordinal,
            Level::of(text).number(),
            text
        ])?;
        insert_text.execute(params![transaction.last_insert_rowid(), text])?;
        last = Some(place);
        stored += 1;
    }
    if let Some(last) = last.filter(|_| stored > 0) {
        transaction
            .prepare_cached("UPDATE stream SET last_time = ?2, last_ordinal = ?3 WHERE id = ?1")?
            .execute(params![stream, last.time, last.ordinal])?;
    }
    Ok(stored)
}

/// The number of a container's stream, and its last stored place; `None` for a new one.
fn stream(
    transaction: &Transaction<'_>,
    source: &Source,
) -> Result<(i64, Option<Position>), DatabaseError> {
    let known = transaction
        .prepare_cached(
            "SELECT id, last_time, last_ordinal FROM stream WHERE pod_uid = ?1 AND container = ?2",
        )?
        .query_row(params![source.pod_uid, source.container], |row| {
            Ok((row.get(0)?, Position { time: row.get(1)?, ordinal: row.get(2)? }))
        })
        .optional()?;
    if let Some((id, last)) = known {
        return Ok((id, Some(last)));
    }
    let Source { pod_uid, container, pod, pod_namespace, owner } = source;
    let values =
        [pod_uid.as_str(), container, pod, pod_namespace].into_iter().chain(owner.values());
    transaction
        .prepare_cached(&format!(
            "INSERT INTO stream (pod_uid, container, pod, pod_namespace, {COLUMNS}, last_time, last_ordinal) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 0, 0)"
        ))?
        .execute(params_from_iter(values))?;
    Ok((transaction.last_insert_rowid(), None))
}
