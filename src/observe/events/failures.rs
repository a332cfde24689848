//! What went wrong with the objects of components, for alerts.

use rusqlite::params;

use super::Store;
use super::query::owners;
use crate::asked::Place;
use crate::database::DatabaseError;
use crate::owner::list;

/// Warnings about containers that cannot run. Not those of probes, of volumes that are on their way, and of places that are
/// looked for: they come and go while a pod starts.
const REASONS: [&str; 9] = [
    "BackOff",
    "CreateContainerConfigError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "Failed",
    "FailedCreate",
    "FailedPostStartHook",
    "ImagePullBackOff",
    "InspectFailed",
];
/// What the platform says once of a release that cannot be made holds until it says otherwise, for so long at most, in
/// nanoseconds.
const LASTING: i64 = 24 * 3600 * 1_000_000_000;

impl Store {
    /// How many objects of `place` failed between two moments in nanoseconds since 1970, both included: a container was
    /// started anew or could not be started, or what should run cannot be made. Blocks.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub fn failures(&self, place: &Place, between: (i64, i64)) -> Result<u64, DatabaseError> {
        let reasons: Vec<String> = REASONS.iter().map(|reason| format!("'{reason}'")).collect();
        self.database.read(|connection| {
            let owners = owners(connection, place)?;
            let owners = list(owners.keys());
            // The kubelet tells of a start anew only by counting the starts.
            let pods = format!(
                "SELECT COUNT(DISTINCT object_kind || '/' || object_name) FROM event \
                 WHERE owner IN ({owners}) AND last BETWEEN ?1 AND ?2 \
                 AND ((type = 'Warning' AND reason IN ({})) \
                      OR (reason = 'Started' AND object_kind = 'Pod' AND count > 1))",
                reasons.join(", ")
            );
            // Of each binding the newest event counts. A bare column beside MAX is of the row with the maximum.
            let releases = format!(
                "SELECT COUNT(*) FROM (SELECT type, MAX(last) FROM event \
                 WHERE owner IN ({owners}) AND object_kind = 'ReleaseBinding' AND last BETWEEN ?1 AND ?2 \
                 GROUP BY object_name) WHERE type = 'Warning'"
            );
            let count = |sql: &str, first: i64| -> Result<i64, DatabaseError> {
                let found = connection.prepare(sql)?.query_row(params![first, between.1], |row| row.get(0));
                Ok(found?)
            };
            let lately = between.0.min(between.1.saturating_sub(LASTING));
            let failed = count(&pods, between.0)? + count(&releases, lately)?;
            Ok(failed.unsigned_abs())
        })
    }
}
