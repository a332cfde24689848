//! The platform: `openchoreo.dev/v1alpha1`.
//!
//! - [`types`]: the kinds, and the CustomResourceDefinitions made from them.
//!
//! Invariants: nothing here knows on which provider or cluster it runs; a data plane is reached only through a
//! [`kube::Client`] that is handed in or made over the cluster gateway.

pub mod types;
