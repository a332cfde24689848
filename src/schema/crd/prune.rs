//! Dropping what the schema does not have.

use serde_json::Value;

use crate::builtin::{DecodeError, decode_at};
use crate::node::{Kind, Node};

pub(super) fn apply(object: &mut Value, root: Node<'_>) -> Result<Vec<String>, DecodeError> {
    let mut unknown = Vec::new();
    walk(object, root, &mut String::new(), &mut unknown)?;
    Ok(unknown)
}

fn walk(
    value: &mut Value,
    node: Node<'_>,
    path: &mut String,
    unknown: &mut Vec<String>,
) -> Result<(), DecodeError> {
    let length = path.len();
    match value {
        // Of the wrong type, it is refused here: what comes after writes into it.
        _ if node.definition().is_some() => decode_at(value, node, path, unknown)?,
        Value::Object(fields) => {
            let mut drop = Vec::new();
            for (name, value) in fields.iter_mut() {
                if length > 0 {
                    path.push('.');
                }
                path.push_str(name);
                match node.declared(name).or(node.values()) {
                    Some(below) => walk(value, below, path, unknown)?,
                    None if node.is_open()
                        || (node.kind() != Kind::Object && node.kind() != Kind::Any) => {}
                    None => {
                        unknown.push(path.clone());
                        drop.push(name.clone());
                    }
                }
                path.truncate(length);
            }
            for name in drop {
                fields.remove(&name);
            }
        }
        Value::Array(items) => {
            let Some(below) = node.item() else { return Ok(()) };
            for (index, item) in items.iter_mut().enumerate() {
                path.push_str(&format!("[{index}]"));
                walk(item, below, path, unknown)?;
                path.truncate(length);
            }
        }
        _ => {}
    }
    Ok(())
}
