//! Sample applications that the binary carries, so that a demo needs no registry.
//!
//! - [`greeter`]: the smallest HTTP service.
//! - [`shop`]: eleven services that call each other, and ways to break them.
//!
//! Invariant: a sample is an ordinary program; it knows nothing of the platform but what its container is told.

pub mod greeter;
pub mod shop;
