//! The database of log lines: SQLite in WAL mode, with a full-text index, bounded by age and size.
//!
//! One connection writes, one reads; both block, so callers go through [`Store::run`]. A write is a
//! transaction that advances each container's position together with its lines: a batch that comes twice
//! changes nothing the second time.

mod query;
mod retention;
mod schema;
mod write;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

pub use query::{Found, Query, Row};
pub use retention::Retention;

/// What went wrong with the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened.
    #[error("cannot open the log database {path}: {source}; is the directory writable?")]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// It was made by a newer version.
    #[error(
        "the log database has version {found}, this program knows {known}; run the newer program, or remove the file to start empty"
    )]
    Version {
        /// In the file.
        found: i64,
        /// In the program.
        known: i64,
    },
    /// A statement failed.
    #[error("the log database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The thread that worked on it died.
    #[error("the work on the log database was interrupted")]
    Interrupted,
}

/// The open database. Cloning shares it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
    retention: Retention,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("retention", &self.0.retention).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens or makes the database file.
    ///
    /// # Errors
    /// [`StoreError::Open`] and [`StoreError::Version`].
    pub fn open(path: &Path, retention: Retention) -> Result<Store, StoreError> {
        let open = || {
            let connection = Connection::open(path)?;
            connection.busy_timeout(Duration::from_secs(5))?;
            // Memory is dear here: two megabytes of pages for each of the two connections.
            connection.pragma_update(None, "cache_size", -2000)?;
            Ok(connection)
        };
        let failed = |source| StoreError::Open { path: path.to_owned(), source };
        let writer = open().map_err(failed)?;
        schema::prepare(&writer, path)?;
        let reader = open().map_err(failed)?;
        reader.pragma_update(None, "query_only", true)?;
        let (writer, reader) = (Mutex::new(writer), Mutex::new(reader));
        Ok(Store(Arc::new(Inner { writer, reader, retention })))
    }

    /// Does blocking work on the database without blocking the caller's thread.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || work(&store))
            .await
            .map_err(|_| StoreError::Interrupted)?
    }

    fn write<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        // A transaction that a panic interrupted was rolled back.
        work(&mut self.0.writer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        work(&self.0.reader.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests;
