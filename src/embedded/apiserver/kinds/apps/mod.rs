//! `apps`: what keeps pods running.

mod deployment;
mod replica_set;
mod workload;

use super::builtin::{ALL, Line, PLAIN};

/// A kind with replicas.
const WORKLOAD: Line = Line {
    categories: ALL,
    selectable: &["status.replicas"],
    status: true,
    scale: true,
    generation: true,
    ..PLAIN
};

pub(super) const KINDS: &[Line] = &[
    Line {
        kind: "Deployment",
        plural: "deployments",
        short: &["deploy"],
        strategy: deployment::DEPLOYMENT,
        columns: deployment::COLUMNS,
        ..WORKLOAD
    },
    Line {
        kind: "ReplicaSet",
        plural: "replicasets",
        short: &["rs"],
        strategy: replica_set::REPLICA_SET,
        columns: replica_set::COLUMNS,
        ..WORKLOAD
    },
];
