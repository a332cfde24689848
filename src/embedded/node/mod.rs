//! The node of the embedded cluster: it runs pods with nothing but the kernel.
//!
//! Three kinds of process share this code. The *supervisor* is small, single-threaded and boring, so that it never
//! dies: it holds the host's listeners and a socket to every shim, starts the node and starts it again. A *shim* per
//! pod, single-threaded too, owns the pod's namespaces, starts its containers, writes their logs.
//! The *node* (API server, controllers, pod agent, network) may crash at any time: pods run on, new connections wait
//! in the listeners' queues, and the next node takes over sockets and pods. Supervisor and shims keep root's powers; the
//! node has none, as `confine` says.
//!
//! What the node pulls from a [`registry`] is unpacked by a process that the supervisor starts for it, as root: see
//! [`images`].
//!
//! An ordinary user has all of this in a user namespace, without control groups: see [`rootless`].
//!
//! Invariants: every process of an instance is in its cgroup tree, so that whatever is left can be found and ended
//! without trusting a file; all mounts live in a container's own mount namespace, so that none outlives it; the death
//! of a parent kills its children (supervisor → node and shims → containers).

mod cgroup;
mod confine;
mod disk;
pub mod images;
mod lifecycle;
mod link;
mod machine;
pub mod network;
mod pods;
pub mod registry;
pub mod rootless;
mod run;
mod sandbox;
mod shim;
mod supervisor;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod wire;

pub use images::store_image;
pub use lifecycle::{Leftover, Removed, destroy, halt, residue, running, start, stop};
pub use rootless::run_inside;
pub use run::run_node;
pub use sandbox::CAPABILITIES;
pub use shim::{run_pause, run_shim};
pub use supervisor::supervise;
