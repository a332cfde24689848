//! Editing JSON as people write it: comments, trailing commas and layout survive.

use jsonc_parser::{
    ParseOptions,
    cst::{CstInputValue, CstObject, CstRootNode},
};
use serde_json::Value;

fn parse(text: &str) -> Result<(CstRootNode, CstObject), String> {
    let root =
        CstRootNode::parse(text, &ParseOptions::default()).map_err(|error| error.to_string())?;
    let object = root.object_value_or_create().ok_or("it is not a JSON object")?;
    Ok((root, object))
}

pub(super) fn get(text: &str, table: &str, name: &str) -> Result<Option<Value>, String> {
    let (_, object) = parse(text)?;
    let property = object.object_value(table).and_then(|table| table.get(name));
    Ok(property.and_then(|property| property.value()).and_then(|value| value.to_serde_value()))
}

pub(super) fn whole(text: &str) -> Result<Value, String> {
    let (_, object) = parse(text)?;
    object.to_serde_value().ok_or_else(|| "it has a value that JSON does not".to_owned())
}

pub(super) fn set(text: &str, table: &str, name: &str, value: &Value) -> Result<String, String> {
    let (root, object) = parse(text)?;
    let servers =
        object.object_value_or_create(table).ok_or(format!("its {table:?} is not an object"))?;
    match servers.get(name) {
        Some(property) => property.set_value(input(value)),
        None => _ = servers.append(name, input(value)),
    }
    let mut text = root.to_string();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

pub(super) fn unset(
    text: &str,
    table: &str,
    name: &str,
    with_table: bool,
) -> Result<String, String> {
    let (root, object) = parse(text)?;
    if let Some(servers) = object.object_value(table) {
        if let Some(property) = servers.get(name) {
            property.remove();
        }
        if with_table
            && servers.properties().is_empty()
            && let Some(property) = object.get(table)
        {
            property.remove();
        }
    }
    Ok(root.to_string())
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(value) => CstInputValue::Bool(*value),
        Value::Number(value) => CstInputValue::Number(value.to_string()),
        Value::String(value) => CstInputValue::String(value.clone()),
        Value::Array(values) => CstInputValue::Array(values.iter().map(input).collect()),
        Value::Object(map) => CstInputValue::Object(
            map.iter().map(|(key, value)| (key.clone(), input(value))).collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COMMENTED: &str = r#"{
  // my servers
  "mcpServers": {
    "other": { "command": "x" }, // keep me
  },
  "theme": "dark"
}
"#;

    #[test]
    fn comments_and_neighbours_survive_an_edit_and_its_removal() {
        let edited =
            set(COMMENTED, "mcpServers", "curtain", &json!({ "command": "/c", "args": ["a"] }))
                .unwrap();
        assert!(edited.contains("// my servers") && edited.contains("// keep me"), "{edited}");
        assert!(edited.contains("\"theme\": \"dark\""), "{edited}");
        assert_eq!(
            get(&edited, "mcpServers", "curtain").unwrap(),
            Some(json!({ "command": "/c", "args": ["a"] }))
        );
        let back = unset(&edited, "mcpServers", "curtain", false).unwrap();
        assert!(back.contains("// my servers") && back.contains("\"other\""), "{back}");
        assert_eq!(get(&back, "mcpServers", "curtain").unwrap(), None);
    }

    #[test]
    fn an_empty_file_becomes_an_object_and_setting_twice_changes_nothing() {
        let once = set("", "servers", "curtain", &json!({ "command": "/c" })).unwrap();
        let twice = set(&once, "servers", "curtain", &json!({ "command": "/c" })).unwrap();
        assert_eq!(once, twice);
        let back = unset(&once, "servers", "curtain", true).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&back).unwrap(), json!({}));
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        assert!(set("[1]", "servers", "x", &json!({})).is_err());
        assert!(set("{\"servers\": 1}", "servers", "x", &json!({})).is_err());
        assert!(set("{ nonsense", "servers", "x", &json!({})).is_err());
    }
}
