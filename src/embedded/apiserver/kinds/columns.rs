//! Printer columns: what `kubectl get` shows.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::time::age;
use super::ValueExt;

/// One column of a Table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    /// Heading.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub kind: String,
    /// `name` marks the column of names.
    pub format: String,
    /// What it shows.
    pub description: String,
    /// 0 is always shown, 1 only with `-o wide`.
    pub priority: i64,
}

/// The columns of a kind and how their cells are filled.
pub(crate) enum Columns {
    /// Compiled in.
    Builtin(Printer),
    /// From a definition: each with the field path of its cell.
    Paths(Vec<(Column, super::super::jsonpath::Path)>),
}

/// The columns of a built-in kind: name, type and priority of each, and the cells of an object.
#[derive(Clone, Copy)]
pub(crate) struct Printer(
    pub &'static [(&'static str, &'static str, i64)],
    pub fn(&Value, Timestamp) -> Vec<Value>,
);

impl Columns {
    /// The headings.
    pub(crate) fn headings(&self) -> Vec<Column> {
        match self {
            Columns::Builtin(Printer(columns, _)) => columns
                .iter()
                .map(|(name, kind, priority)| Column {
                    name: (*name).into(),
                    kind: (*kind).into(),
                    format: if *name == "Name" { "name".into() } else { String::new() },
                    description: (*name).into(),
                    priority: *priority,
                })
                .collect(),
            Columns::Paths(columns) => {
                let name = Column {
                    name: "Name".into(),
                    kind: "string".into(),
                    format: "name".into(),
                    description: "Name must be unique within a namespace.".into(),
                    priority: 0,
                };
                std::iter::once(name)
                    .chain(columns.iter().map(|(column, _)| column.clone()))
                    .collect()
            }
        }
    }

    /// The cells of one object.
    pub(crate) fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        match self {
            Columns::Builtin(Printer(_, cells)) => cells(object, now),
            Columns::Paths(columns) => {
                let name = object["metadata"]["name"].clone();
                let cell = |(column, path): &(Column, super::super::jsonpath::Path)| {
                    let value = path.first(object);
                    match (column.kind.as_str(), value) {
                        (_, None | Some(Value::Null)) => Value::Null,
                        ("date", Some(value)) => {
                            age(value.as_str().unwrap_or_default(), now).into()
                        }
                        ("string", Some(Value::String(text))) => text.as_str().into(),
                        ("string", Some(other)) => other.to_string().into(),
                        ("integer", Some(value)) => {
                            value.as_f64().map_or(Value::Null, |n| json!(n as i64))
                        }
                        (_, Some(value)) => value.clone(),
                    }
                };
                std::iter::once(name).chain(columns.iter().map(cell)).collect()
            }
        }
    }
}

pub(super) fn name(object: &Value) -> Value {
    object["metadata"]["name"].clone()
}

pub(super) fn old(object: &Value, now: Timestamp) -> Value {
    age(object.text(&["metadata", "creationTimestamp"]), now).into()
}

pub(super) fn or_none(text: &str) -> Value {
    if text.is_empty() { "<none>".into() } else { text.into() }
}

pub(super) fn count(object: &Value, path: &[&str]) -> i64 {
    object.int(path).unwrap_or(0)
}

/// The names and images of a pod specification's containers.
pub(super) fn container_columns(spec: &Value) -> [Value; 2] {
    let column = |field: &str| {
        let names = spec.list(&["containers"]).iter().map(|c| c.text(&[field]));
        names.collect::<Vec<_>>().join(",").into()
    };
    [column("name"), column("image")]
}

/// A label selector as text.
pub(super) fn selector(selector: Option<&Value>) -> Value {
    let Some(selector) = selector else { return "<none>".into() };
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let mut parts: Vec<String> = selector
        .at(&["matchLabels"])
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name}={}", text(value)))
        .collect();
    for expression in selector.list(&["matchExpressions"]) {
        let key = expression.text(&["key"]);
        let values = expression.list(&["values"]).iter().map(text).collect::<Vec<_>>().join(",");
        parts.push(match expression.text(&["operator"]) {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    or_none(&parts.join(","))
}

/// The first few, and how many more there are.
pub(super) fn joined<'a>(all: impl Iterator<Item = String> + 'a, shown: usize) -> Value {
    let all: Vec<_> = all.collect();
    let text = all.iter().take(shown).cloned().collect::<Vec<_>>().join(",");
    if all.len() > shown {
        format!("{text} + {} more...", all.len() - shown).into()
    } else {
        or_none(&text)
    }
}

/// Name and age.
pub(super) const PLAIN: Printer =
    Printer(&[("Name", "string", 0), ("Age", "date", 0)], |o, now| vec![name(o), old(o, now)]);

/// Name and creation time, as RBAC kinds print it.
pub(super) const CREATED: Printer =
    Printer(&[("Name", "string", 0), ("Created At", "date", 0)], |o, _| {
        vec![name(o), o["metadata"]["creationTimestamp"].clone()]
    });
