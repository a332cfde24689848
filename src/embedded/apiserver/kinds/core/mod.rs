//! The core group.

mod account;
mod data;
mod endpoints;
pub(super) mod event;
mod limit_range;
mod namespace;
mod node;
mod pod;
mod resource_quota;
mod service;
mod volume;

pub(in crate::apiserver) use pod::EPHEMERAL_CONTAINERS;

use super::builtin::{ALL, CLUSTER, Line, PLAIN};
use super::columns::CREATED;
use crate::apiserver::handle::subresource;

const EVENT_FIELDS: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];
const POD_FIELDS: &[&str] = &[
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
];

pub(super) const KINDS: &[Line] = &[
    Line {
        kind: "Namespace",
        plural: "namespaces",
        short: &["ns"],
        strategy: namespace::NAMESPACE,
        columns: namespace::COLUMNS,
        selectable: &["status.phase"],
        subresources: &[subresource::FINALIZE],
        status: true,
        ..CLUSTER
    },
    Line {
        kind: "Node",
        plural: "nodes",
        short: &["no"],
        strategy: node::NODE,
        columns: node::COLUMNS,
        selectable: &["spec.unschedulable"],
        subresources: &[subresource::PROXY],
        status: true,
        ..CLUSTER
    },
    Line {
        kind: "Pod",
        plural: "pods",
        short: &["po"],
        categories: ALL,
        strategy: pod::POD,
        columns: pod::COLUMNS,
        selectable: POD_FIELDS,
        subresources: &[
            subresource::ATTACH,
            subresource::BINDING,
            subresource::EPHEMERAL_CONTAINERS,
            subresource::EVICTION,
            subresource::EXEC,
            subresource::LOG,
            subresource::PORT_FORWARD,
        ],
        status: true,
        generation: true,
        ..PLAIN
    },
    Line {
        kind: "Service",
        plural: "services",
        short: &["svc"],
        categories: ALL,
        strategy: service::SERVICE,
        columns: service::COLUMNS,
        selectable: &["spec.clusterIP", "spec.type"],
        status: true,
        ..PLAIN
    },
    Line {
        kind: "Endpoints",
        plural: "endpoints",
        short: &["ep"],
        strategy: endpoints::ENDPOINTS,
        columns: endpoints::COLUMNS,
        ..PLAIN
    },
    Line {
        kind: "ConfigMap",
        plural: "configmaps",
        short: &["cm"],
        strategy: data::CONFIG_MAP,
        columns: data::CONFIG_MAP_COLUMNS,
        ..PLAIN
    },
    Line {
        kind: "Secret",
        plural: "secrets",
        strategy: data::SECRET,
        columns: data::SECRET_COLUMNS,
        selectable: &["type"],
        ..PLAIN
    },
    Line {
        kind: "PersistentVolume",
        plural: "persistentvolumes",
        short: &["pv"],
        strategy: volume::VOLUME,
        columns: volume::VOLUME_COLUMNS,
        status: true,
        ..CLUSTER
    },
    Line {
        kind: "PersistentVolumeClaim",
        plural: "persistentvolumeclaims",
        short: &["pvc"],
        strategy: volume::CLAIM,
        columns: volume::CLAIM_COLUMNS,
        status: true,
        ..PLAIN
    },
    Line {
        kind: "ServiceAccount",
        plural: "serviceaccounts",
        short: &["sa"],
        columns: account::COLUMNS,
        subresources: &[subresource::TOKEN],
        ..PLAIN
    },
    Line {
        kind: "Event",
        plural: "events",
        short: &["ev"],
        strategy: event::EVENT,
        columns: event::COLUMNS,
        selectable: EVENT_FIELDS,
        ..PLAIN
    },
    Line {
        kind: "LimitRange",
        plural: "limitranges",
        short: &["limits"],
        strategy: limit_range::LIMIT_RANGE,
        columns: CREATED,
        ..PLAIN
    },
    Line {
        kind: "ResourceQuota",
        plural: "resourcequotas",
        short: &["quota"],
        strategy: resource_quota::RESOURCE_QUOTA,
        columns: resource_quota::COLUMNS,
        status: true,
        ..PLAIN
    },
];
