//! The embedded cluster: just enough Kubernetes, faithfully, from one binary.
//!
//! Three parts share this crate: `apiserver` stores and serves objects, `controllers` reconcile them,
//! `node` runs their pods. They meet only at the API: controllers and node are ordinary clients of the server,
//! with ordinary identities, so a missing role fails here as it would on any cluster.
//!
//! Nothing here knows of the platform that is installed on it, prints, reads the environment, or looks for a home:
//! everything comes in through [`ClusterConfig`].
//!
//! Entry points: [`init`] (directories, keys, kubeconfig), `start` (the supervisor as a daemon), `stop`,
//! `halt`, `destroy`, `residue` (what a destroy would still find), `images` (the content store), [`snapshot`] (its whole
//! state as one file), and the six process entries a binary dispatches to before it starts any thread: `supervise`,
//! `run_node`, `run_shim`, `run_pause`, `store_image`, `run_inside`.
//!
//! The binary re-executes itself. It must map these argument vectors to the functions above:
//!
//! ```text
//! <binary> node supervise --config <path>            → supervise(path)
//! <binary> node run --config <path> --control-fd <n> → run_node(path, n)
//! <binary> node shim --control-fd <n>                → run_shim(n)
//! <binary> node pause                                → run_pause()
//! <binary> node store --config <path> --control-fd <n> → store_image(path, n)
//! <binary> node inside                               → run_inside()
//! ```

pub mod apiserver;
mod config;
pub mod controllers;
mod cron;
mod error;
mod files;
mod host_port;
pub mod node;
mod pki;
mod quantity;
mod reach;
mod registries;
pub mod snapshot;
mod span;
mod volume;

pub use config::{Cidr, ClusterConfig, FrontDoor};
pub use error::Error;
pub use node::{
    Leftover, Removed, destroy, halt, images, registry, residue, rootless, run_inside, run_node,
    run_pause, run_shim, running, start, stop, store_image, supervise,
};
pub use pki::{PkiPaths, init};
pub use reach::Reach;
pub use registries::Registries;
