//! Forgetting: alerts that are over and beyond an age, the oldest of them beyond a size, and what belongs to them.

use rusqlite::{Connection, params};

use super::Store;
use crate::database::{DatabaseError, used};

/// Alerts removed in one transaction, so that writers never wait long.
const CHUNK: i64 = 100;

impl Store {
    /// Removes what retention no longer covers at `now`, nanoseconds since 1970; returns how many alerts.
    pub(super) fn prune(&self, now: i64) -> Result<usize, DatabaseError> {
        let (database, oldest) = (&self.database, self.retention.oldest(now));
        let bytes = self.retention.bytes;
        let mut removed = 0;
        loop {
            let gone = database.write(|connection| {
                let above = used(connection)? > bytes;
                remove(connection, if above { i64::MAX } else { oldest })
            })?;
            removed += gone;
            if gone == 0 {
                break;
            }
        }
        database.give_back()?;
        Ok(removed)
    }
}

/// Removes the oldest alerts that were over before `before`, with their incidents and deliveries. An incident that is
/// still open keeps its alert.
fn remove(connection: &mut Connection, before: i64) -> Result<usize, DatabaseError> {
    let transaction = connection.transaction()?;
    let ids: Vec<String> = {
        let mut statement = transaction.prepare_cached(
            "SELECT id FROM alert_entries WHERE resolved_at_ns < ?1 AND NOT EXISTS \
             (SELECT 1 FROM incident_entries WHERE alert_id = alert_entries.id AND status <> 'resolved') \
             ORDER BY timestamp_ns LIMIT ?2",
        )?;
        let rows = statement.query_map(params![before, CHUNK], |row| row.get(0))?;
        rows.collect::<Result<_, _>>()?
    };
    for id in &ids {
        for sql in [
            "DELETE FROM incident_history WHERE incident_id IN (SELECT id FROM incident_entries WHERE alert_id = ?1)",
            "DELETE FROM incident_entries WHERE alert_id = ?1",
            "DELETE FROM delivery WHERE alert_id = ?1",
            "DELETE FROM alert_entries WHERE id = ?1",
        ] {
            transaction.prepare_cached(sql)?.execute([id])?;
        }
    }
    transaction.commit()?;
    Ok(ids.len())
}
