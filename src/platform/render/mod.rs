//! From a release and an environment to manifests. Pure functions: no I/O, no clock, no cluster.
//!
//! - [`component`] runs the pipeline of a component: defaults and checks its input, renders the
//!   type's templates, lets traits create, patch and remove, checks the result.
//! - [`endpoint_urls`], [`network_policies`], [`connection_env`] and [`health()`] are what
//!   controllers derive beside it.
//! - [`resources`] gives manifests the ids by which a RenderedRelease knows them.
//!
//! Invariants: the same input gives the same bytes, in the same order; an error names the type or
//! trait, the place in its template and the expression; a value that comes from a secret store is
//! only ever named, never read.

mod configurations;
mod connections;
mod context;
mod error;
mod health;
mod input;
mod network;
mod objects;
mod operations;
mod path;
mod pipeline;
mod schema;
mod traits;
mod urls;
mod validations;

pub use connections::connection_env;
pub use error::{Error, Problem};
pub use health::{Health, health};
pub use input::{
    Connection, DataPlane, Environment, Input, Metadata, Named, PlaneRef, RemoteRef,
    ResourceBinding, SecretKeys, cell_namespace,
};
pub use network::network_policies;
pub use objects::{release_hash, resources};
pub use pipeline::{Rendered, check_component_type, check_trait, component};
pub use schema::resolved as resolved_schema;
pub use urls::endpoint_urls;

#[cfg(test)]
mod tests;
