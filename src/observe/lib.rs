//! Observability: the logs of components, collected, kept and queried.
//!
//! * [`collector`] follows the logs of every component's containers through the Kubernetes API and posts them
//!   to the observer. It keeps nothing: where it goes on after a restart is what the observer has.
//! * [`observer`] keeps lines in SQLite, bounded by age and size, and answers queries over REST and MCP for
//!   whoever the control plane allows.
//! * [`store`] is the database, [`wire`] what the two say to each other.
//!
//! Invariants: a line is stored once and in order, however often either side restarts; nothing unbounded is
//! held in memory; the observer has no policy of its own and no answer without asking the control plane.

pub mod collector;
mod level;
pub mod observer;
pub mod store;
pub mod wire;

pub use level::Level;
