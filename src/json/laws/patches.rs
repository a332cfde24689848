//! JSON patch and merge patch: what they say is the way from one document to another leads there, and an implementation
//! of the same documents by others comes to the same.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::holds;
use crate::{json_patch, merge_patch};

/// Documents with names that have to be escaped, that look like indices, or are empty.
fn values(null: bool) -> BoxedStrategy<Value> {
    let names = select(&["a", "b/c", "~", "0", "-", ""][..]);
    let scalar = prop_oneof![
        (0..3).prop_map(Value::from),
        Just(json!(1.0)),
        Just(json!("x")),
        Just(json!(if null { Value::Null } else { true.into() })),
    ];
    scalar
        .prop_recursive(3, 16, 4, move |inside| {
            let object = btree_map(names.clone(), inside.clone(), 0..4).prop_map(|fields| {
                Value::Object(fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
            });
            prop_oneof![2 => object, 1 => vec(inside, 0..4).prop_map(Value::from)]
        })
        .boxed()
}

fn objects(null: bool) -> impl Strategy<Value = Value> {
    values(null).prop_map(|value| match value {
        object @ Value::Object(_) => object,
        other => json!({ "a": other }),
    })
}

fn merged(mut document: Value, patch: &Value) -> Value {
    merge_patch(&mut document, patch);
    document
}

/// The merge patch from one object to another.
fn merge_way(from: &Value, to: &Value) -> Value {
    let (Value::Object(from), Value::Object(to)) = (from, to) else { return to.clone() };
    let mut way = Map::new();
    for name in from.keys().filter(|name| !to.contains_key(*name)) {
        way.insert(name.clone(), Value::Null);
    }
    for (name, value) in to {
        match from.get(name) {
            Some(before) if before == value => {}
            Some(before) => drop(way.insert(name.clone(), merge_way(before, value))),
            None => drop(way.insert(name.clone(), value.clone())),
        }
    }
    way.into()
}

#[test]
fn a_merge_patch_leads_where_it_says_and_again_changes_nothing() {
    holds(1000, &(objects(false), objects(false), objects(true)), |(from, to, patch)| {
        let way = merge_way(&from, &to);
        prop_assert_eq!(merged(from.clone(), &way), to.clone());
        prop_assert_eq!(merged(to.clone(), &way), to);
        prop_assert_eq!(merged(from.clone(), &json!({})), from.clone());
        let once = merged(from, &patch);
        prop_assert_eq!(merged(once.clone(), &patch), once);
        Ok(())
    });
}

#[test]
fn merge_patches_are_those_of_others() {
    holds(1000, &(values(true), values(true)), |(document, patch)| {
        let mut theirs = document.clone();
        ::json_patch::merge(&mut theirs, &patch);
        prop_assert_eq!(merged(document, &patch), theirs);
        Ok(())
    });
}

fn pointer(path: &str, step: &str) -> String {
    format!("{path}/{}", step.replace('~', "~0").replace('/', "~1"))
}

/// All places of a document, itself included.
fn places(value: &Value, path: String, all: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| places(value, pointer(&path, name), all));
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(at, value)| places(value, format!("{path}/{at}"), all));
        }
        _ => {}
    }
    all.push(path);
}

/// The operations from one document to another.
fn operations(from: &Value, to: &Value, path: &str, way: &mut Vec<Value>) {
    match (from, to) {
        (Value::Object(from), Value::Object(to)) => {
            for name in from.keys().filter(|name| !to.contains_key(*name)) {
                way.push(json!({"op": "remove", "path": pointer(path, name)}));
            }
            for (name, value) in to {
                let path = pointer(path, name);
                match from.get(name) {
                    Some(before) => operations(before, value, &path, way),
                    None => way.push(json!({"op": "add", "path": path, "value": value})),
                }
            }
        }
        (Value::Array(from), Value::Array(to)) => {
            for at in (to.len()..from.len()).rev() {
                way.push(json!({"op": "remove", "path": format!("{path}/{at}")}));
            }
            for (at, value) in to.iter().enumerate() {
                match from.get(at) {
                    Some(before) => operations(before, value, &format!("{path}/{at}"), way),
                    None => {
                        way.push(json!({"op": "add", "path": format!("{path}/-"), "value": value}));
                    }
                }
            }
        }
        _ if from == to => way.push(json!({"op": "test", "path": path, "value": to})),
        _ => way.push(json!({"op": "replace", "path": path, "value": to})),
    }
}

#[test]
fn a_json_patch_leads_where_it_says() {
    holds(1000, &(values(true), values(true)), |(from, to)| {
        let mut way = Vec::new();
        operations(&from, &to, "", &mut way);
        let mut document = from;
        prop_assert_eq!(json_patch(&mut document, &way.into()), Ok(()));
        prop_assert_eq!(document, to);
        Ok(())
    });
}

#[test]
fn json_patches_are_those_of_others() {
    let step = select(&["a", "b~1c", "~0", "0", "1", "-", "", "01", "x"][..]);
    let path = || {
        vec(step.clone(), 0..4)
            .prop_map(|steps| steps.iter().map(|step| format!("/{step}")).collect::<String>())
    };
    let operation = (
        select(&["add", "remove", "replace", "move", "copy", "test"][..]),
        path(),
        path(),
        values(false),
    )
        .prop_map(|(op, mut from, mut path, value)| {
            // What is left of a document that was taken away is everybody's to say.
            match op {
                "remove" if path.is_empty() => path.push_str("/a"),
                "move" if from.is_empty() => from.push_str("/a"),
                _ => {}
            }
            json!({"op": op, "from": from, "path": path, "value": value})
        });
    holds(3000, &(values(true), vec(operation, 1..4)), |(document, patch)| {
        let (mut ours, mut theirs) = (document.clone(), document);
        let done = json_patch(&mut ours, &Value::Array(patch.clone())).is_ok();
        let patch: ::json_patch::Patch = serde_json::from_value(patch.into()).expect("a patch");
        prop_assert_eq!(done, ::json_patch::patch_unsafe(&mut theirs, &patch).is_ok());
        if done {
            prop_assert_eq!(ours, theirs);
        }
        Ok(())
    });
}

#[test]
fn what_is_at_a_place_can_be_tested_copied_moved_and_taken_away_again() {
    holds(500, &(values(true), values(true), any::<u16>()), |(document, value, at)| {
        let mut all = Vec::new();
        places(&document, String::new(), &mut all);
        let path = &all[usize::from(at) % all.len()];
        let held = document.pointer(path).expect("a place").clone();
        let object = json!({"document": document, "value": value});
        let path = format!("/document{path}");
        let patched = |patch: Value| {
            let mut object = object.clone();
            json_patch(&mut object, &patch).map(|()| object)
        };
        let test = json!({"op": "test", "path": path, "value": held});
        prop_assert_eq!(patched(json!([test])), Ok(object.clone()));
        let copy = json!({"op": "copy", "from": path, "path": "/new"});
        let back = json!({"op": "remove", "path": "/new"});
        prop_assert_eq!(patched(json!([copy, back])), Ok(object.clone()));
        let there = json!({"op": "move", "from": path, "path": "/new"});
        let copied = json!({"op": "copy", "from": path, "path": "/new"});
        let taken = json!({"op": "remove", "path": path});
        prop_assert_eq!(patched(json!([there])), patched(json!([copied, taken])));
        Ok(())
    });
}
