//! Strategic merge patch: a merge patch that knows list keys, with the directives kubectl sends.
//!
//! | directive | effect |
//! |---|---|
//! | `$patch: replace` / `delete` / `merge` | in an object: replaces / empties it; in a list item: replaces the list by the other items / removes the item |
//! | `$retainKeys: [k…]` | fields that are not named go |
//! | `$deleteFromPrimitiveList/f: [v…]` | removes scalars from list `f` |
//! | `$setElementOrder/f: […]` | gives the order of list `f`; items only the server has keep their place |

use curtain_schema::Node;
use serde_json::{Map, Value};

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const SET_ORDER: &str = "$setElementOrder/";

/// Why a strategic merge patch was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum StrategicError {
    /// The document or the patch is not an object.
    #[error("a strategic merge patch needs an object on both sides")]
    NotAnObject,
    /// `$patch` has a value that means nothing here.
    #[error("invalid patch directive {0:?}: use replace, merge or delete")]
    Directive(String),
    /// A directive's value has the wrong type.
    #[error("the value of {0} must be a list")]
    DirectiveType(String),
    /// A list item lacks the field that identifies it.
    #[error("map: {item} does not contain declared merge key: {key}")]
    MissingKey {
        /// The item as JSON.
        item: String,
        /// The merge key.
        key: String,
    },
    /// A list mixes objects and scalars.
    #[error("list {0} mixes objects and scalars, so its items cannot be matched")]
    MixedList(String),
    /// The order does not name an item that the patch brings.
    #[error("the order in $setElementOrder/{0} must name every item of the patch")]
    Order(String),
    /// `$retainKeys` would drop what the same patch sets.
    #[error("{RETAIN_KEYS} does not name {0:?}, which the same patch sets")]
    RetainKeys(String),
}

use StrategicError as Error;

/// Applies a strategic merge patch to an object whose schema is `schema`.
///
/// # Errors
/// [`StrategicError`]; the document may be half changed.
pub fn strategic_merge(
    document: &mut Value,
    patch: &Value,
    schema: Node<'_>,
) -> Result<(), StrategicError> {
    let (Value::Object(target), Value::Object(patch)) = (document, patch.clone()) else {
        return Err(Error::NotAnObject);
    };
    merge_map(target, patch, schema)
}

fn merge_map(
    target: &mut Map<String, Value>,
    mut patch: Map<String, Value>,
    schema: Node<'_>,
) -> Result<(), Error> {
    if let Some(directive) = patch.remove(PATCH) {
        match directive.as_str() {
            Some("replace") => {
                *target = without_directives_in_map(patch);
                return Ok(());
            }
            Some("delete") => {
                target.clear();
                return Ok(());
            }
            Some("merge") => {}
            _ => return Err(Error::Directive(directive.to_string())),
        }
    }
    if let Some(keys) = patch.remove(RETAIN_KEYS) {
        retain_keys(target, &patch, &keys)?;
    }
    let orders: Vec<String> =
        patch.keys().filter(|key| key.starts_with(SET_ORDER)).map(|key| key.to_owned()).collect();
    let mut ordered = Vec::with_capacity(orders.len());
    for key in orders {
        let Some(Value::Array(order)) = patch.remove(&key) else {
            return Err(Error::DirectiveType(key));
        };
        ordered.push((key[SET_ORDER.len()..].to_owned(), order));
    }
    for (field, order) in ordered {
        if matches!(target.get(&field), None | Some(Value::Array(_)))
            && matches!(patch.get(&field), None | Some(Value::Array(_)))
        {
            set_order(target, &mut patch, field, order, schema)?;
        }
    }
    for (name, value) in patch {
        if let Some(field) = name.strip_prefix(DELETE_FROM) {
            let Value::Array(gone) = value else { return Err(Error::DirectiveType(name)) };
            if let Some(Value::Array(items)) = target.get_mut(field) {
                items.retain(|item| !gone.contains(item));
            }
            continue;
        }
        if value.is_null() {
            target.remove(&name);
            continue;
        }
        let node = schema.field(&name).unwrap_or_else(Node::untyped);
        match (target.get_mut(&name), value) {
            (Some(Value::Object(target)), Value::Object(patch)) => merge_map(target, patch, node)?,
            (Some(Value::Array(items)), Value::Array(patch)) => {
                let merged = merge_list(std::mem::take(items), patch, &name, node)?;
                *items = merged;
            }
            (_, value) => {
                target.insert(name, without_directives(value));
            }
        }
    }
    Ok(())
}

fn retain_keys(
    target: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    keys: &Value,
) -> Result<(), Error> {
    let keys = keys.as_array().ok_or_else(|| Error::DirectiveType(RETAIN_KEYS.into()))?;
    let named = |name: &str| keys.iter().any(|key| key.as_str() == Some(name));
    if let Some((name, _)) = patch
        .iter()
        .find(|(name, value)| !name.starts_with('$') && !value.is_null() && !named(name))
    {
        return Err(Error::RetainKeys(name.clone()));
    }
    target.retain(|name, _| named(name));
    Ok(())
}

