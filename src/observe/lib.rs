//! Observability: what components do, collected, kept and queried.
//!
//! * [`collector`] follows the logs of every component's containers through the Kubernetes API and posts them
//!   to the observer. It keeps nothing: where it goes on after a restart is what the observer has.
//! * [`observer`] keeps it in SQLite, bounded by age and size, and answers queries over REST and MCP for
//!   whoever the control plane allows.
//! * [`alerts`] evaluates rules over what is kept, and tells people.
//! * [`logs`] is one kind of telemetry with its tables, queries and tools; [`database`] is what all kinds are kept
//!   in, [`wire`] what collector and observer say to each other.
//!
//! Invariants: a line is stored once and in order, however often either side restarts; nothing unbounded is
//! held in memory; the observer has no policy of its own and no answer without asking the control plane.

pub mod alerts;
mod asked;
pub mod collector;
pub mod database;
pub mod events;
mod forget;
mod level;
pub mod logs;
pub mod metrics;
pub mod observer;
mod owner;
mod spelling;
pub mod traces;
pub mod wire;

pub use asked::{Page, Place};
pub use level::Level;
pub use owner::Owner;

/// The namespace of this plane: of collector, observer, and the settings of notification channels.
const NAMESPACE: &str = "openchoreo-observability-plane";
