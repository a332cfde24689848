//! Counting lines for alert rules.

use rusqlite::params;

use super::Store;
use super::phrase::like;
use super::query::numbers;
use crate::database::DatabaseError;
use crate::level::Level;

impl Store {
    /// How many lines of a component in an environment, both by uid, have `phrase` in them, whatever its case. Reads
    /// the lines of that time and place, not the full-text index, which knows of no time.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub(crate) fn count(
        &self,
        (component, environment): (&str, &str),
        phrase: &str,
        (first, last): (i64, i64),
    ) -> Result<u64, DatabaseError> {
        self.database.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT COUNT(*) FROM line WHERE stream IN \
                 (SELECT id FROM stream WHERE component_uid = ?1 AND environment_uid = ?2 AND last_time >= ?3) \
                 AND level IN ({}) AND time BETWEEN ?3 AND ?4 AND text LIKE ?5 ESCAPE '\\'",
                numbers(&Level::ALL)
            ))?;
            let values = params![component, environment, first, last, format!("%{}%", like(phrase))];
            let count: i64 = statement.query_row(values, |row| row.get(0))?;
            Ok(count.unsigned_abs())
        })
    }
}
