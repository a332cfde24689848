//! A tool as MCP describes it.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool as Described, ToolAnnotations};
use serde_json::{Map, Value, json};

use super::{Access, Arg, ArgKind, Output, Tool};

/// What `tools/list` says of `tool`.
pub(super) fn describe(tool: &Tool) -> Described {
    Described::new(tool.name, tool.description, Arc::new(input(tool)))
        .with_raw_output_schema(Arc::new(output(tool.output)))
        .with_annotations(annotations(tool.access))
}

fn annotations(access: Access) -> ToolAnnotations {
    let plain = ToolAnnotations::new().open_world(false);
    match access {
        Access::Read => plain.read_only(true),
        Access::Create => plain.read_only(false).destructive(false).idempotent(false),
        Access::Update | Access::Delete => {
            plain.read_only(false).destructive(true).idempotent(true)
        }
    }
}

/// The input schema. Small on purpose: a name that speaks for itself has no description.
pub(super) fn input(tool: &Tool) -> JsonObject {
    let properties: Map<String, Value> =
        tool.args.iter().map(|arg| (arg.name.to_owned(), argument(arg))).collect();
    let required: Vec<&str> =
        tool.args.iter().filter(|arg| arg.required).map(|arg| arg.name).collect();
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), Value::Object(properties));
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    schema
}

fn argument(arg: &Arg) -> Value {
    let mut schema = match arg.kind {
        ArgKind::Text => json!({"type": "string"}),
        ArgKind::OneOf(names) => json!({"type": "string", "enum": names}),
        ArgKind::Integer => json!({"type": "integer"}),
        ArgKind::Flag => json!({"type": "boolean"}),
        ArgKind::Object => json!({"type": "object"}),
        ArgKind::Objects => json!({"type": "array", "items": {"type": "object"}}),
        ArgKind::Texts => json!({"type": "array", "items": {"type": "string"}}),
    };
    if !arg.description.is_empty() {
        schema["description"] = json!(arg.description);
    }
    schema
}

fn output(output: Output) -> JsonObject {
    let rows = || json!({"type": "array", "items": {"type": "object"}});
    let text = || json!({"type": "string"});
    let schema = match output {
        Output::List(key) => json!({
            "type": "object",
            "properties": {key: rows(), "next_cursor": text()},
            "required": [key],
        }),
        Output::Lists(namespaced, cluster) => json!({
            "type": "object",
            "properties": {namespaced: rows(), cluster: rows(), "next_cursor": text()},
        }),
        Output::Object(members) => json!({"type": "object", "required": members}),
        Output::Mutation => json!({
            "type": "object",
            "properties": {"name": text(), "action": text()},
            "required": ["name", "action"],
        }),
        Output::Schema => json!({"type": "object"}),
    };
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}
