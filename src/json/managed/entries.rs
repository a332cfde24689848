//! `metadata.managedFields`: reading, writing, and who is who.

use std::fmt;

use serde_json::{Map, Value, json};

use super::set::Set;

/// Most managers of `Update` operations an object keeps; the oldest beyond it are folded together.
const MAX_UPDATERS: usize = 10;
const FOLDED: &str = "ancient-changes";

/// How a manager writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Server-side apply.
    Apply,
    /// Everything else.
    Update,
}

/// One manager and what it owns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) manager: String,
    pub(super) operation: Operation,
    pub(super) api_version: String,
    pub(super) subresource: String,
    pub(super) time: Option<String>,
    pub(super) fields: Set,
}

impl Entry {
    /// Appliers are one manager across versions, updaters are not.
    pub(super) fn same_manager(&self, other: &Entry) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    /// The same manager owns the same fields of the same version.
    pub(super) fn is_same_but_time(&self, other: &Entry) -> bool {
        self.same_manager(other)
            && self.api_version == other.api_version
            && self.fields == other.fields
    }
}

/// As conflict messages name it: `"kubectl" with subresource "status" using apps/v1`.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.manager)?;
        if !self.subresource.is_empty() {
            write!(f, " with subresource {:?}", self.subresource)?;
        }
        if self.operation == Operation::Update {
            write!(f, " using {}", self.api_version)?;
            if let Some(time) = &self.time {
                write!(f, " at {time}")?;
            }
        }
        Ok(())
    }
}

/// The entries of an object; `None` when any is malformed, as when there is none.
pub(super) fn read(object: &Value) -> Option<Vec<Entry>> {
    let list = object.get("metadata")?.get("managedFields")?.as_array()?;
    let mut entries: Vec<Entry> = Vec::with_capacity(list.len());
    for item in list {
        let text =
            |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let operation = match text("operation").as_str() {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return None,
        };
        let fields = match item.get("fieldsV1") {
            Some(fields) => Set::from_fields_v1(fields)?,
            None => Set::default(),
        };
        entries.push(Entry {
            manager: text("manager"),
            operation,
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: Some(text("time")).filter(|time| !time.is_empty()),
            fields,
        });
    }
    Some(entries)
}

/// True for the one spelling that asks to forget all managers: a single empty entry.
pub(super) fn asks_for_reset(object: &Value) -> bool {
    let list =
        object.get("metadata").and_then(|m| m.get("managedFields")).and_then(Value::as_array);
    list.is_some_and(|list| list.len() == 1 && list[0] == json!({}))
}

/// Puts the entries into the object; none at all removes the field.
pub(super) fn write(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.fields.is_empty());
    fold(&mut entries);
    entries.sort_by(|a, b| {
        let key = |e: &Entry| {
            (
                e.operation,
                e.time.clone(),
                e.manager.clone(),
                e.api_version.clone(),
                e.subresource.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
    if entries.is_empty() {
        super::strip(object);
        return;
    }
    let list: Vec<Value> = entries
        .iter()
        .map(|entry| {
            let mut item = Map::new();
            item.insert("apiVersion".into(), entry.api_version.as_str().into());
            item.insert("fieldsType".into(), "FieldsV1".into());
            item.insert("fieldsV1".into(), entry.fields.to_fields_v1());
            item.insert("manager".into(), entry.manager.as_str().into());
            item.insert(
                "operation".into(),
                match entry.operation {
                    Operation::Apply => "Apply".into(),
                    Operation::Update => "Update".into(),
                },
            );
            if !entry.subresource.is_empty() {
                item.insert("subresource".into(), entry.subresource.as_str().into());
            }
            if let Some(time) = &entry.time {
                item.insert("time".into(), time.as_str().into());
            }
            Value::Object(item)
        })
        .collect();
    if let Value::Object(fields) = object
        && let Value::Object(metadata) = fields.entry("metadata").or_insert_with(|| json!({}))
    {
        metadata.insert("managedFields".into(), Value::Array(list));
    }
}

/// Folds the oldest updaters of a version into one, so that the list stays bounded.
fn fold(entries: &mut Vec<Entry>) {
    let updaters = |entries: &[Entry]| {
        let mut at: Vec<usize> = (0..entries.len())
            .filter(|i| {
                entries[*i].operation == Operation::Update && entries[*i].subresource.is_empty()
            })
            .collect();
        at.sort_by(|a, b| entries[*a].time.cmp(&entries[*b].time));
        at
    };
    loop {
        let oldest = updaters(entries);
        if oldest.len() <= MAX_UPDATERS {
            return;
        }
        let first = entries[oldest[0]].clone();
        let Some(second) =
            oldest[1..].iter().find(|i| entries[**i].api_version == first.api_version)
        else {
            return;
        };
        let second = &mut entries[*second];
        second.fields.extend(&first.fields);
        second.manager = FOLDED.to_owned();
        entries.remove(oldest[0]);
    }
}
