//! Bundles: what a plane or an add-on consists of, and the engine that installs it into any cluster.
//!
//! A bundle is a folder with a `bundle.yaml` ([format](mod@format)): manifests applied as they are, templates
//! rendered with `${…}`, keys and passwords to generate, and what must be true before it counts as
//! ready. The program carries its own bundles; see [`Bundle::builtin`].
//!
//! Invariants:
//! - the engine is an ordinary client of the Kubernetes API and knows no provider;
//! - everything is applied server-side and recorded in an inventory, by which it is pruned and
//!   uninstalled; what the inventory does not name is never deleted;
//! - generated secrets are read or created, never overwritten, except that a leaf certificate is signed anew at two
//!   thirds of its life;
//! - every wait is bounded, and a timeout names what is not ready with its last event and log line.
//!
//! Entry points: [`Bundle::builtin`], [`Installer`], [`renew_leaves`].

mod bundle;
mod discovery;
mod document;
mod error;
mod evidence;
mod files;
pub mod format;
mod generate;
mod install;
mod inventory;
mod ready;
mod render;

pub use bundle::Bundle;
pub use error::{Error, Kind};
pub use generate::{Renewal, renew_leaves};
pub use install::{Installed, Installer};
