//! The faults of the sample shop, and the record by which each is undone.
//!
//! Whoever breaks the shop, the command line or the portal, changes the same objects of the platform and writes down the
//! same, so that the other one heals it. Healing puts back what still is as the fault left it; what a user has changed
//! meanwhile is kept.
//!
//! - [`FAULTS`], [`find`], [`change`]: what there is, and what it does to a service.
//! - [`set`], [`restore`], [`is_free`]: a fault in the variables of a release binding; [`stands`]: whether one is there still.
//! - [`Image`]: the one fault that changes a workload; [`Workload`]: what is known of that.
//! - [`pause`]: how long to wait for another writer.
//! - [`Record`]: what was changed, in the binding's annotation [`ANNOTATION`].
//!
//! Invariants: no I/O; objects are JSON as the API has them, of which nothing but `spec` is looked at or changed.

mod again;
mod faults;
mod image;
mod record;

pub use again::pause;
pub use faults::{
    Change, FAULTS, Fault, NAMESPACE, PROJECT, SERVICES, Unknown, change, find, variables,
};
pub use image::{IMAGE, Image};
pub use record::{ANNOTATION, Changed, Record, VARIABLES, Workload, is_free, restore, set, stands};
