//! Forgetting: lines beyond an age, and the oldest ones beyond a size.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::{Store, StoreError};

/// Lines removed in one transaction, so that writers never wait long.
const CHUNK: i64 = 100;
/// Pages given back to the file system at once.
const PAGES: i64 = 1000;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Lines older than this go.
    pub age: Duration,
    /// Above this size of the database in bytes, the oldest lines go.
    pub bytes: u64,
}

impl Default for Retention {
    /// A week, and 256 MB.
    fn default() -> Self {
        Retention { age: Duration::from_secs(7 * 24 * 3600), bytes: 256 << 20 }
    }
}

impl Store {
    /// Removes what retention no longer covers at `now` (nanoseconds since 1970); returns how many lines.
    /// Positions of containers stay as long as they may still be followed.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub fn prune(&self, now: i64) -> Result<usize, StoreError> {
        let oldest =
            now.saturating_sub(i64::try_from(self.0.retention.age.as_nanos()).unwrap_or(i64::MAX));
        let mut removed = 0;
        loop {
            let gone = self.write(|connection| remove(connection, oldest))?;
            removed += gone;
            if gone == 0 {
                break;
            }
        }
        let bytes = self.0.retention.bytes;
        loop {
            let gone = self.write(|connection| remove_above(connection, bytes))?;
            removed += gone;
            if gone == 0 {
                break;
            }
        }
        self.write(|connection| {
            connection.execute(
                "DELETE FROM stream WHERE last_time < ?1 AND NOT EXISTS (SELECT 1 FROM line WHERE stream = stream.id)",
                params![oldest],
            )?;
            Ok(())
        })?;
        let mut free = u64::MAX;
        loop {
            let left = self.write(give_back)?;
            if left == 0 || left >= free {
                break;
            }
            free = left;
        }
        Ok(removed)
    }
}

/// Removes the oldest lines if more than `bytes` are in use; returns how many.
pub(super) fn remove_above(connection: &mut Connection, bytes: u64) -> Result<usize, StoreError> {
    if used(connection)? > bytes { remove(connection, i64::MAX) } else { Ok(0) }
}

/// Gives free pages back to the file system; returns how many are left. The statement frees a page per step.
fn give_back(connection: &mut Connection) -> Result<u64, StoreError> {
    let mut statement =
        connection.prepare_cached(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    let mut freed = statement.query([])?;
    while freed.next()?.is_some() {}
    drop(freed);
    drop(statement);
    let left = connection.pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0))?;
    Ok(left.unsigned_abs())
}

/// Removes the oldest lines before `before`; returns how many.
fn remove(connection: &mut Connection, before: i64) -> Result<usize, StoreError> {
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

/// Bytes in use, without what is free inside the file.
fn used(connection: &Connection) -> Result<u64, StoreError> {
    let number = |name: &str| {
        connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
    };
    let pages = number("page_count")?.saturating_sub(number("freelist_count")?);
    Ok(pages * number("page_size")?)
}
