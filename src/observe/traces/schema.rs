//! Tables of spans.
//!
//! A `source` is a process that records spans, a `part` what one source adds to one trace: lists of traces are made of
//! parts alone. Spans lie together by trace.

use crate::database::Layout;
use crate::owner::owner_columns;

pub(super) const LAYOUT: Layout = Layout {
    version: 1,
    tables: concat!(
        "CREATE TABLE source (id INTEGER PRIMARY KEY, ",
        owner_columns!(),
        ", pod TEXT NOT NULL, pod_namespace TEXT NOT NULL, resource TEXT NOT NULL,
    UNIQUE (namespace, project, component, environment, project_uid, component_uid, environment_uid,
        pod, pod_namespace, resource)
);
CREATE TABLE trace (id INTEGER PRIMARY KEY, trace BLOB NOT NULL UNIQUE, last INTEGER NOT NULL);
CREATE INDEX trace_last ON trace (last);
CREATE TABLE part (
    trace INTEGER NOT NULL, source INTEGER NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, spans INTEGER NOT NULL, errors INTEGER NOT NULL,
    top INTEGER NOT NULL, top_is_root INTEGER NOT NULL, top_start INTEGER NOT NULL,
    top_name TEXT NOT NULL, top_kind INTEGER NOT NULL,
    PRIMARY KEY (trace, source)
) WITHOUT ROWID;
CREATE INDEX part_place ON part (source, first);
CREATE TABLE span (
    trace INTEGER NOT NULL, span INTEGER NOT NULL, parent INTEGER, source INTEGER NOT NULL,
    name TEXT NOT NULL, kind INTEGER NOT NULL, start INTEGER NOT NULL, duration INTEGER NOT NULL,
    status INTEGER NOT NULL, message TEXT NOT NULL, attributes TEXT, events TEXT,
    PRIMARY KEY (trace, span)
) WITHOUT ROWID;
"
    ),
    owners: "source",
};
