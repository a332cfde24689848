//! ReplicaSets.

use super::super::columns::{Printer, container_columns, count, name, old, selector};
use super::super::{Strategy, ValueExt};
use super::workload;

pub(super) const REPLICA_SET: Strategy =
    Strategy { default: workload::default, validate: workload::validate, ..Strategy::PLAIN };

pub(super) const COLUMNS: Printer = Printer(
    &[
        ("Name", "string", 0),
        ("Desired", "integer", 0),
        ("Current", "integer", 0),
        ("Ready", "integer", 0),
        ("Age", "string", 0),
        ("Containers", "string", 1),
        ("Images", "string", 1),
        ("Selector", "string", 1),
    ],
    |o, now| {
        let [containers, images] = container_columns(&o["spec"]["template"]["spec"]);
        let numbers =
            [&["spec", "replicas"], &["status", "replicas"], &["status", "readyReplicas"]];
        let [desired, current, ready] = numbers.map(|path| count(o, path));
        let selector = selector(o.at(&["spec", "selector"]));
        vec![
            name(o),
            desired.into(),
            current.into(),
            ready.into(),
            old(o, now),
            containers,
            images,
            selector,
        ]
    },
);
