//! What every role shares, so that a role is only its own idea.
//!
//! A role is a library function `run(config, shutdown)` that a container reaches through the command line. Around it
//! stand the pieces of this room: a [current-thread runtime](runtime), [signals turned into a token](Shutdown),
//! [health endpoints](Health), a [Kubernetes client](KubeAccess), the [watch back-off](Backoff) and
//! [name lookup](dns) that never reaches for the C library (a static binary must not call `getaddrinfo`). HTTP doors are
//! [opened](listen) and [served](serve) alike; those that a browser could be made to call stand behind
//! [the Host and Origin check](origin). What lies outside of the cluster is [asked](Web) over TLS, and a [`Secret`] that
//! it takes is never shown. Commands that a role tells people [name its instance](Instance).
//!
//! Invariants: nothing here reads the environment except the in-cluster client configuration, which is the
//! kubelet's documented contract; nothing prints; every wait has a bound.

mod backoff;
pub mod dns;
mod health;
mod http;
mod instance;
mod kubernetes;
pub mod origin;
mod secret;
mod server;
mod shutdown;
mod web;

pub use backoff::Backoff;
pub use health::{Check, Health, HealthError};
pub use http::{HttpClient, http_client};
pub use instance::Instance;
pub use kubernetes::{KubeAccess, KubeError, ROLE_TOKEN};
pub use secret::Secret;
pub use server::{ServeError, listen, serve, serve_peers};
pub use shutdown::Shutdown;
pub use web::{Web, authorities};

/// The runtime of a role: one thread, all drivers on.
///
/// A role waits far more than it computes, and a thread less is half a megabyte less.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
