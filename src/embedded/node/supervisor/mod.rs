//! The process that does not die: it holds what must outlive the node, and starts the node again.
//!
//! One thread, one `poll`, no allocation worth speaking of. It holds the host's listeners (so that connections queue
//! while the node is away) and one socket to every shim (so that the next node finds the pods), starts shims for the
//! node and what stores its images, and waits for them. When it dies, kernel and sockets take everything it started along.

mod children;
mod protocol;
mod record;
mod serve;

pub(crate) use protocol::{ListenerRole, ToNode, ToSupervisor, VERSION};
#[cfg(test)]
pub(crate) use record::ProcessRecord;
pub(crate) use record::read as read_record;
pub use serve::supervise;
