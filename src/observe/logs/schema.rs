//! Tables of log lines.
//!
//! The full-text index knows which lines have three characters after each other, not where: positions would be most of
//! what is stored. That a line has a whole phrase is seen in its text. The lines of a stream are ordered by level before
//! time: warnings and errors are few among the others, and found without reading past those.

use crate::database::Layout;
use crate::owner::owner_columns;

pub(super) const LAYOUT: Layout = Layout {
    version: 3,
    tables: concat!(
        "CREATE TABLE stream (
    id INTEGER PRIMARY KEY,
    pod_uid TEXT NOT NULL, container TEXT NOT NULL, pod TEXT NOT NULL, pod_namespace TEXT NOT NULL,
    ",
        owner_columns!(),
        ",
    last_time INTEGER NOT NULL, last_ordinal INTEGER NOT NULL,
    UNIQUE (pod_uid, container)
);
CREATE INDEX stream_scope ON stream (namespace, project, component);
CREATE TABLE line (
    id INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL, time INTEGER NOT NULL, ordinal INTEGER NOT NULL,
    level INTEGER NOT NULL, text TEXT NOT NULL
);
CREATE INDEX line_place ON line (stream, level, time, ordinal);
CREATE INDEX line_time ON line (time);
CREATE VIRTUAL TABLE line_text USING fts5 (text, content='', contentless_delete=1, tokenize='trigram', detail=none);
INSERT INTO line_text (line_text, rank) VALUES ('automerge', 8);
"
    ),
    owners: "stream",
};
