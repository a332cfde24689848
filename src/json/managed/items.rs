//! Which item is which: the path elements of a list's items, and the set of a whole value.

use curtain_schema::{ListType, Node};
use serde_json::Value;

use super::set::{Set, field, is_leaf, item_value, key};

/// Why an applied configuration cannot be read against the schema. The text is paths and reasons.
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
            match item {
                Value::Object(_) => {}
                Value::Null => {
                    return Err("associative list with keys may not have a null element".into());
                }
                _ => return Err("associative list with keys may not have non-map elements".into()),
            }
            let mut pairs = Vec::with_capacity(2);
            for name in keys.iter() {
                let default = || node.and_then(|n| n.field(name)).and_then(Node::default);
                // An absent key of a list with several is part of the identity.
                if let Some(value) = item.get(name).filter(|v| !v.is_null()).or_else(default) {
                    pairs.push((name, value));
                }
            }
            if pairs.is_empty() {
                let keys: Vec<&str> = keys.iter().collect();
                return Err(format!(
                    "associative list with keys has an element that omits all key fields {keys:?} (and doesn't have default values for any key fields)"
                ));
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

/// The set of all fields of a value, as an applier of it owns them. Of items with the same identity the first counts.
pub(super) fn fields_of(value: &Value, node: Node<'_>) -> Set {
    let mut set = Set::default();
    if is_leaf(value, node) {
        return set;
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let below = node.field(name).unwrap_or_else(Node::untyped);
                let empty = value.as_object().is_some_and(|o| o.is_empty());
                let member = is_leaf(value, below) || empty || node.declared(name).is_none();
                set.graft(field(name), member, fields_of(value, below));
            }
        }
        Value::Array(items) => {
            let below = node.item().unwrap_or_else(Node::untyped);
            for (element, item) in elements(items, node) {
                set.graft(element, true, fields_of(item, below));
            }
        }
        _ => {}
    }
    set
}
