//! Getting older: into coarser rows, and beyond an age or a size away.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction, params};

use super::Store;
use super::packed::{Values, pack, unpack};
use super::schema::GRAINS;
use super::wire::Value;
use crate::database::{DatabaseError, used};

/// Rows that are made coarser in one transaction, so that writers never wait long.
const CHUNK: i64 = 720;
/// Seconds of the oldest rows that go at once when there are too many bytes.
const SLICE: i64 = 3600;

impl Store {
    /// Makes what is old enough coarser, and removes what retention no longer covers at `now`, nanoseconds since 1970.
    /// Returns how many rows were removed.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub fn prune(&self, now: i64) -> Result<usize, DatabaseError> {
        let oldest = self.retention.oldest(now) / 1_000_000_000;
        let now = now / 1_000_000_000;
        for owner in self.database.read(owners)? {
            for grain in 0..GRAINS.len() - 1 {
                while self.database.write(|connection| coarsen(connection, owner, grain, now))? {}
            }
        }
        let mut removed = self.database.write(|connection| remove(connection, oldest))?;
        loop {
            let gone =
                self.database.write(|connection| remove_above(connection, self.retention.bytes))?;
            removed += gone;
            if gone == 0 {
                break;
            }
        }
        let forgotten = self.database.write(|connection| {
            // The last time of a series is kept to the hour.
            let series = connection
                .execute("DELETE FROM series WHERE last < ?1", [oldest.saturating_sub(2 * 3600)])?;
            let owners = connection.execute(
                "DELETE FROM owner WHERE NOT EXISTS (SELECT 1 FROM series WHERE owner = owner.id) \
                 AND NOT EXISTS (SELECT 1 FROM moment WHERE owner = owner.id)",
                [],
            )?;
            Ok(series + owners)
        })?;
        if forgotten > 0 {
            self.known.forget();
        }
        self.database.give_back()?;
        Ok(removed)
    }
}

fn owners(connection: &Connection) -> Result<Vec<i64>, DatabaseError> {
    let mut statement = connection.prepare_cached("SELECT id FROM owner")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Moves rows of an owner from a grain to the next one; returns whether there may be more.
fn coarsen(
    connection: &mut Connection,
    owner: i64,
    grain: usize,
    now: i64,
) -> Result<bool, DatabaseError> {
    let span = GRAINS[grain + 1].span;
    // Only whole rows of the coarser grain.
    let before = now.saturating_sub(GRAINS[grain].stays).div_euclid(span) * span;
    let transaction = connection.transaction()?;
    let mut rows: Vec<(i64, i64, Vec<u8>)> = {
        let mut statement = transaction.prepare_cached(
            "SELECT time, ticks, data FROM moment WHERE owner = ?1 AND grain = ?2 AND time < ?3 \
             ORDER BY time LIMIT ?4",
        )?;
        let rows = statement.query_map(params![owner, grain as i64, before, CHUNK], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
        rows.collect::<Result<_, _>>()?
    };
    let more = rows.len() as i64 == CHUNK;
    if more && let Some(last) = rows.last().map(|row| row.0.div_euclid(span)) {
        // The last one may not be complete.
        rows.retain(|row| row.0.div_euclid(span) < last);
    }
    let Some(last) = rows.last().map(|row| row.0) else { return Ok(false) };
    for rows in rows.chunk_by(|a, b| a.0.div_euclid(span) == b.0.div_euclid(span)) {
        let time = rows[0].0.div_euclid(span) * span;
        store_coarser(&transaction, owner, grain + 1, time, rows)?;
    }
    transaction
        .prepare_cached("DELETE FROM moment WHERE owner = ?1 AND grain = ?2 AND time <= ?3")?
        .execute(params![owner, grain as i64, last])?;
    transaction.commit()?;
    Ok(more)
}

fn store_coarser(
    transaction: &Transaction<'_>,
    owner: i64,
    grain: usize,
    time: i64,
    rows: &[(i64, i64, Vec<u8>)],
) -> Result<(), DatabaseError> {
    let (ticks, values) = together(rows.iter().map(|(_, ticks, data)| (*ticks, data.as_slice())));
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO moment (owner, grain, time, ticks, data) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![owner, grain as i64, time, ticks, pack(&values)])?;
    Ok(())
}

/// Several rows as one.
fn together<'a>(rows: impl Iterator<Item = (i64, &'a [u8])>) -> (i64, Values) {
    let mut all = 0;
    let mut sums: BTreeMap<i64, Value> = BTreeMap::new();
    for (ticks, data) in rows {
        all += ticks;
        for (series, mut value) in unpack(data) {
            if let Value::Gauge(value) = &mut value {
                *value *= ticks as f64;
            }
            match (sums.get_mut(&series), value) {
                (Some(Value::Gauge(sum)), Value::Gauge(value))
                | (Some(Value::Increase(sum)), Value::Increase(value)) => *sum += value,
                (Some(Value::Requests(sum)), Value::Requests(value)) => sum.add(&value),
                (_, value) => drop(sums.insert(series, value)),
            }
        }
    }
    for value in sums.values_mut() {
        if let Value::Gauge(value) = value {
            *value /= all.max(1) as f64;
            // Fractions of bytes and of billionths of cores only take room.
            if value.abs() >= 1000.0 {
                *value = value.round();
            }
        }
    }
    (all, sums.into_iter().collect())
}

/// Removes rows before `before`; returns how many.
fn remove(connection: &mut Connection, before: i64) -> Result<usize, DatabaseError> {
    let transaction = connection.transaction()?;
    let mut removed = 0;
    for owner in owners(&transaction)? {
        for grain in 0..GRAINS.len() {
            removed += transaction
                .prepare_cached("DELETE FROM moment WHERE owner = ?1 AND grain = ?2 AND time < ?3")?
                .execute(params![owner, grain as i64, before])?;
        }
    }
    transaction.commit()?;
    Ok(removed)
}

/// Removes the oldest rows if more than `bytes` are in use; returns how many.
pub(super) fn remove_above(
    connection: &mut Connection,
    bytes: u64,
) -> Result<usize, DatabaseError> {
    if used(connection)? <= bytes {
        return Ok(0);
    }
    let mut oldest = None;
    for owner in owners(connection)? {
        for grain in 0..GRAINS.len() {
            let first: Option<i64> = connection
                .prepare_cached("SELECT MIN(time) FROM moment WHERE owner = ?1 AND grain = ?2")?
                .query_row(params![owner, grain as i64], |row| row.get(0))?;
            oldest = [oldest, first].into_iter().flatten().min();
        }
    }
    oldest.map_or(Ok(0), |oldest| remove(connection, oldest.saturating_add(SLICE)))
}
