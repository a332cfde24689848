//! How deep documents are.

use serde_json::Value;

/// Objects and lists inside each other, the document itself counted. JSON is read 127 deep, and an object is written
/// with what surrounds it: who owns its fields nests five levels deeper than they do, a review for a webhook two more.
pub const MAX_DEPTH: usize = 100;

/// Whether more than `most` objects and lists are inside each other. Looks no deeper than that.
pub fn deeper_than(value: &Value, most: usize) -> bool {
    let below = |inside: &Value| most == 0 || deeper_than(inside, most - 1);
    match value {
        Value::Object(fields) => most == 0 || fields.values().any(below),
        Value::Array(items) => most == 0 || items.iter().any(below),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_and_lists_are_counted() {
        for (value, depth) in [
            (json!(1), 0),
            (json!({}), 1),
            (json!([1, 2]), 1),
            (json!({"a": 1, "b": [{}], "c": []}), 3),
        ] {
            assert!(!deeper_than(&value, depth), "{value}");
            assert!(depth == 0 || deeper_than(&value, depth - 1), "{value}");
        }
    }
}
