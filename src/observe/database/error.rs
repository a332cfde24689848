//! Why a database did not do what it was asked.

use std::path::PathBuf;

/// What went wrong with a database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// It cannot be opened.
    #[error("cannot open the database {path}: {source}; is the directory writable?")]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// It was made by a newer version.
    #[error(
        "the database {path} has version {found}, this program knows {known}; run the program that made it, or remove the file to start empty"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// In the file.
        found: i64,
        /// In the program.
        known: i64,
    },
    /// A statement failed.
    #[error("the database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The thread that worked on it died.
    #[error("the work on the database was interrupted")]
    Interrupted,
}
