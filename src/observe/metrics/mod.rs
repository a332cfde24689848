//! Metrics: what components use and ask of each other, measured every few seconds.
//!
//! * [`wire`] is what the collector posts, and [`names`] what it calls things.
//! * A [`Store`] keeps it: all values of a component at one moment are one packed row. Values of the last two hours
//!   stand for five seconds each, those of the last day for a minute, and older ones for a quarter of an hour.
//! * [`calls`] is what spans know of requests, [`joined`] takes it where samples know of none.
//! * [`resources`], [`requests`], [`topology`], [`costs`] and [`application`] answer.
//!
//! Counters are kept as what they grew by, so a sum over time is a sum of rows. A gauge of a coarser row is the mean over
//! the time in which its component was measured, where a pod that was not there counts as nothing. A moment that comes
//! twice changes nothing the second time.

mod answer;
mod answers;
mod application;
mod ask;
mod bills;
mod calls;
mod costs;
mod drawn;
mod health;
mod joined;
pub mod names;
mod node;
mod packed;
mod requests;
mod resources;
mod retention;
mod scan;
mod schema;
mod signal;
mod spent;
mod statistics;
mod tools;
mod topology;
mod usage;
mod watched;
pub mod wire;
mod write;

use std::path::Path;
use std::sync::Arc;

pub(crate) use answers::Answers;
pub use costs::Prices;
pub(crate) use joined::Joined;
pub(crate) use signal::Metrics;
pub use usage::Usage;

use crate::database::{Database, DatabaseError, Retention};

/// The database of samples. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) database: Database,
    retention: Retention,
    known: Arc<write::Known>,
    watched: Arc<watched::Watched>,
}

impl Store {
    /// Opens or makes the database file.
    ///
    /// # Errors
    /// [`DatabaseError::Open`] and [`DatabaseError::Version`].
    pub fn open(path: &Path, retention: Retention) -> Result<Store, DatabaseError> {
        let database = Database::open(path, schema::LAYOUT)?;
        Ok(Store { database, retention, known: Arc::default(), watched: Arc::default() })
    }

    /// The newest stretch of time, in seconds since 1970, of which everything was told: what is missing in it did not happen.
    pub(crate) fn watched(&self) -> Option<(i64, i64)> {
        self.watched.stretch()
    }
}

#[cfg(test)]
mod tests;
