//! `apps`: what keeps pods running.

mod controller_revision;
mod daemon_set;
mod deployment;
mod replica_set;
mod stateful_set;
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
        kind: "ControllerRevision",
        plural: "controllerrevisions",
        strategy: controller_revision::CONTROLLER_REVISION,
        columns: controller_revision::COLUMNS,
        ..PLAIN
    },
    Line {
        kind: "DaemonSet",
        plural: "daemonsets",
        short: &["ds"],
        categories: ALL,
        strategy: daemon_set::DAEMON_SET,
        columns: daemon_set::COLUMNS,
        status: true,
        generation: true,
        ..PLAIN
    },
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
    Line {
        kind: "StatefulSet",
        plural: "statefulsets",
        short: &["sts"],
        categories: ALL,
        strategy: stateful_set::STATEFUL_SET,
        columns: stateful_set::COLUMNS,
        status: true,
        scale: true,
        generation: true,
        ..PLAIN
    },
];
