//! `networking.k8s.io`. Ingresses are kept for whoever serves them: this cluster has no controller of its own, as
//! kubeadm's has none.

mod block;
mod ingress;
mod ingress_class;
mod network_policy;
mod reference;

use super::builtin::{CLUSTER, Line, PLAIN};

pub(super) const KINDS: &[Line] = &[
    Line {
        kind: "Ingress",
        plural: "ingresses",
        short: &["ing"],
        strategy: ingress::INGRESS,
        columns: ingress::COLUMNS,
        generation: true,
        status: true,
        ..PLAIN
    },
    Line {
        kind: "IngressClass",
        plural: "ingressclasses",
        strategy: ingress_class::CLASS,
        columns: ingress_class::COLUMNS,
        generation: true,
        ..CLUSTER
    },
    Line {
        kind: "NetworkPolicy",
        plural: "networkpolicies",
        short: &["netpol"],
        strategy: network_policy::NETWORK_POLICY,
        columns: network_policy::COLUMNS,
        generation: true,
        ..PLAIN
    },
];
