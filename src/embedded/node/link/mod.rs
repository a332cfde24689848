//! The node's ends of the sockets to its supervisor and to its pods' shims.

mod remove;
mod shim;
mod supervisor;

pub(crate) use remove::{remove, remove_images};
pub(crate) use shim::{Ended, Joined, ShimError, ShimLink};
pub(crate) use supervisor::{Inherited, SupervisorLink};
