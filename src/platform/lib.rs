//! The platform: `openchoreo.dev/v1alpha1`.
//!
//! - [`types`]: the kinds, and the CustomResourceDefinitions made from them.
//! - [`render`]: from a component release and an environment to manifests; pure.
//! - [`controllers`]: the I/O around it, [`controllers::run`] being the role `controller-manager`.
//! - [`remote`]: Kubernetes clients for planes, over the cluster gateway.
//!
//! Invariants: nothing here knows on which provider or cluster it runs; a plane is reached only through a
//! [`kube::Client`] that is handed in or made over the cluster gateway.

pub mod controllers;
pub mod remote;
pub mod render;
pub mod types;
