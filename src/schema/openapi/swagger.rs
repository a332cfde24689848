//! The Swagger 2.0 document of the whole server, which Argo CD, older kubectls and code generators ask for.
//!
//! It is made of the documents of version 3, so that both say the same. What version 2 has no words for (alternatives,
//! `nullable`) is left out, as real servers do: a client may then accept what the server refuses, and never the other way
//! round.

use serde_json::{Map, Value, json};

/// Keywords of version 3 that version 2 does not know.
const UNKNOWN: [&str; 5] = ["oneOf", "anyOf", "not", "nullable", "x-kubernetes-validations"];
const EVERY_KIND: &str = "x-kubernetes-group-version-kind";

/// Of all `documents` one.
pub(super) fn document(documents: impl IntoIterator<Item = Value>) -> Value {
    let (mut paths, mut definitions) = (Map::new(), Map::new());
    for mut document in documents {
        if let Value::Object(items) = document["paths"].take() {
            paths.extend(items.into_iter().map(|(path, item)| (path, path_item(item))));
        }
        if let Value::Object(schemas) = document["components"]["schemas"].take() {
            for (name, schema) in schemas {
                add(&mut definitions, name, self::schema(schema));
            }
        }
    }
    json!({
        "swagger": "2.0", "info": {"title": "Kubernetes", "version": "unversioned"},
        "paths": paths, "definitions": definitions,
    })
}

/// A definition is the same in each document but for the kinds that it is.
fn add(definitions: &mut Map<String, Value>, name: String, schema: Value) {
    let Some(known) = definitions.get_mut(&name) else {
        definitions.insert(name, schema);
        return;
    };
    let Some(Value::Array(kinds)) = schema.get(EVERY_KIND) else { return };
    let all = known[EVERY_KIND].take();
    let mut all = all.as_array().cloned().unwrap_or_default();
    let new = kinds.iter().filter(|kind| !all.contains(kind)).cloned().collect::<Vec<_>>();
    all.extend(new);
    known[EVERY_KIND] = all.into();
}

fn schema(schema: Value) -> Value {
    let Value::Object(mut fields) = schema else { return schema };
    let number = |it: &Value| matches!(it["type"].as_str(), Some("integer" | "number"));
    let ways = fields.get("oneOf").and_then(Value::as_array);
    // What may be written as a text or as a number is called a text.
    let text = ways.is_some_and(|ways| ways.iter().any(number) && ways.len() == 2);
    let nullable = fields.get("nullable") == Some(&Value::Bool(true));
    for name in UNKNOWN {
        fields.remove(name);
    }
    if text {
        fields.insert("type".into(), "string".into());
    } else if nullable {
        // No type is the only one that null has.
        for name in ["type", "items", "properties"] {
            fields.remove(name);
        }
    }
    // A reference may have company here.
    if let Some(Value::Array(all)) = fields.get_mut("allOf")
        && let [only] = &mut all[..]
        && only.get("$ref").is_some()
    {
        let reference = only["$ref"].take();
        fields.remove("allOf");
        fields.insert("$ref".into(), reference);
    }
    if let Some(Value::String(reference)) = fields.get_mut("$ref") {
        *reference = reference.replace("#/components/schemas/", "#/definitions/");
    }
    for name in ["items", "additionalProperties"] {
        if let Some(value) = fields.get_mut(name) {
            *value = self::schema(value.take());
        }
    }
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.values_mut().for_each(|value| *value = self::schema(value.take()));
    }
    if let Some(Value::Array(all)) = fields.get_mut("allOf") {
        all.iter_mut().for_each(|value| *value = self::schema(value.take()));
    }
    Value::Object(fields)
}

fn path_item(item: Value) -> Value {
    let Value::Object(fields) = item else { return item };
    let known = |(name, value): (String, Value)| {
        let value = if name == "parameters" { parameters(value) } else { operation(value) };
        (name, value)
    };
    Value::Object(fields.into_iter().map(known).collect())
}

fn parameters(list: Value) -> Value {
    let Value::Array(list) = list else { return list };
    list.into_iter().map(parameter).collect()
}

/// The schema of a parameter stands beside its name.
fn parameter(mut parameter: Value) -> Value {
    let schema = parameter["schema"].take();
    let Value::Object(mut fields) = parameter else { return parameter };
    fields.remove("schema");
    if let Value::Object(schema) = schema {
        fields.extend(schema);
    }
    Value::Object(fields)
}

fn operation(mut operation: Value) -> Value {
    let mut all = match parameters(operation["parameters"].take()) {
        Value::Array(all) => all,
        _ => Vec::new(),
    };
    if let Value::Object(content) = operation["requestBody"]["content"].take() {
        let types: Vec<&String> = content.keys().collect();
        operation["consumes"] = json!(types);
        let body = content.values().next().map(|body| body["schema"].clone());
        let required = operation["x-kubernetes-action"] != "delete";
        let required = required && operation["x-kubernetes-action"] != "deletecollection";
        let body = schema(body.unwrap_or_default());
        all.push(json!({"name": "body", "in": "body", "required": required, "schema": body}));
    }
    let mut produces = Vec::new();
    if let Some(Value::Object(responses)) = operation.get_mut("responses") {
        for response in responses.values_mut() {
            if let Value::Object(content) = response["content"].take() {
                let body = content.values().next().map(|body| body["schema"].clone());
                response["schema"] = schema(body.unwrap_or_default());
                produces = content.keys().cloned().collect();
            }
            if let Value::Object(fields) = response {
                fields.remove("content");
            }
        }
    }
    operation["parameters"] = all.into();
    operation["produces"] = produces.into();
    if let Value::Object(fields) = &mut operation {
        fields.remove("requestBody");
    }
    operation
}
