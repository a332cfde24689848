//! RFC 6902. One deviation: `test` for `null` passes on a missing path. Controllers guard the creation of
//! `/metadata/finalizers` that way, and real API servers accept it.

use serde_json::Value;

use crate::{MAX_DEPTH, deeper_than};

/// More operations than this are refused before any is applied.
pub const MAX_OPERATIONS: usize = 10_000;

/// What is copied by all operations together, in bytes of JSON, is not more than this: a document that is copied into
/// itself over and over doubles each time.
pub const MAX_COPIED: usize = 3 << 20;

/// Why a JSON patch was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum JsonPatchError {
    /// Not a list of well-formed operations.
    #[error("the JSON patch is malformed: {0}")]
    Malformed(String),
    /// More than [`MAX_OPERATIONS`].
    #[error("the allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {0}")]
    TooMany(usize),
    /// The copies are larger than [`MAX_COPIED`].
    #[error(
        "unable to complete the copy, the accumulated size increase of copy is {0}, exceeding the limit {MAX_COPIED}"
    )]
    TooLarge(usize),
    /// The document would nest deeper than [`MAX_DEPTH`]: copied into itself, it nests twice as deep each time.
    #[error("unable to complete the {op}, the document would nest more than {MAX_DEPTH} levels")]
    TooDeep {
        /// The operation's name.
        op: &'static str,
    },
    /// An operation names a place that is not there.
    #[error("{op} operation does not apply: doc is missing path: {path}")]
    Missing {
        /// The operation's name.
        op: &'static str,
        /// Its path.
        path: String,
    },
    /// A `test` found another value.
    #[error("testing value {path} failed: test failed")]
    TestFailed {
        /// The path that was tested.
        path: String,
    },
}

use JsonPatchError::{Malformed, Missing, TestFailed};

/// Applies a JSON patch (a list of operations) to `document`.
///
/// # Errors
/// [`JsonPatchError`]; operations before the failing one have been applied.
pub fn json_patch(document: &mut Value, patch: &Value) -> Result<(), JsonPatchError> {
    let Value::Array(operations) = patch else {
        return Err(Malformed("it must be a list of operations".into()));
    };
    if operations.len() > MAX_OPERATIONS {
        return Err(JsonPatchError::TooMany(operations.len()));
    }
    let mut copied = 0;
    for operation in operations {
        apply(document, operation, &mut copied)?;
    }
    Ok(())
}

/// Applies one operation, and adds what it copies to `copied`.
fn apply(
    document: &mut Value,
    operation: &Value,
    copied: &mut usize,
) -> Result<(), JsonPatchError> {
    let text = |name: &str| {
        operation.get(name).and_then(Value::as_str).ok_or_else(|| {
            Malformed(format!("an operation lacks the string {name:?}: {operation}"))
        })
    };
    let value = || {
        operation
            .get("value")
            .cloned()
            .ok_or_else(|| Malformed(format!("an operation lacks its value: {operation}")))
    };
    let path = text("path")?;
    match text("op")? {
        "add" => add(document, path, value()?, "add"),
        "remove" => remove(document, path, "remove").map(drop),
        "replace" => {
            let value = value()?;
            let place = find_mut(document, path, "replace")?;
            fits(path, &value, "replace")?;
            *place = value;
            Ok(())
        }
        "move" => {
            let from = text("from")?;
            if path.starts_with(&format!("{from}/")) {
                return Err(Malformed(format!("cannot move {from} into itself")));
            }
            let value = remove(document, from, "move")?;
            add(document, path, value, "move")
        }
        "copy" => {
            let from = text("from")?;
            let value = find_mut(document, from, "copy")?;
            *copied += value.to_string().len();
            if *copied > MAX_COPIED {
                return Err(JsonPatchError::TooLarge(*copied));
            }
            let value = value.clone();
            add(document, path, value, "copy")
        }
        "test" => {
            let expected = operation.get("value").unwrap_or(&Value::Null);
            let found = match find_mut(document, path, "test") {
                Ok(value) => &*value,
                Err(Missing { .. }) => &Value::Null,
                Err(error) => return Err(error),
            };
            if equal(found, expected) { Ok(()) } else { Err(TestFailed { path: path.to_owned() }) }
        }
        other => Err(Malformed(format!("unknown operation {other:?}"))),
    }
}

