//! Events: what Kubernetes says about the objects of components.
//!
//! An Event that happens again is one row with a higher count, so that the list which the collector reads after each of
//! its starts changes nothing.

mod answer;
mod failures;
mod query;
mod schema;
mod signal;
mod tools;
pub mod wire;
mod write;

use std::path::Path;

pub use query::Found;
pub(crate) use signal::Events;

use crate::database::{Database, DatabaseError, Retention};

/// The database of events. Cloning shares it.
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
