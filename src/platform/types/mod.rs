//! The kinds of `openchoreo.dev/v1alpha1`.
//!
//! Every kind is one row of the table in `registry.rs`: names, scope, printer columns, spec and status. The row yields
//! the Rust type (a [`kube::Resource`]), and the CustomResourceDefinition that `manifests/crds` holds.
//!
//! Invariants: the schemas equal upstream's (descriptions aside), which the digests in `upstream.txt` check, except for
//! the differences listed in `crd.rs`. Opaque parts (templates, parameters) are [`serde_json::Value`] and are stored and
//! passed on as they came.

mod alert_rule;
mod authz;
mod component;
mod component_release;
mod component_type;
mod condition;
mod crd;
mod environment;
mod gateway;
mod kind;
#[cfg(test)]
mod manifests;
mod notification_channel;
mod plane;
mod project;
mod registry;
mod release_binding;
mod rendered_release;
mod resource_template;
mod schema;
mod traits;
mod workload;

pub use alert_rule::*;
pub use authz::*;
pub use component::*;
pub use component_release::*;
pub use component_type::*;
pub use condition::*;
pub use crd::{crd, crd_yaml};
pub use environment::*;
pub use gateway::*;
pub use kind::*;
pub use notification_channel::*;
pub use plane::*;
pub use project::*;
pub use registry::*;
pub use release_binding::*;
pub use rendered_release::*;
pub use resource_template::*;
pub use traits::*;
pub use workload::*;

/// Labels and annotations with a meaning to the platform.
pub mod labels;
