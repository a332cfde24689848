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

pub use query::{Found, Query, Row};
pub(crate) use signal::Logs;

use crate::database::{self, Kind, Layout};

/// The tables of lines.
#[derive(Debug)]
pub enum Tables {}

impl Kind for Tables {
    const LAYOUT: Layout = schema::LAYOUT;
}

/// The database of lines. Cloning shares it.
pub type Store = database::Store<Tables>;

#[cfg(test)]
mod tests;