/// Whether a value may be put there.
fn fits(path: &str, value: &Value, op: &'static str) -> Result<(), JsonPatchError> {
    let around = path.bytes().filter(|byte| *byte == b'/').count();
    match MAX_DEPTH.checked_sub(around) {
        Some(most) if !deeper_than(value, most) => Ok(()),
        _ => Err(JsonPatchError::TooDeep { op }),
    }
}

/// Equality that does not tell 1 from 1.0.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, a)| b.get(k).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

/// The unescaped steps of a pointer.
fn steps(path: &str) -> Result<Vec<String>, JsonPatchError> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let rest = path
        .strip_prefix('/')
        .ok_or_else(|| Malformed(format!("a path must be empty or start with '/': {path:?}")))?;
    Ok(rest.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect())
}

/// An index into a list of `len` items; `None` for anything but plain decimal digits below `len`.
fn index(step: &str, len: usize) -> Option<usize> {
    let plain = step == "0" || (!step.starts_with('0') && step.bytes().all(|b| b.is_ascii_digit()));
    step.parse().ok().filter(|index| plain && *index < len)
}

fn child<'v>(value: &'v mut Value, step: &str) -> Option<&'v mut Value> {
    match value {
        Value::Object(fields) => fields.get_mut(step),
        Value::Array(items) => index(step, items.len()).and_then(|index| items.get_mut(index)),
        _ => None,
    }
}

fn find_mut<'v>(
    document: &'v mut Value,
    path: &str,
    op: &'static str,
) -> Result<&'v mut Value, JsonPatchError> {
    let mut here = document;
    for step in steps(path)? {
        here = child(here, &step).ok_or_else(|| Missing { op, path: path.to_owned() })?;
    }
    Ok(here)
}

/// The parent of the last step, and that step; `None` for the whole document.
fn parent<'v>(
    document: &'v mut Value,
    path: &str,
    op: &'static str,
) -> Result<Option<(&'v mut Value, String)>, JsonPatchError> {
    let mut steps = steps(path)?;
    let Some(last) = steps.pop() else { return Ok(None) };
    let mut here = document;
    for step in steps {
        here = child(here, &step).ok_or_else(|| Missing { op, path: path.to_owned() })?;
    }
    Ok(Some((here, last)))
}

fn add(
    document: &mut Value,
    path: &str,
    value: Value,
    op: &'static str,
) -> Result<(), JsonPatchError> {
    let missing = || Missing { op, path: path.to_owned() };
    fits(path, &value, op)?;
    let Some((parent, step)) = parent(document, path, op)? else {
        *document = value;
        return Ok(());
    };
    match parent {
        Value::Object(fields) => {
            fields.insert(step, value);
        }
        Value::Array(items) if step == "-" => items.push(value),
        Value::Array(items) => {
            let index = index(&step, items.len() + 1).ok_or_else(missing)?;
            items.insert(index, value);
        }
        _ => return Err(missing()),
    }
    Ok(())
}

