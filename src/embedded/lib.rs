//! The embedded cluster: API server, controllers and node.

pub mod node;
