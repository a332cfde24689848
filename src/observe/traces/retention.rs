//! Forgetting whole traces, the ones that ended first before the others.

use rusqlite::{Connection, OptionalExtension, params};

use super::Store;
use crate::database::DatabaseError;
use crate::forget::forget;

/// Spans removed in one transaction.
const CHUNK: usize = 500;

impl Store {
    /// Removes what retention no longer covers at `now` (nanoseconds since 1970); returns how many spans.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub fn prune(&self, now: i64) -> Result<usize, DatabaseError> {
        let removed = forget(&self.database, self.retention, now, remove)?;
        self.database.write(|connection| {
            connection.execute(
                "DELETE FROM source WHERE NOT EXISTS (SELECT 1 FROM part WHERE source = source.id)",
                [],
            )?;
            Ok(())
        })?;
        self.database.give_back()?;
        Ok(removed)
    }
}

/// Removes spans of the oldest traces that ended before `before`; returns how many. A trace of very many goes step by
/// step: first from the lists, in the end itself.
pub(super) fn remove(connection: &mut Connection, before: i64) -> Result<usize, DatabaseError> {
    let transaction = connection.transaction()?;
    let mut removed = 0;
    while removed < CHUNK {
        let oldest: Option<i64> = transaction
            .prepare_cached("SELECT id FROM trace WHERE last < ?1 ORDER BY last LIMIT 1")?
            .query_row([before], |row| row.get(0))
            .optional()?;
        let Some(trace) = oldest else { break };
        transaction.prepare_cached("DELETE FROM part WHERE trace = ?1")?.execute([trace])?;
        let room = i64::try_from(CHUNK - removed).unwrap_or(i64::MAX);
        let gone = transaction
            .prepare_cached(
                "DELETE FROM span WHERE trace = ?1 AND span IN (SELECT span FROM span WHERE trace = ?1 LIMIT ?2)",
            )?
            .execute(params![trace, room])?;
        removed += gone;
        let left =
            transaction.prepare_cached("SELECT 1 FROM span WHERE trace = ?1")?.exists([trace])?;
        if !left {
            transaction.prepare_cached("DELETE FROM trace WHERE id = ?1")?.execute([trace])?;
        }
    }
    transaction.commit()?;
    Ok(removed)
}
