//! A tool as MCP describes it.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool as Described, ToolAnnotations};
use serde_json::{Map, Value, json};

use super::{Access, Arg, ArgKind, Member, Members, Output, Tool};

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

/// What every object shows, as far as it has it.
const COMMON: &[Member] = &[
    Member::text("name"),
    Member::text("namespace"),
    Member::text("displayName"),
    Member::text("description"),
    Member::text("createdAt"),
];

/// The output schema: the names of members and their types, so that a client can plan with them.
fn output(output: Output) -> JsonObject {
    let rows = |members: &dyn Members| json!({"type": "array", "items": item(members)});
    let text = || json!({"type": "string"});
    let schema = match output {
        Output::List(key, members) => json!({
            "type": "object",
            "properties": {key: rows(members), "next_cursor": text(), "hint": text()},
            "required": [key],
        }),
        Output::Lists(namespaced, cluster, members) => json!({
            "type": "object",
            "properties": {
                namespaced: {"type": "array"}, cluster: rows(members), "next_cursor": text(), "hint": text(),
            },
        }),
        Output::Item(members) => item(members),
        Output::Object(members) => object(members.iter()),
        Output::Mutation => {
            object([Member::text("name"), Member::text("namespace"), Member::text("action")].iter())
        }
        Output::Schema => json!({"type": "object"}),
    };
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

fn item(members: &dyn Members) -> Value {
    object(COMMON.iter().chain(&members.members()))
}

fn object<'a>(members: impl Iterator<Item = &'a Member> + Clone) -> Value {
    let first: Vec<&str> = members.clone().take(1).map(|member| member.name).collect();
    let properties: Map<String, Value> =
        members.map(|member| (member.name.to_owned(), json!({"type": member.kind}))).collect();
    json!({"type": "object", "properties": properties, "required": first})
}
