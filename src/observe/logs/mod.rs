//! Logs: lines of components' containers in a database with a full-text index.
//!
//! A write is a transaction that advances each container's position together with its lines: a batch that comes twice
//! changes nothing the second time.

mod answer;
mod ask;
mod count;
mod ingest;
mod phrase;
mod query;
mod retention;
mod schema;
mod signal;
mod tools;
mod write;

use std::path::Path;

pub use query::{Found, Query, Row};
pub(crate) use signal::Logs;

use crate::database::{Database, DatabaseError, Retention};

/// The database of lines. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    retention: Retention,
}

impl Store {
    /// Opens or makes the database file.
    ///
    /// # Errors
    /// [`DatabaseError::Open`] and [`DatabaseError::Version`].
    pub fn open(path: &Path, retention: Retention) -> Result<Store, DatabaseError> {
        Ok(Store { database: Database::open(path, schema::LAYOUT)?, retention })
    }
}

#[cfg(test)]
mod tests;
