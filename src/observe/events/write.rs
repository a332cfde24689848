//! Taking events in, and forgetting them.

use rusqlite::{Connection, OptionalExtension, Transaction, params, params_from_iter};

use super::Store;
use super::wire::Batch;
use crate::database::DatabaseError;
use crate::forget::{bound, forget};
use crate::owner::Owner;

/// Events removed in one transaction.
const CHUNK: i64 = 200;

impl Store {
    /// Stores what is new or happened again; returns how many these were.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`]; nothing of the batch is stored then.
    pub fn ingest(&self, batch: &Batch) -> Result<usize, DatabaseError> {
        self.database.write(|connection| {
            let transaction = connection.transaction()?;
            let mut stored = 0;
            for event in &batch.events {
                let owner = owner(&transaction, &event.owner)?;
                // A report that was overtaken by a later one of the same Event changes nothing.
                stored += transaction
                    .prepare_cached(
                        "INSERT INTO event (uid, owner, first, last, count, type, reason, message, object_kind, \
                         object_name, object_namespace) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
                         ON CONFLICT (uid) DO UPDATE SET last = excluded.last, count = excluded.count, \
                         message = excluded.message WHERE (excluded.count, excluded.last) > (count, last)",
                    )?
                    .execute(params![
                        event.uid,
                        owner,
                        event.first,
                        event.last,
                        event.count,
                        event.r#type,
                        event.reason,
                        event.message,
                        event.object_kind,
                        event.object_name,
                        event.object_namespace,
                    ])?;
            }
            transaction.commit()?;
            bound(connection, self.retention, remove)?;
            Ok(stored)
        })
    }

    /// Removes what retention no longer covers at `now` (nanoseconds since 1970); returns how many events.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub fn prune(&self, now: i64) -> Result<usize, DatabaseError> {
        let removed = forget(&self.database, self.retention, now, remove)?;
        self.database.write(|connection| {
            connection.execute(
                "DELETE FROM owner WHERE NOT EXISTS (SELECT 1 FROM event WHERE owner = owner.id)",
                [],
            )?;
            Ok(())
        })?;
        self.database.give_back()?;
        Ok(removed)
    }
}

/// The number of an owner.
fn owner(transaction: &Transaction<'_>, owner: &Owner) -> Result<i64, DatabaseError> {
    let known = transaction
        .prepare_cached(
            "SELECT id FROM owner WHERE namespace = ?1 AND project = ?2 AND component = ?3 AND environment = ?4 \
             AND project_uid = ?5 AND component_uid = ?6 AND environment_uid = ?7",
        )?
        .query_row(owner.values(), |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    transaction
        .prepare_cached(
            "INSERT INTO owner (namespace, project, component, environment, project_uid, component_uid, \
             environment_uid) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params_from_iter(owner.values()))?;
    Ok(transaction.last_insert_rowid())
}

/// Removes the oldest events before `before`; returns how many.
fn remove(connection: &mut Connection, before: i64) -> Result<usize, DatabaseError> {
    let mut statement = connection.prepare_cached(
        "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE last < ?1 ORDER BY last LIMIT ?2)",
    )?;
    Ok(statement.execute(params![before, CHUNK])?)
}
