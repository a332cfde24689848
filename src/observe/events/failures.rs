//! What went wrong with the objects of components, for alerts.

use rusqlite::params;

use super::Store;
use super::query::owners;
use crate::asked::Place;
use crate::database::DatabaseError;
use crate::owner::list;

/// Warnings about something that cannot run. Not those of probes, of volumes that are on their way, and of places that
/// are looked for: they come and go while a pod starts.
const REASONS: [&str; 10] = [
    "BackOff",
    "CreateContainerConfigError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "Failed",
    "FailedCreate",
    "FailedPostStartHook",
    "ImagePullBackOff",
    "InspectFailed",
    "RenderingFailed",
];

impl Store {
    /// How many objects of `place` failed between two moments in nanoseconds since 1970, both included: a container was
    /// started anew, could not be started, or what should run could not be made. Blocks.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub fn failures(&self, place: &Place, between: (i64, i64)) -> Result<u64, DatabaseError> {
        let reasons: Vec<String> = REASONS.iter().map(|reason| format!("'{reason}'")).collect();
        self.database.read(|connection| {
            let owners = owners(connection, place)?;
            // The kubelet tells of a start anew only by counting the starts.
            let sql = format!(
                "SELECT COUNT(DISTINCT object_kind || '/' || object_name) FROM event \
                 WHERE owner IN ({}) AND last BETWEEN ?1 AND ?2 \
                 AND ((type = 'Warning' AND reason IN ({})) \
                      OR (reason = 'Started' AND object_kind = 'Pod' AND count > 1))",
                list(owners.keys()),
                reasons.join(", ")
            );
            let failed: i64 = connection
                .prepare(&sql)?
                .query_row(params![between.0, between.1], |row| row.get(0))?;
            Ok(failed.unsigned_abs())
        })
    }
}
