//! Forgetting: lines beyond an age, and the oldest ones beyond a size.

use rusqlite::{Connection, params};

use super::Store;
use crate::database::DatabaseError;
use crate::forget::forget;

/// Lines removed in one transaction, so that writers never wait long.
const CHUNK: i64 = 100;

impl Store {
    /// Removes what retention no longer covers at `now` (nanoseconds since 1970); returns how many lines.
    /// Positions of containers stay as long as they may still be followed.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub fn prune(&self, now: i64) -> Result<usize, DatabaseError> {
        let (database, oldest) = (&self.database, self.retention.oldest(now));
        let removed = forget(database, self.retention, now, remove)?;
        database.write(|connection| {
            connection.execute(
                "DELETE FROM stream WHERE last_time < ?1 AND NOT EXISTS (SELECT 1 FROM line WHERE stream = stream.id)",
                params![oldest],
            )?;
            Ok(())
        })?;
        database.give_back()?;
        Ok(removed)
    }
}

/// Removes the oldest lines before `before`; returns how many.
pub(super) fn remove(connection: &mut Connection, before: i64) -> Result<usize, DatabaseError> {
    let transaction = connection.transaction()?;
    let ids: Vec<i64> = {
        let mut statement = transaction
            .prepare_cached("SELECT id FROM line WHERE time < ?1 ORDER BY time LIMIT ?2")?;
        let rows = statement.query_map(params![before, CHUNK], |row| row.get(0))?;
        rows.collect::<Result<_, _>>()?
    };
    {
        let mut text = transaction.prepare_cached("DELETE FROM line_text WHERE rowid = ?1")?;
        let mut line = transaction.prepare_cached("DELETE FROM line WHERE id = ?1")?;
        for id in &ids {
            text.execute([id])?;
            line.execute([id])?;
        }
    }
    transaction.commit()?;
    Ok(ids.len())
}
