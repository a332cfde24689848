//! An image as a component: what `curtain deploy` and the portal's form have in common.
//!
//! - [`is_path`], [`reference_fault`], [`same`]: what a word means that names an image.
//! - [`component_name`], [`name_fault`]: what the component is called.
//! - [`App`]: the component and its workload, and what of those that are there has to [stay](Taken).
//!
//! Invariants: no I/O; objects are JSON as the API has them.

mod app;
mod name;
mod reference;

pub use app::{App, MANAGED_BY, MANAGER, Taken};
pub use name::{component_name, name_fault};
pub use reference::{fault as reference_fault, is_path, same};

/// The port of a program of which nobody names one.
pub const USUAL_PORT: u16 = 8080;
