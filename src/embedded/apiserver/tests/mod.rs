//! The server as its clients see it: in process, over TLS, killed and reopened.

mod harness;
mod objects;
