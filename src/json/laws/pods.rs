//! Small pods, the strategic merge patch from one to another as kubectl makes it, and what is in them as a flat table.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

use super::documents::{object, texts};

/// The lists of objects that merge, with the field that tells their items apart.
const KEYED: [(&str, &str); 4] =
    [("containers", "name"), ("env", "name"), ("ports", "containerPort"), ("volumes", "name")];
/// Objects of which a patch names the fields that stay.
const RETAINED: [&str; 1] = ["volumes"];

pub(super) fn key_of(list: &str) -> Option<&'static str> {
    KEYED.iter().find(|(name, _)| *name == list).map(|(_, key)| *key)
}

fn number() -> impl Strategy<Value = Option<Value>> {
    option::of((0..3).prop_map(Value::from))
}

fn words(all: &'static [&'static str]) -> impl Strategy<Value = Option<Value>> {
    option::of(subsequence(all, 0..=all.len()).prop_shuffle().prop_map(Value::from))
}

/// A list whose items have keys, in any order.
fn items<F: Strategy<Value = Map<String, Value>>>(
    key: &'static str,
    keys: Vec<Value>,
    fields: F,
) -> impl Strategy<Value = Option<Value>> {
    let count = keys.len();
    let made = (subsequence(keys, 0..=count).prop_shuffle(), vec(fields, count));
    option::of(made.prop_map(move |(keys, fields)| {
        let items = keys.into_iter().zip(fields).map(|(value, mut fields)| {
            fields.insert(key.to_owned(), value);
            Value::Object(fields)
        });
        items.collect::<Vec<_>>().into()
    }))
}

fn fields<const N: usize>(all: [(&str, Option<Value>); N]) -> Map<String, Value> {
    match object(all) {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

fn names(all: &[&str]) -> Vec<Value> {
    all.iter().map(|name| Value::from(*name)).collect()
}

fn containers() -> impl Strategy<Value = Option<Value>> {
    let value = || select(&["1", "2"][..]).prop_map(Value::from);
    let env = items("name", names(&["X", "Y"]), value().prop_map(|v| fields([("value", Some(v))])));
    let port = option::of(value()).prop_map(|name| fields([("name", name)]));
    let ports = items("containerPort", vec![80.into(), 81.into(), 82.into()], port);
    let container = (option::of(value()), words(&["x", "y"]), env, ports).prop_map(
        |(image, command, env, ports)| {
            fields([("image", image), ("command", command), ("env", env), ("ports", ports)])
        },
    );
    items("name", names(&["a", "b", "c"]), container)
}

/// Pods.
pub(super) fn pods() -> impl Strategy<Value = Value> {
    let volume = prop_oneof![
        Just(fields([("emptyDir", Some(json!({"medium": "Memory"})))])),
        select(&["one", "two"][..])
            .prop_map(|name| fields([("configMap", Some(json!({ "name": name })))])),
    ];
    let volumes = items("name", names(&["v", "w"]), volume);
    let selector = texts(&["k", "l"]).prop_map(|map| (!map.is_empty()).then(|| map.into()));
    let labels = texts(&["m", "n"]).prop_map(|map| (!map.is_empty()).then(|| map.into()));
    let made = (
        number(),
        selector,
        containers(),
        volumes,
        words(&["t", "u"]),
        labels,
        words(&["f/a", "f/b", "f/c"]),
    );
    made.prop_map(|(seconds, selector, containers, volumes, hosts, labels, finalizers)| {
        let spec = object([
            ("activeDeadlineSeconds", seconds),
            ("nodeSelector", selector),
            ("containers", containers),
            ("volumes", volumes),
            // One value as a whole.
            (
                "tolerations",
                hosts.map(|all| {
                    all.as_array()
                        .into_iter()
                        .flatten()
                        .map(|key| json!({ "key": key }))
                        .collect::<Vec<_>>()
                        .into()
                }),
            ),
        ]);
        let metadata = object([("labels", labels), ("finalizers", finalizers)]);
        Value::Object(fields([("metadata", metadata), ("spec", spec)]))
    })
}

/// The patch that kubectl would send to make `to` of `from`.
pub(super) fn way(from: &Map<String, Value>, to: &Map<String, Value>) -> Map<String, Value> {
    let mut way = Map::new();
    for name in from.keys().filter(|name| !to.contains_key(*name)) {
        way.insert(name.clone(), Value::Null);
    }
    for (name, value) in to {
        let before = from.get(name);
        if before == Some(value) {
            continue;
        }
        match (before, value) {
            (Some(Value::Object(before)), Value::Object(value)) => {
                way.insert(name.clone(), self::way(before, value).into());
            }
            (Some(Value::Array(before)), Value::Array(value)) if name == "finalizers" => {
                let gone: Vec<_> = before.iter().filter(|one| !value.contains(one)).collect();
                let new: Vec<_> = value.iter().filter(|one| !before.contains(one)).collect();
                if !gone.is_empty() {
                    way.insert(format!("$deleteFromPrimitiveList/{name}"), json!(gone));
                }
                if !new.is_empty() {
                    way.insert(name.clone(), json!(new));
                }
                way.insert(format!("$setElementOrder/{name}"), json!(value));
            }
            (Some(Value::Array(before)), Value::Array(value)) => match key_of(name) {
                Some(key) => keyed_way(name, key, before, value, &mut way),
                None => drop(way.insert(name.clone(), json!(value))),
            },
            _ => drop(way.insert(name.clone(), value.clone())),
        }
    }
    way
}

fn keyed_way(name: &str, key: &str, from: &[Value], to: &[Value], way: &mut Map<String, Value>) {
    let mut items = Vec::new();
    for item in to {
        let before = from.iter().find(|before| before[key] == item[key]);
        let (Some(Value::Object(before)), Value::Object(after)) = (before, item) else {
            items.push(item.clone());
            continue;
        };
        if before == after {
            continue;
        }
        let mut changes = self::way(before, after);
        changes.insert(key.to_owned(), item[key].clone());
        if RETAINED.contains(&name) {
            let mut fields: Vec<_> = after.keys().cloned().collect();
            fields.sort();
            changes.insert("$retainKeys".into(), fields.into());
        }
        items.push(changes.into());
    }
    for item in from.iter().filter(|before| to.iter().all(|item| item[key] != before[key])) {
        items.push(json!({"$patch": "delete", key: item[key]}));
    }
    let order: Vec<_> = to.iter().map(|item| json!({ key: item[key] })).collect();
    way.insert(format!("$setElementOrder/{name}"), order.into());
    if !items.is_empty() {
        way.insert(name.to_owned(), items.into());
    }
}

/// A row for each value and each item; lists that do not merge are one value.
pub(super) fn flat(value: &Value) -> BTreeMap<String, String> {
    let mut table = BTreeMap::new();
    lay("", value, String::new(), &mut table);
    table
}

fn lay(name: &str, value: &Value, path: String, table: &mut BTreeMap<String, String>) {
    match (value, key_of(name)) {
        (Value::Object(fields), _) => {
            fields
                .iter()
                .for_each(|(name, value)| lay(name, value, format!("{path}.{name}"), table));
        }
        (Value::Array(items), Some(key)) => {
            for item in items {
                lay("", item, format!("{path}[{}]", item[key]), table);
            }
        }
        (Value::Array(items), None) if name == "finalizers" => {
            for item in items {
                table.insert(format!("{path}[{item}]"), String::new());
            }
        }
        _ => drop(table.insert(path, value.to_string())),
    }
}
