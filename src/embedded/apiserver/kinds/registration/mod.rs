//! `admissionregistration.k8s.io`: who else is asked about writes.

mod client;
mod condition;
mod rule;
mod webhook;

use super::builtin::{CLUSTER, Line};

pub(in crate::apiserver) use condition::compile;

/// Writes of this group are nobody else's business: a hook could otherwise keep itself from being removed.
pub(in crate::apiserver) const GROUP: &str = "admissionregistration.k8s.io";

pub(super) const KINDS: &[Line] = &[
    Line {
        kind: "MutatingWebhookConfiguration",
        plural: "mutatingwebhookconfigurations",
        strategy: webhook::MUTATING,
        columns: webhook::COLUMNS,
        generation: true,
        ..CLUSTER
    },
    Line {
        kind: "ValidatingWebhookConfiguration",
        plural: "validatingwebhookconfigurations",
        strategy: webhook::VALIDATING,
        columns: webhook::COLUMNS,
        generation: true,
        ..CLUSTER
    },
];
