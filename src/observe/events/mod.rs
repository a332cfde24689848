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

pub use query::Found;
pub(crate) use signal::Events;

use crate::database::{self, Kind, Layout};

/// The tables of events.
#[derive(Debug)]
pub enum Tables {}

impl Kind for Tables {
    const LAYOUT: Layout = schema::LAYOUT;
}

/// The database of events. Cloning shares it.
pub type Store = database::Store<Tables>;

#[cfg(test)]
mod tests;
