//! `admissionregistration.k8s.io`: who else is asked about writes.

mod binding;
mod client;
mod condition;
mod expression;
mod grant;
mod matches;
mod policy;
mod rule;
mod webhook;

use super::builtin::{CLUSTER, Line};

pub(in crate::apiserver) use expression::{Scope, variable};
pub(in crate::apiserver) use grant::resource_of;

/// Writes of this group are no webhook's business: it could otherwise keep itself from being removed. For the same
/// reason policies and their bindings are no policy's business.
pub(in crate::apiserver) const GROUP: &str = "admissionregistration.k8s.io";

pub(in crate::apiserver) const POLICIES: &str = "validatingadmissionpolicies";
pub(in crate::apiserver) const BINDINGS: &str = "validatingadmissionpolicybindings";

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
    Line {
        kind: "ValidatingAdmissionPolicy",
        plural: POLICIES,
        categories: &["api-extensions"],
        strategy: policy::POLICY,
        columns: policy::COLUMNS,
        status: true,
        generation: true,
        ..CLUSTER
    },
    Line {
        kind: "ValidatingAdmissionPolicyBinding",
        plural: BINDINGS,
        categories: &["api-extensions"],
        strategy: binding::BINDING,
        columns: binding::COLUMNS,
        generation: true,
        ..CLUSTER
    },
];
