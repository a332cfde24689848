//! Control groups, version 1 (also hybrid) and version 2: limits, and the list of everything that belongs to an
//! instance.
//!
//! Each instance has one tree, `curtain-<instance>-<hash of its home>`: `system` holds supervisor, node and shims,
//! `pods/<uid>/<container>` the containers. Whatever runs for an instance is in there, so a clean-up needs no record
//! of process ids.

mod detect;
mod group;
mod usage;

pub(crate) use group::{Group, Tree};
pub(crate) use usage::{Memory, Usage};
