//! The control plane's doors: REST, MCP, identity, authorization and the cluster gateway.
//!
//! The role `api-server` is one process with two ports: REST and identity on one, MCP with bearer tokens on the other
//! (apart, because clients drop a configured token when its origin also offers OAuth discovery). The cluster gateway
//! is a role of its own.
//!
//! Invariants: one function decides every request ([`authz`]), whichever door it came through; every decision about a
//! change leaves an audit line, and the change a record ([`audit`]); of everything else the API server of the cluster is
//! the only store.

pub mod audit;
pub mod authz;
mod follow;
pub mod hub;
pub mod identity;
pub mod live;
pub mod mcp;
pub mod objects;
pub mod rest;
pub mod server;

#[cfg(test)]
mod testing;
