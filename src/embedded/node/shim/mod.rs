//! A pod's shim: owner of its namespaces, parent of its containers.
//!
//! It waits in one `poll` and has no thread, so that it can fork. It knows nothing of Kubernetes: the node tells it
//! what to run, and asks again after a restart ([`Request::State`]). What must survive the node lives here: output
//! pipes and logs, exit codes, grace periods, and the pod's listening sockets with their queues. So does what takes
//! privileges, which the node has none of: the pod's directories, its volumes, and their removal.
//!
//! Invariants: the shim never blocks on the node (what the node does not read is dropped; the state has it all);
//! containers die with the shim; every end of a container is on disk before anyone is told.

mod container;
mod copies;
mod logs;
mod measure;
mod ownership;
mod pause;
mod payload;
mod pod;
mod protocol;
mod remains;
mod serve;
mod stop;
mod streams;
#[cfg(test)]
mod tests;
mod volumes;

pub(crate) use logs::numbered;
pub(crate) use measure::{DiskUsage, Measured};
pub(crate) use ownership::GroupOwner;
pub use pause::run_pause;
pub(crate) use protocol::{
    Event, Exit, PodSetup, PodState, Remains, Reply, Request, StopHook, Streams, ToNode, ToShim,
    VERSION,
};
pub use serve::run_shim;
pub(crate) use volumes::{MemoryVolume, Payload, PayloadFile, VolumeSpec};
