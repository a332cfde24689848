//! Defaults.

use serde_json::Value;

use crate::node::Node;

pub(super) fn apply(value: &mut Value, node: Node<'_>) {
    match value {
        Value::Object(fields) => {
            for (name, below) in node.fields() {
                let Some(default) = below.default() else { continue };
                if fields.get(name).is_none_or(|value| is_unset(value, below)) {
                    fields.insert(name.to_owned(), default.clone());
                }
            }
            let mut drop = Vec::new();
            for (name, value) in fields.iter_mut() {
                let Some(below) = node.declared(name).or(node.values()) else { continue };
                if is_unset(value, below) {
                    match below.default() {
                        Some(default) => *value = default.clone(),
                        None => drop.push(name.clone()),
                    }
                }
                apply(value, below);
            }
            for name in drop {
                fields.remove(&name);
            }
        }
        Value::Array(items) => {
            let Some(below) = node.item() else { return };
            for item in items {
                if let (true, Some(default)) = (is_unset(item, below), below.default()) {
                    *item = default.clone();
                }
                apply(item, below);
            }
        }
        _ => {}
    }
}

/// A null where null is no value: also in maps, and where nothing is said about the type.
fn is_unset(value: &Value, node: Node<'_>) -> bool {
    value.is_null() && !node.limits().is_some_and(|limits| limits.nullable)
}
