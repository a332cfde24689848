//! The embedded cluster: API server, controllers and node.