fn remove(document: &mut Value, path: &str, op: &'static str) -> Result<Value, JsonPatchError> {
    let missing = || Missing { op, path: path.to_owned() };
    let Some((parent, step)) = parent(document, path, op)? else {
        return Ok(document.take());
    };
    match parent {
        Value::Object(fields) => fields.remove(&step).ok_or_else(missing),
        Value::Array(items) => {
            index(&step, items.len()).map(|index| items.remove(index)).ok_or_else(missing)
        }
        _ => Err(missing()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn patched(mut document: Value, patch: Value) -> Result<Value, JsonPatchError> {
        json_patch(&mut document, &patch).map(|()| document)
    }

    #[test]
    fn every_operation_works() {
        let cases = [
            (json!({"a":1}), json!([{"op":"add","path":"/b","value":2}]), json!({"a":1,"b":2})),
            (
                json!({"a":[1,3]}),
                json!([{"op":"add","path":"/a/1","value":2}]),
                json!({"a":[1,2,3]}),
            ),
            (json!({"a":[1]}), json!([{"op":"add","path":"/a/-","value":2}]), json!({"a":[1,2]})),
            (json!({"a":[1,2]}), json!([{"op":"remove","path":"/a/0"}]), json!({"a":[2]})),
            (
                json!({"a":1}),
                json!([{"op":"replace","path":"/a","value":{"b":1}}]),
                json!({"a":{"b":1}}),
            ),
            (
                json!({"a":{"b":1}}),
                json!([{"op":"move","from":"/a/b","path":"/c"}]),
                json!({"a":{},"c":1}),
            ),
            (
                json!({"a":[1]}),
                json!([{"op":"copy","from":"/a","path":"/b"}]),
                json!({"a":[1],"b":[1]}),
            ),
            (
                json!({"a/b":{"~":1}}),
                json!([{"op":"replace","path":"/a~1b/~0","value":2}]),
                json!({"a/b":{"~":2}}),
            ),
            (
                json!({"a":1}),
                json!([{"op":"test","path":"/a","value":1.0},{"op":"add","path":"/b","value":null}]),
                json!({"a":1,"b":null}),
            ),
        ];
        for (document, patch, expected) in cases {
            assert_eq!(patched(document, patch.clone()), Ok(expected), "{patch}");
        }
    }

    #[test]
    fn a_test_for_null_passes_on_a_missing_path() {
        let patch = json!([
            {"op":"test","path":"/metadata/finalizers","value":null},
            {"op":"add","path":"/metadata/finalizers","value":["x"]},
        ]);
        assert_eq!(
            patched(json!({"metadata":{}}), patch.clone()),
            Ok(json!({"metadata":{"finalizers":["x"]}}))
        );
        assert_eq!(
            patched(json!({"metadata":{"finalizers":["y"]}}), patch),
            Err(TestFailed { path: "/metadata/finalizers".into() })
        );
    }

    #[test]
    fn a_document_does_not_grow_without_end() {
        let doubled = |times: usize| {
            let copy = json!({"op":"copy","from":"/a","path":"/a/-"});
            patched(json!({"a": ["x".repeat(1 << 10)]}), Value::Array(vec![copy; times]))
        };
        assert!(doubled(8).is_ok());
        assert!(matches!(doubled(14), Err(JsonPatchError::TooLarge(_))));
    }

    #[test]
    fn a_document_does_not_nest_without_end() {
        let doubled = |times: u32| {
            let copy = |n: u32| json!({"op":"copy","from":"","path":"/a".repeat(1_usize << n)});
            patched(json!({"a": {}}), (0..times).map(copy).collect())
        };
        let deep = doubled(5).expect("33 levels");
        assert!(crate::deeper_than(&deep, 32) && !crate::deeper_than(&deep, 64));
        // Dropping, comparing or writing what it made of this would take more stack than there is.
        assert_eq!(doubled(20), Err(JsonPatchError::TooDeep { op: "copy" }));
        let path = "/a".repeat(MAX_DEPTH);
        let add = json!([{"op":"add","path":path,"value":{}}]);
        assert_eq!(patched(json!({}), add), Err(JsonPatchError::TooDeep { op: "add" }));
    }

    #[test]
    fn refuses_what_does_not_apply() {
        let document = json!({"a":[1],"b":"s"});
        for operation in [
            json!({"op":"remove","path":"/x"}),
            json!({"op":"replace","path":"/a/1","value":1}),
            json!({"op":"add","path":"/a/2","value":1}),
            json!({"op":"add","path":"/a/01","value":1}),
            json!({"op":"add","path":"/b/c","value":1}),
            json!({"op":"add","path":"/x/y","value":1}),
            json!({"op":"copy","from":"/x","path":"/y"}),
        ] {
            assert!(
                matches!(patched(document.clone(), json!([operation])), Err(Missing { .. })),
                "{operation}"
            );
        }
        for patch in [
            json!({}),
            json!([1]),
            json!([{"op":"add"}]),
            json!([{"op":"add","path":"x","value":1}]),
            json!([{"op":"jump","path":""}]),
            json!([{"op":"move","from":"/a","path":"/a/b"}]),
        ] {
            assert!(
                matches!(patched(document.clone(), patch.clone()), Err(Malformed(_))),
                "{patch}"
            );
        }
    }
}
