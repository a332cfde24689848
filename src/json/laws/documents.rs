//! Small documents of a kind that has every sort of field there is, and what is in them as a flat table.

use std::collections::BTreeMap;

use curtain_schema::crd::CrdSchema;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

/// A kind with scalars, nested objects, a map, an atomic object, an atomic list, a set, and a list with keys whose items
/// have a list with two keys, one of them with a default.
pub(super) fn kind() -> CrdSchema {
    let number = || json!({"type": "integer"});
    let text = || json!({"type": "string"});
    let ports = json!({
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
        "items": {"type": "object", "required": ["port"], "properties": {
            "port": number(), "protocol": {"type": "string", "default": "TCP"}, "note": number()}}});
    let parts = json!({
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
        "items": {"type": "object", "required": ["name"], "properties": {
            "name": text(), "v": number(), "w": number(), "ports": ports}}});
    let deep = json!({"type": "object", "properties": {
        "x": number(), "y": number(), "inner": {"type": "object", "properties": {"z": number()}}}});
    let whole = json!({"type": "object", "x-kubernetes-map-type": "atomic",
        "properties": {"p": number(), "q": number()}});
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "a": number(), "b": text(), "deep": deep, "whole": whole, "parts": parts,
        "marks": {"type": "object", "additionalProperties": text()},
        "names": {"type": "array", "x-kubernetes-list-type": "set", "items": text()},
        "list": {"type": "array", "items": number()}}}}});
    CrdSchema::compile(&schema, "schema").expect("a structural schema")
}

/// A document with this spec and these labels.
pub(super) fn document(spec: Value, labels: Map<String, Value>) -> Value {
    let mut document =
        json!({"apiVersion": "laws.dev/v1", "kind": "Law", "metadata": {"name": "law"}});
    if !labels.is_empty() {
        document["metadata"]["labels"] = labels.into();
    }
    if spec.as_object().is_some_and(|spec| !spec.is_empty()) {
        document["spec"] = spec;
    }
    document
}

/// An object of the fields that there are.
pub(super) fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Option<Value> {
    let fields: Map<String, Value> =
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    (!fields.is_empty()).then_some(Value::Object(fields))
}

fn number() -> impl Strategy<Value = Option<Value>> {
    option::of((0..3).prop_map(Value::from))
}

fn deep() -> impl Strategy<Value = Option<Value>> {
    (number(), number(), number())
        .prop_map(|(x, y, z)| object([("x", x), ("y", y), ("inner", object([("z", z)]))]))
}

pub(super) fn texts(names: &'static [&'static str]) -> impl Strategy<Value = Map<String, Value>> {
    btree_map(select(names), select(&["1", "2"][..]), 0..=names.len())
        .prop_map(|map| map.into_iter().map(|(k, v)| (k.to_owned(), v.into())).collect())
}

fn ports() -> impl Strategy<Value = Option<Value>> {
    let all = vec![(80, None), (80, Some("UDP")), (81, None), (81, Some("TCP"))];
    option::of((subsequence(all, 0..=3).prop_shuffle(), vec(number(), 3))).prop_map(|made| {
        let (ports, notes) = made?;
        let mut items: Vec<Value> = Vec::new();
        let mut known = Vec::new();
        for ((port, protocol), note) in ports.into_iter().zip(notes) {
            let key = (port, protocol.unwrap_or("TCP"));
            if known.contains(&key) {
                continue;
            }
            known.push(key);
            let protocol = protocol.map(Value::from);
            items.extend(object([
                ("port", Some(port.into())),
                ("protocol", protocol),
                ("note", note),
            ]));
        }
        Some(items.into())
    })
}

fn parts() -> impl Strategy<Value = Option<Value>> {
    let names = subsequence(vec!["a", "b", "c"], 0..=3).prop_shuffle();
    option::of((names, vec((number(), number(), ports()), 3))).prop_map(|made| {
        let (names, rest) = made?;
        let items = names.into_iter().zip(rest).filter_map(|(name, (v, w, ports))| {
            object([("name", Some(name.into())), ("v", v), ("w", w), ("ports", ports)])
        });
        Some(items.collect::<Vec<_>>().into())
    })
}

/// Documents of [`kind`].
pub(super) fn documents() -> impl Strategy<Value = Value> {
    let whole = (number(), number()).prop_map(|(p, q)| object([("p", p), ("q", q)]));
    let names = option::of(subsequence(vec!["p", "q", "r"], 0..=3).prop_shuffle());
    let list = option::of(vec(0..3, 0..3));
    let text = option::of(select(&["s", "t"][..]));
    let marks = texts(&["k", "l"]);
    let labels = texts(&["m", "n"]);
    (number(), text, deep(), marks, whole, names, parts(), list, labels).prop_map(
        |(a, b, deep, marks, whole, names, parts, list, labels)| {
            let marks = (!marks.is_empty()).then_some(Value::Object(marks));
            let fields = object([
                ("a", a),
                ("b", b.map(Value::from)),
                ("deep", deep),
                ("marks", marks),
                ("whole", whole),
                ("names", names.map(Value::from)),
                ("parts", parts),
                ("list", list.map(Value::from)),
            ]);
            document(fields.unwrap_or_default(), labels)
        },
    )
}

/// What is at a place: the text of a value that is one for all, or that there is an item.
pub(super) type Table = BTreeMap<String, String>;

/// Everything that somebody could own: a row for each value and for each item of a list, by its path. Objects and lists
/// themselves have none.
pub(super) fn flat(document: &Value) -> Table {
    let mut table = Table::new();
    for part in ["spec", "metadata"] {
        if let Some(value) = document.get(part) {
            lay(value, part, format!(".{part}"), &mut table);
        }
    }
    table.retain(|path, _| {
        path.starts_with(".spec")
            || path.starts_with(".metadata.labels")
            || path.starts_with(".metadata.annotations")
    });
    table
}

fn lay(value: &Value, name: &str, path: String, table: &mut Table) {
    match (name, value) {
        ("whole" | "list", _) => drop(table.insert(path, value.to_string())),
        ("names", Value::Array(items)) => {
            for item in items {
                table.insert(format!("{path}[={item}]"), "an item".into());
            }
        }
        ("parts" | "ports", Value::Array(items)) => {
            for item in items {
                let path = format!("{path}{}", key(name, item));
                table.insert(path.clone(), "an item".into());
                lay(item, "an item", path, table);
            }
        }
        (_, Value::Object(fields)) => {
            for (name, value) in fields {
                lay(value, name, format!("{path}.{name}"), table);
            }
        }
        _ => drop(table.insert(path, value.to_string())),
    }
}

/// What tells an item from its neighbours.
fn key(list: &str, item: &Value) -> String {
    if list == "parts" {
        return format!("[name={}]", item["name"]);
    }
    let protocol = item["protocol"].as_str().unwrap_or("TCP");
    format!("[port={},protocol={:?}]", item["port"], protocol)
}

/// The objects and lists around a path that are fields with names of their own, the outermost first.
pub(super) fn around(path: &str) -> Vec<&str> {
    const NAMED: [&str; 7] = ["spec", "deep", "inner", "marks", "names", "parts", "ports"];
    let ends = path.char_indices().filter(|(at, c)| *at > 0 && matches!(c, '.' | '['));
    ends.map(|(at, _)| &path[..at])
        .filter(|around| {
            around.rsplit('.').next().is_some_and(|name| NAMED.contains(&name))
                || *around == ".metadata.labels"
        })
        .collect()
}

/// Whether `path` is `place` or inside it.
pub(super) fn inside(path: &str, place: &str) -> bool {
    path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
