//! Events, in the form of the core group and in that of `events.k8s.io`.

use serde_json::{Value, json};

use super::super::columns::{Printer, name};
use super::super::{Strategy, ValueExt};
use crate::apiserver::time::age;

pub(super) const EVENT: Strategy =
    Strategy { default: default_event, create_on_update: true, ..Strategy::PLAIN };

/// The newer form of the same objects: fields that have other names there.
const EVENT_NAMES: [(&str, &str); 7] = [
    ("message", "note"),
    ("involvedObject", "regarding"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

fn rename(object: &mut Value, names: impl Iterator<Item = (&'static str, &'static str)>) {
    for (from, to) in names {
        if let Some(value) = object.drop_field(from)
            && !value.is_null()
        {
            object[to] = value;
        }
    }
}

/// The stored form of an event in either form.
fn stored_event(event: &Value) -> Value {
    let mut stored = event.clone();
    rename(&mut stored, EVENT_NAMES.into_iter().map(|(old, new)| (new, old)));
    stored
}

pub(in super::super) const NEW_EVENT: Strategy = Strategy {
    serve: Some(|object| rename(object, EVENT_NAMES.into_iter())),
    store: Some(|object| {
        rename(object, EVENT_NAMES.into_iter().map(|(old, new)| (new, old)));
        default_event(object);
    }),
    create_on_update: true,
    ..Strategy::PLAIN
};

fn default_event(object: &mut Value) {
    object.default_to("reportingComponent", "");
    object.default_to("reportingInstance", "");
    object.default_to("source", json!({}));
    for field in ["firstTimestamp", "lastTimestamp", "eventTime"] {
        object.default_to(field, Value::Null);
    }
}

pub(in super::super) const COLUMNS: Printer = Printer(
    &[
        ("Last Seen", "string", 0),
        ("Type", "string", 0),
        ("Reason", "string", 0),
        ("Object", "string", 0),
        ("Subobject", "string", 1),
        ("Source", "string", 1),
        ("Message", "string", 0),
        ("First Seen", "string", 1),
        ("Count", "string", 1),
        ("Name", "string", 1),
    ],
    |o, now| {
        // Both forms of events are shown from the stored one.
        let o = &stored_event(o);
        let event_time = o.text(&["eventTime"]);
        let time = |field: &str| match o.text(&[field]) {
            "" => age(event_time, now),
            time => age(time, now),
        };
        let last = match o.text(&["series", "lastObservedTime"]) {
            "" => time("lastTimestamp"),
            seen => age(seen, now),
        };
        let object = format!(
            "{}/{}",
            o.text(&["involvedObject", "kind"]).to_lowercase(),
            o.text(&["involvedObject", "name"])
        );
        let source = match o.text(&["source", "component"]) {
            "" => o.text(&["reportingComponent"]),
            component => component,
        };
        vec![
            last.into(),
            o["type"].clone(),
            o["reason"].clone(),
            object.into(),
            o.text(&["involvedObject", "fieldPath"]).into(),
            source.into(),
            o.text(&["message"]).trim().into(),
            time("firstTimestamp").into(),
            o.int(&["series", "count"]).or(o.int(&["count"])).unwrap_or(1).to_string().into(),
            name(o),
        ]
    },
);
