//! The server as its clients see it: in process, over TLS, killed and reopened.

pub(crate) mod harness;
mod objects;
