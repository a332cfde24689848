//! `events.k8s.io`: the newer form of the core group's Events.

use super::builtin::{Line, PLAIN};
use super::core::event;

pub(super) const KINDS: &[Line] = &[Line {
    kind: "Event",
    plural: "events",
    short: &["ev"],
    strategy: event::NEW_EVENT,
    columns: event::COLUMNS,
    stored_as: Some(("", "v1")),
    ..PLAIN
}];
