//! Traces: spans of components in a database, with what each source adds to a trace summed up as they come.
//!
//! A span is stored once, however often it is sent. Whoever asks sees the spans of the place they may look at, and no
//! others of the same trace: sums and roots are those of that place, too.

mod answer;
mod calls;
mod compact;
mod list;
mod retention;
mod schema;
mod signal;
mod spans;
mod tools;
mod tree;
pub mod wire;
mod write;

use std::path::Path;

pub use calls::Call;
pub use list::{Listed, Summary};
pub(crate) use signal::Traces;
pub use spans::{Row, Spans};

use crate::database::{Database, DatabaseError, Retention};

/// More matches than this are not counted.
const COUNTED: usize = 1000;

/// The database of spans. Cloning shares it.
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
