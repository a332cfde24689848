//! Merging an applied configuration into the live object, and taking items away from it.

use std::collections::HashSet;

use curtain_schema::Node;
use serde_json::{Map, Value};

use super::items::{element, elements};
use super::set::{Set, field, is_leaf};

/// `live` with everything `applied` says.
pub(super) fn merge(live: &Value, applied: &Value, node: Node<'_>) -> Value {
    if is_leaf(applied, node) {
        return applied.clone();
    }
    match (live, applied) {
        (Value::Object(live), Value::Object(applied)) => {
            let mut result = live.clone();
            for (name, value) in applied {
                let below = node.field(name).unwrap_or_else(Node::untyped);
                let merged = match live.get(name) {
                    Some(live) => merge(live, value, below),
                    None => value.clone(),
                };
                result.insert(name.clone(), merged);
            }
            Value::Object(result)
        }
        (Value::Array(live), Value::Array(applied)) => {
            Value::Array(merge_items(live, applied, node))
        }
        _ => applied.clone(),
    }
}

/// Items keep the order of the applied list; items only the server has keep their place among them.
fn merge_items(live: &[Value], applied: &[Value], node: Node<'_>) -> Vec<Value> {
    let below = node.item().unwrap_or_else(Node::untyped);
    let (left, right) = (elements(live, node), elements(applied, node));
    let in_left = |element: &str| left.iter().find(|(other, _)| other == element).map(|(_, v)| *v);
    let in_right = |element: &str| right.iter().any(|(other, _)| other == element);
    let mut shared =
        right.iter().map(|(e, _)| e.as_str()).filter(|e| in_left(e).is_some()).peekable();
    let mut merged: HashSet<&str> = HashSet::new();
    let mut result = Vec::with_capacity(left.len() + right.len());
    let (mut l, mut r) = (0, 0);
    while l < left.len() || r < right.len() {
        if let (Some((ours, _)), Some((theirs, _))) = (left.get(l), right.get(r))
            && ours != theirs
            && in_right(ours)
            && shared.peek().is_some_and(|next| next != ours)
        {
            // Shared, but its turn comes later in the applied order.
            l += 1;
            continue;
        }
        if let Some((ours, value)) = left.get(l) {
            if !in_right(ours) {
                result.push((*value).clone());
                l += 1;
                continue;
            }
            if merged.contains(ours.as_str()) {
                l += 1;
                continue;
            }
        }
        let Some((theirs, value)) = right.get(r) else { continue };
        if left.get(l).is_some_and(|(ours, _)| ours == theirs) {
            l += 1;
        }
        result.push(match in_left(theirs) {
            Some(live) => merge(live, value, below),
            None => (*value).clone(),
        });
        merged.insert(theirs);
        if shared.peek().is_some_and(|next| *next == theirs) {
            shared.next();
        }
        r += 1;
    }
    result
}

/// Takes the members of `gone` out of `value`. Objects and lists that become empty by it go too.
pub(super) fn remove(value: &mut Value, gone: &Set, node: Node<'_>) {
    if is_leaf(value, node) {
        return;
    }
    match value {
        Value::Object(fields) => {
            let names: Vec<String> = fields.keys().cloned().collect();
            for name in names {
                let path = field(&name);
                if gone.has(&path) {
                    fields.remove(&name);
                } else if let (Some(below), Some(inner)) =
                    (gone.below(&path), fields.get_mut(&name))
                {
                    let had = !is_empty(inner);
                    remove(inner, below, node.field(&name).unwrap_or_else(Node::untyped));
                    if had && is_empty(inner) {
                        fields.remove(&name);
                    }
                }
            }
        }
        Value::Array(items) => {
            let (list, below) = (node.list_type(), node.item().unwrap_or_else(Node::untyped));
            items.retain_mut(|item| {
                let Ok(path) = element(item, list, Some(below)) else { return true };
                if gone.has(&path) {
                    return false;
                }
                if let Some(inner) = gone.below(&path) {
                    remove(item, inner, below);
                }
                true
            });
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(fields) => Map::is_empty(fields),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}