fn set_order(
    target: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
    field: String,
    order: Vec<Value>,
    schema: Node<'_>,
) -> Result<(), Error> {
    let node = schema.field(&field).unwrap_or_else(Node::untyped);
    let key = node.patch().merge_key;
    let live = match target.get(&field) {
        Some(Value::Array(items)) => Some(items.clone()),
        _ => None,
    };
    let items = match patch.remove(&field) {
        Some(Value::Array(items)) => Some(items),
        _ => None,
    };
    if let Some(items) = &items {
        let survivors = items.iter().filter(|item| item.get(PATCH).is_none());
        for item in survivors {
            if !order.iter().any(|ordered| same(ordered, item, key)) {
                return Err(Error::Order(field));
            }
        }
    }
    let merged = match (live.clone(), items) {
        (Some(live), Some(items)) => merge_list(live, items, &field, node)?,
        (Some(live), None) => live,
        (None, Some(items)) => without_directives_in_list(items),
        (None, None) => return Ok(()),
    };
    target.insert(field, Value::Array(sorted(merged, &order, &live.unwrap_or_default(), key)));
    Ok(())
}

fn merge_list(
    live: Vec<Value>,
    patch: Vec<Value>,
    name: &str,
    node: Node<'_>,
) -> Result<Vec<Value>, Error> {
    let strategy = node.patch();
    if !strategy.merge {
        return Ok(without_directives_in_list(patch));
    }
    let objects = live.iter().chain(&patch).filter(|item| item.is_object()).count();
    if objects == 0 {
        let mut merged = live.clone();
        for item in &patch {
            if !merged.contains(item) {
                merged.push(item.clone());
            }
        }
        return Ok(sorted(merged, &patch, &live, None));
    }
    if objects != live.len() + patch.len() {
        return Err(Error::MixedList(name.to_owned()));
    }
    let Some(key) = strategy.merge_key else { return Ok(without_directives_in_list(patch)) };
    let (mut merged, patch) = special_items(live.clone(), patch, key)?;
    let item = node.item().unwrap_or_else(Node::untyped);
    let order = patch.clone();
    for value in patch {
        require_key(&value, key)?;
        let Value::Object(fields) = value else { continue };
        let at = merged.iter().position(|live| live.get(key) == fields.get(key));
        match at.map(|at| &mut merged[at]) {
            Some(Value::Object(live)) => merge_map(live, fields, item)?,
            _ => merged.push(Value::Object(without_directives_in_map(fields))),
        }
    }
    Ok(sorted(merged, &order, &live, Some(key)))
}

/// Carries out the `$patch` items of a list; returns what is left of it and the ordinary items.
fn special_items(
    mut live: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>), Error> {
    let mut ordinary = Vec::with_capacity(patch.len());
    let mut replace = false;
    for mut item in patch {
        let directive = item.get(PATCH).and_then(Value::as_str).map(str::to_owned);
        match directive.as_deref() {
            None if item.get(PATCH).is_some() => {
                return Err(Error::Directive(item[PATCH].to_string()));
            }
            None => ordinary.push(item),
            Some("replace") => replace = true,
            Some("delete") => {
                require_key(&item, key)?;
                live.retain(|live| live.get(key) != item.get(key));
            }
            Some("merge") => {
                if let Value::Object(fields) = &mut item {
                    fields.remove(PATCH);
                }
                ordinary.push(item);
            }
            Some(other) => return Err(Error::Directive(other.to_owned())),
        }
    }
    if replace {
        live.clear();
    }
    Ok((live, ordinary))
}

fn require_key(item: &Value, key: &str) -> Result<(), Error> {
    match item.get(key) {
        Some(_) => Ok(()),
        None => Err(Error::MissingKey { item: item.to_string(), key: key.to_owned() }),
    }
}

fn same(a: &Value, b: &Value, key: Option<&str>) -> bool {
    match key {
        Some(key) if a.is_object() => a.get(key).is_some() && a.get(key) == b.get(key),
        _ => a == b,
    }
}

/// Orders `items`: those named in `order` by it; the others go where they stood in `live`, before the
/// first ordered item that stood behind them.
fn sorted(items: Vec<Value>, order: &[Value], live: &[Value], key: Option<&str>) -> Vec<Value> {
    let place =
        |list: &[Value], item: &Value| list.iter().position(|candidate| same(candidate, item, key));
    let (mut named, mut others): (Vec<Value>, Vec<Value>) =
        items.into_iter().partition(|item| place(order, item).is_some());
    named.sort_by_key(|item| place(order, item));
    others.sort_by_key(|item| place(live, item).unwrap_or(usize::MAX));
    let mut result = Vec::with_capacity(named.len() + others.len());
    let mut named = named.into_iter().peekable();
    for other in others {
        while let Some(next) = named.peek() {
            let before = match (place(live, &other), place(live, next)) {
                (Some(other), Some(next)) => other < next,
                _ => false,
            };
            if before {
                break;
            }
            result.extend(named.next());
        }
        result.push(other);
    }
    result.extend(named);
    result
}

/// A value that is new to the document: directives in it have nothing to act on, nulls nothing to remove.
fn without_directives(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(without_directives_in_map(fields)),
        Value::Array(items) => Value::Array(without_directives_in_list(items)),
        scalar => scalar,
    }
}

fn without_directives_in_map(fields: Map<String, Value>) -> Map<String, Value> {
    fields
        .into_iter()
        .filter(|(name, value)| {
            !value.is_null()
                && name != PATCH
                && name != RETAIN_KEYS
                && !name.starts_with(DELETE_FROM)
                && !name.starts_with(SET_ORDER)
        })
        .map(|(name, value)| (name, without_directives(value)))
        .collect()
}

fn without_directives_in_list(items: Vec<Value>) -> Vec<Value> {
    items
        .into_iter()
        .filter(|item| {
            let directive = item.get(PATCH).and_then(Value::as_str);
            !matches!(directive, Some("delete" | "replace"))
        })
        .map(without_directives)
        .collect()
}

#[cfg(test)]
mod tests;
