//! Tables of events.

use crate::database::Layout;
use crate::owner::owner_columns;

pub(super) const LAYOUT: Layout = Layout {
    version: 1,
    tables: concat!(
        "CREATE TABLE owner (id INTEGER PRIMARY KEY, ",
        owner_columns!(),
        ", UNIQUE (namespace, project, component, environment, project_uid, component_uid, environment_uid));
CREATE TABLE event (
    id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, owner INTEGER NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL,
    type TEXT NOT NULL, reason TEXT NOT NULL, message TEXT NOT NULL,
    object_kind TEXT NOT NULL, object_name TEXT NOT NULL, object_namespace TEXT NOT NULL
);
CREATE INDEX event_place ON event (owner, last);
CREATE INDEX event_time ON event (last);
"
    ),
    owners: "owner",
};
