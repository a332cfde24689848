//! Which item is which: the path elements of a list's items, and the set of a whole value.

use curtain_schema::{Kind, ListType, Node};
use serde_json::Value;

use super::set::{Set, field, is_leaf, item_value, key};

/// Why an applied configuration cannot be read against the schema. The text is a path and a reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TypedError(pub String);

/// The path element of one list item; `Err` names what is wrong with it.
pub(super) fn element(
    item: &Value,
    list: ListType<'_>,
    node: Option<Node<'_>>,
) -> Result<String, String> {
    match list {
        ListType::Set => Ok(item_value(item)),
        ListType::Atomic => Err("items of an atomic list have no identity".into()),
        ListType::Map(keys) => {
            let mut pairs = Vec::with_capacity(2);
            for name in keys.iter() {
                let default = || node.and_then(|n| n.field(name)).and_then(Node::default);
                let Some(value) = item.get(name).filter(|v| !v.is_null()).or_else(default) else {
                    // An absent key of a multi-key list is part of the identity; an absent only key is not one.
                    if keys.iter().count() > 1 {
                        continue;
                    }
                    return Err(format!(
                        "element 0: associative list with keys has an element that omits key field {name:?} (and doesn't have default value)"
                    ));
                };
                pairs.push((name, value));
            }
            if pairs.is_empty() {
                return Err("associative list without keys has an element that's a map type".into());
            }
            pairs.sort_unstable_by_key(|(name, _)| *name);
            Ok(key(pairs.into_iter()))
        }
    }
}

/// The items of a list with their elements; of duplicates only the first.
pub(super) fn elements<'v>(items: &'v [Value], node: Node<'_>) -> Vec<(String, &'v Value)> {
    let (list, item_node) = (node.list_type(), node.item());
    let mut found: Vec<(String, &Value)> = Vec::with_capacity(items.len());
    for item in items {
        if let Ok(element) = element(item, list, item_node)
            && !found.iter().any(|(other, _)| *other == element)
        {
            found.push((element, item));
        }
    }
    found
}

/// The set of all fields of a value, as an applier of it owns them.
///
/// # Errors
/// With `strict`, when a field is not in the schema, a list has duplicates, or a value has the wrong shape.
pub(super) fn fields_of(value: &Value, node: Node<'_>, strict: bool) -> Result<Set, TypedError> {
    let mut path = String::new();
    walk(value, node, strict, &mut path)
}

fn walk(value: &Value, node: Node<'_>, strict: bool, path: &mut String) -> Result<Set, TypedError> {
    let mut set = Set::default();
    let fail = |path: &str, reason: String| Err(TypedError(format!("{path}: {reason}")));
    if strict && !value.is_null() {
        match (node.kind(), value) {
            (Kind::Object, Value::Object(_)) | (Kind::Array, Value::Array(_)) | (Kind::Any, _) => {}
            (Kind::Object, _) => return fail(path, format!("expected map, got &{{{value}}}")),
            (Kind::Array, _) => return fail(path, format!("expected list, got &{{{value}}}")),
            (_, Value::Object(_) | Value::Array(_)) => {
                return fail(path, format!("expected scalar, got &{{{value}}}"));
            }
            _ => {}
        }
    }
    if is_leaf(value, node) {
        return Ok(set);
    }
    let length = path.len();
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                path.push('.');
                path.push_str(name);
                let below = match node.field(name) {
                    Some(below) => below,
                    None if strict => return fail(path, "field not declared in schema".into()),
                    None => Node::untyped(),
                };
                let empty = value.as_object().is_some_and(|o| o.is_empty());
                let member = is_leaf(value, below) || empty || node.declared(name).is_none();
                set.graft(field(name), member, walk(value, below, strict, path)?);
                path.truncate(length);
            }
        }
        Value::Array(items) => {
            let (list, below) = (node.list_type(), node.item().unwrap_or_else(Node::untyped));
            for item in items {
                let element = match element(item, list, Some(below)) {
                    Ok(element) => element,
                    Err(reason) if strict => return fail(path, reason),
                    Err(_) => continue,
                };
                if set.has(&element) {
                    if strict {
                        let mut one = Set::default();
                        one.insert([element.as_str()]);
                        return fail(
                            path,
                            format!("duplicate entries for key {}", one.paths().concat()),
                        );
                    }
                    continue;
                }
                path.push_str("[]");
                let fields = walk(item, below, strict, path)?;
                path.truncate(length);
                set.graft(element, true, fields);
            }
        }
        _ => {}
    }
    Ok(set)
}
