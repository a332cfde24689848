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

pub use calls::Call;
pub use list::{Listed, Summary};
pub(crate) use signal::Traces;
pub use spans::{Row, Spans};

use crate::database::{self, Kind, Layout};

/// More matches than this are not counted.
const COUNTED: usize = 1000;

/// The tables of spans.
#[derive(Debug)]
pub enum Tables {}

impl Kind for Tables {
    const LAYOUT: Layout = schema::LAYOUT;
}

/// The database of spans. Cloning shares it.
pub type Store = database::Store<Tables>;

#[cfg(test)]
mod tests;
