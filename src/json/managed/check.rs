//! Whether an applied configuration fits the schema: everything in it is declared, and of the right type.

use curtain_schema::{Kind, ListType, Node};
use serde_json::Value;

use super::items::{TypedError, element};
use super::set;

/// # Errors
/// Everything that does not fit, in the words of the reference implementation.
pub(super) fn check(value: &Value, schema: Node<'_>) -> Result<(), TypedError> {
    let mut checker = Checker { path: String::new(), findings: Vec::new() };
    checker.value(value, schema);
    match checker.findings.as_slice() {
        [] => Ok(()),
        [one] => Err(TypedError(one.clone())),
        many => Err(TypedError(format!("errors:\n  {}", many.join("\n  ")))),
    }
}

struct Checker {
    path: String,
    findings: Vec<String>,
}

impl Checker {
    fn fail(&mut self, reason: &str) {
        self.findings.push(format!("{}: {reason}", self.path));
    }

    fn value(&mut self, value: &Value, node: Node<'_>) {
        let fits = match (node.kind(), value) {
            (Kind::Any, _) | (_, Value::Null) => return,
            (Kind::Object, Value::Object(fields)) => return self.object(fields, node),
            (Kind::Array, Value::Array(items)) => return self.array(items, node),
            (Kind::Object, other) => Err(format!("expected map, got &{{{}}}", plain(other))),
            (Kind::Array, other) => Err(format!("expected list, got &{{{}}}", plain(other))),
            (Kind::String | Kind::Bytes, Value::String(_))
            | (Kind::Boolean, Value::Bool(_))
            | (Kind::Number | Kind::Integer | Kind::Int32 | Kind::Int64, Value::Number(_)) => {
                Ok(())
            }
            (Kind::String | Kind::Bytes, other) => {
                Err(format!("expected string, got &value.valueUnstructured{{Value:{other}}}"))
            }
            (Kind::Boolean, other) => Err(format!("expected boolean, got &{{{}}}", plain(other))),
            (Kind::Number | Kind::Integer | Kind::Int32 | Kind::Int64, other) => {
                Err(format!("expected numeric (int or float), got {}", type_name(other)))
            }
            // The decoder has the word on the rest: times, quantities, integers that may be text.
            _ => Ok(()),
        };
        if let Err(reason) = fits {
            self.fail(&reason);
        }
    }

    fn object(&mut self, fields: &serde_json::Map<String, Value>, node: Node<'_>) {
        if node.values().is_none() && node.fields().next().is_none() {
            // Nothing is said about what is in it.
            return;
        }
        let length = self.path.len();
        for (name, value) in fields {
            self.path.push('.');
            self.path.push_str(name);
            match node.field(name) {
                Some(below) => self.value(value, below),
                None => self.fail("field not declared in schema"),
            }
            self.path.truncate(length);
        }
    }

    fn array(&mut self, items: &[Value], node: Node<'_>) {
        let (list, below) = (node.list_type(), node.item().unwrap_or_else(Node::untyped));
        let length = self.path.len();
        let mut seen = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let place = match list {
                ListType::Atomic => format!("[{index}]"),
                _ => match element(item, list, Some(below)) {
                    Ok(element) => set::printed(&element),
                    Err(reason) => return self.fail(&format!("element {index}: {reason}")),
                },
            };
            if seen.contains(&place) {
                self.fail(&format!("duplicate entries for key {place}"));
            }
            self.path.push_str(&place);
            self.value(item, below);
            self.path.truncate(length);
            seen.push(place);
        }
    }
}

/// A value as Go prints it: text without quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}
