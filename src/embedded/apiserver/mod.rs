//! The API server of the embedded cluster.
//!
//! A request passes: authentication ([`auth`]) → authorization ([`auth::rbac`]) → its handler ([`handle`]), which is
//! steered by the descriptor of the resource ([`kinds`]), passes writes through [`admission`] and ends in the
//! [`store`]. Nothing is cached beside the
//! store: what is derived from objects (the catalog of kinds, the RBAC policy, the addresses in use) is rebuilt from
//! them.
//!
//! Invariants:
//! - A write is acknowledged, listed and watched only once it is durable.
//! - Handlers know no kind; a kind is a line in a table, a custom resource is the same line made at run time.
//! - What is not served is absent from discovery, and answered with a Status that says so.
//!
//! Entry points: [`Server::start`], [`Server::local_client`], [`NodeBackend`].

mod addresses;
mod admission;
mod amounts;
mod api;
pub mod auth;
mod bootstrap;
mod discovery;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod handle;
mod jsonpath;
mod kinds;
mod node;
mod quota;
mod reply;
mod request;
mod route;
mod server;
mod status;
pub mod store;
mod stream;
mod time;

#[cfg(test)]
pub(crate) mod tests;

pub use api::Api;
pub(crate) use node::beyond_reach;
pub use node::{
    LogError, LogOptions, NodeBackend, Page, PageError, PageRequest, PodRef, Sample, Session,
    StreamOptions,
};
pub use server::{Server, ServerConfig, StartError};
pub use status::{ApiError, Cause, Details, Qualified};

/// Lower-case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Five characters that look like a generated name's: no vowels, nothing that could be misread.
fn random_suffix() -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    (0..5).map(|_| ALPHABET[rand::random_range(0..ALPHABET.len())] as char).collect()
}
