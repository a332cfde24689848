//! Who did what: a record of every change, and of everything an agent did.
//!
//! A door ([`crate::rest`], [`crate::mcp`]) follows each call by a [`trail`], on which decisions leave what they were
//! about, and hands the outcome to [`Audit`]. That appends to a small database of the role's own, which keeps records by
//! age and size.
//!
//! Invariants: a change is in the database before it is answered; other records follow soon, in order, and are there
//! after an orderly end; nobody but the doors writes; a caller without `audit:view` sees its own records and no others.

mod delta;
mod observed;
mod open;
mod query;
mod record;
mod store;
mod summed;
mod told;
pub(crate) mod trail;
mod witness;
mod writer;

pub(crate) use delta::delta;
pub(crate) use observed::routes as observed_routes;
pub use observed::{OBSERVED_PATH, Observed};
pub use query::{Counts, Found, Numbered, Query, moment};
pub use record::{Outcome, Record};
pub use store::{Retention, StoreError};
pub use summed::{Entry, sum_up};
pub use trail::Trail;
pub use witness::Witness;
pub use writer::Audit;

#[cfg(test)]
mod tests;
