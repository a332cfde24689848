//! `networking.k8s.io`.

mod network_policy;

use super::builtin::{Line, PLAIN};

pub(super) const KINDS: &[Line] = &[Line {
    kind: "NetworkPolicy",
    plural: "networkpolicies",
    short: &["netpol"],
    strategy: network_policy::NETWORK_POLICY,
    columns: network_policy::COLUMNS,
    generation: true,
    ..PLAIN
}];
