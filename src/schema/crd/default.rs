//! Defaults.

use serde_json::Value;

use super::{prune, rules, validate};
use crate::error::FieldError;
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

/// Defaults that the schema itself would not let pass. `path` is where the node stands in its definition.
pub(super) fn check(node: Node<'_>, path: &str, errors: &mut Vec<FieldError>) {
    // Below what is open or built in there are no defaults of the schema, and maybe no end.
    if node.limits().is_none() {
        return;
    }
    if let Some(default) = node.default().filter(|default| !default.is_null()) {
        errors.extend(wrong(default, node, &format!("{path}.default")));
    }
    for (name, below) in node.fields() {
        check(below, &format!("{path}.properties[{name}]"), errors);
    }
    if let Some(below) = node.item() {
        check(below, &format!("{path}.items"), errors);
    }
}

fn wrong(default: &Value, node: Node<'_>, path: &str) -> Vec<FieldError> {
    let mut pruned = default.clone();
    match prune::apply(&mut pruned, node) {
        Err(why) => return vec![FieldError::invalid(path, default.clone(), why.to_string())],
        Ok(unknown) if !unknown.is_empty() => {
            let why = "must not have unknown fields";
            return vec![FieldError::invalid(path, default.clone(), why)];
        }
        Ok(_) => {}
    }
    let errors = validate::check_at(default, node, path);
    if errors.is_empty() { rules::check_at(default, node, path) } else { errors }
}

/// A null where null is no value: also in maps, and where nothing is said about the type.
fn is_unset(value: &Value, node: Node<'_>) -> bool {
    value.is_null() && !node.limits().is_some_and(|limits| limits.nullable)
}
