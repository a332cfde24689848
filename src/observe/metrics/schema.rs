//! Tables of samples.
//!
//! A moment holds all values of an owner at one time, packed. Its grain says how many seconds it covers: each value is
//! in exactly one moment, and as it gets older in a coarser one.

use crate::database::Layout;
use crate::owner::owner_columns;

pub(super) const LAYOUT: Layout = Layout {
    version: 1,
    tables: concat!(
        "CREATE TABLE owner (id INTEGER PRIMARY KEY, ",
        owner_columns!(),
        ", UNIQUE (namespace, project, component, environment, project_uid, component_uid, environment_uid));
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    owner INTEGER NOT NULL, name TEXT NOT NULL, labels TEXT NOT NULL,
    last INTEGER NOT NULL,
    UNIQUE (owner, name, labels)
);
CREATE TABLE moment (
    owner INTEGER NOT NULL, grain INTEGER NOT NULL, time INTEGER NOT NULL,
    ticks INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (owner, grain, time)
) WITHOUT ROWID;
"
    ),
    owners: "owner",
};

/// How long values stay at a grain, in seconds. Those of the last one stay as long as retention lets them.
pub(super) struct Grain {
    /// Seconds that a moment covers.
    pub(super) span: i64,
    /// Seconds that it stays.
    pub(super) stays: i64,
}

pub(super) const GRAINS: [Grain; 3] = [
    Grain { span: super::wire::INTERVAL, stays: 2 * 3600 },
    Grain { span: 60, stays: 24 * 3600 },
    Grain { span: 900, stays: i64::MAX },
];
