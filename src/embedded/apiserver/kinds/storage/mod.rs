//! `storage.k8s.io`: StorageClasses.

mod class;

use super::builtin::{CLUSTER, Line};

pub(super) use class::{allows_growth, default_class};

pub(super) const KINDS: &[Line] = &[Line {
    kind: "StorageClass",
    plural: "storageclasses",
    short: &["sc"],
    strategy: class::CLASS,
    columns: class::COLUMNS,
    ..CLUSTER
}];
