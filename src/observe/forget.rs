//! Forgetting: what is beyond an age, and the oldest beyond a size.

use rusqlite::Connection;

use crate::database::{Database, DatabaseError, Retention, used};

/// Removes some of the oldest rows before a time (nanoseconds since 1970) in one short transaction, so that writers
/// never wait long; returns how many.
pub(crate) type Remove = fn(&mut Connection, i64) -> Result<usize, DatabaseError>;

/// Removes what `retention` no longer covers at `now`; returns how many rows.
pub(crate) fn forget(
    database: &Database,
    retention: Retention,
    now: i64,
    remove: Remove,
) -> Result<usize, DatabaseError> {
    let oldest = retention.oldest(now);
    let repeat = |step: &dyn Fn(&mut Connection) -> Result<usize, DatabaseError>| {
        let mut removed = 0;
        loop {
            match database.write(|connection| step(connection))? {
                0 => return Ok::<_, DatabaseError>(removed),
                gone => removed += gone,
            }
        }
    };
    let aged = repeat(&|connection| remove(connection, oldest))?;
    let crowded = repeat(&|connection| remove_above(connection, retention.bytes, remove))?;
    Ok(aged + crowded)
}

/// After a write: a burst may outgrow the bound by an eighth until the next prune, not by more.
pub(crate) fn bound(
    connection: &mut Connection,
    retention: Retention,
    remove: Remove,
) -> Result<(), DatabaseError> {
    let bytes = retention.bytes.saturating_add(retention.bytes / 8);
    while remove_above(connection, bytes, remove)? > 0 {}
    Ok(())
}

/// Removes some of the oldest rows if more than `bytes` are in use.
fn remove_above(
    connection: &mut Connection,
    bytes: u64,
    remove: Remove,
) -> Result<usize, DatabaseError> {
    if used(connection)? > bytes { remove(connection, i64::MAX) } else { Ok(0) }
}
