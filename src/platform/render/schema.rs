//! The schemas of parameters and environment configs.
//!
//! Authors write OpenAPI v3 with two liberties: `$defs` at the root with `$ref`s to them, and
//! vendor keys. Both are resolved here; what remains is a structural schema.

use super::Problem;
use crate::types::SchemaSection;
use curtain_schema::crd::CrdSchema;
use serde_json::{Map, Value};

/// How deep `$ref`s may lead.
const MAX_DEPTH: usize = 64;

/// The given values with the schema's defaults, after checking them against it. Without a schema
/// nothing is taken over.
pub(super) fn defaulted(
    section: Option<&SchemaSection>,
    given: Option<&Value>,
) -> Result<Value, Problem> {
    let Some(schema) = compiled(section)? else { return Ok(Value::Object(Map::new())) };
    let mut values = given
        .filter(|given| !given.is_null())
        .cloned()
        .unwrap_or_else(|| Value::Object(Map::new()));
    schema.default(&mut values);
    let findings = schema.validate(&values, None);
    if findings.is_empty() {
        Ok(values)
    } else {
        Err(Problem::Input(findings.iter().map(ToString::to_string).collect()))
    }
}

/// Checks that a schema can be used.
pub(super) fn check(section: Option<&SchemaSection>) -> Result<(), Problem> {
    compiled(section).map(|_| ())
}

fn compiled(section: Option<&SchemaSection>) -> Result<Option<CrdSchema>, Problem> {
    let Some(schema) = section.and_then(|section| section.open_api_v3_schema.as_ref()) else {
        return Ok(None);
    };
    let mut resolved = resolved(schema).map_err(Problem::Schema)?;
    drop_vendor_keys(&mut resolved, false);
    CrdSchema::compile(&resolved, "openAPIV3Schema").map(Some).map_err(|findings| {
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        Problem::Schema(lines.join("; "))
    })
}

/// A schema with its `$ref`s replaced by what they refer to, and `$defs` gone. Vendor keys stay,
/// as forms use them.
///
/// # Errors
///
/// A sentence about the reference that cannot be resolved.
pub fn resolved(schema: &Value) -> Result<Value, String> {
    let definitions = schema.get("$defs").cloned().unwrap_or_default();
    let mut root = schema.clone();
    if let Value::Object(map) = &mut root {
        map.remove("$defs");
    }
    resolve(root, &definitions, &mut Vec::new(), 0)
}

fn resolve(
    node: Value,
    definitions: &Value,
    within: &mut Vec<String>,
    depth: usize,
) -> Result<Value, String> {
    if depth > MAX_DEPTH {
        return Err(format!("it nests more than {MAX_DEPTH} levels"));
    }
    match node {
        Value::Array(items) => items
            .into_iter()
            .map(|item| resolve(item, definitions, within, depth + 1))
            .collect::<Result<_, _>>()
            .map(Value::Array),
        Value::Object(mut map) => {
            let mut entered = false;
            if let Some(Value::String(reference)) = map.remove("$ref") {
                let name = reference
                    .strip_prefix("#/$defs/")
                    .filter(|name| !name.contains('/'))
                    .ok_or_else(|| format!("`{reference}` is not of the form `#/$defs/Name`"))?;
                if within.iter().any(|outer| outer == name) {
                    return Err(format!("`#/$defs/{name}` refers to itself"));
                }
                let Some(Value::Object(target)) = definitions.get(name).cloned() else {
                    return Err(format!("there is no `#/$defs/{name}`"));
                };
                // What stands beside a reference extends or overrides its target.
                let beside = std::mem::replace(&mut map, target);
                map.extend(beside);
                within.push(name.to_owned());
                entered = true;
            }
            let mut resolved = Map::new();
            if map.contains_key("$ref") {
                // The target is itself a reference.
                let inner = resolve(Value::Object(map), definitions, within, depth + 1)?;
                within.pop();
                return Ok(inner);
            }
            for (key, value) in map {
                resolved.insert(key, resolve(value, definitions, within, depth + 1)?);
            }
            if entered {
                within.pop();
            }
            Ok(Value::Object(resolved))
        }
        scalar => Ok(scalar),
    }
}

/// Drops `x-…` keys except those of Kubernetes, where a schema may have them: not among the names
/// of properties, and not in values.
fn drop_vendor_keys(node: &mut Value, names: bool) {
    let Value::Object(map) = node else {
        if let Value::Array(items) = node {
            items.iter_mut().for_each(|item| drop_vendor_keys(item, false));
        }
        return;
    };
    if !names {
        map.retain(|key, _| !key.starts_with("x-") || key.starts_with("x-kubernetes-"));
    }
    for (key, value) in map.iter_mut() {
        match key.as_str() {
            _ if names => drop_vendor_keys(value, false),
            "default" | "enum" | "example" => {}
            "properties" => drop_vendor_keys(value, true),
            _ => drop_vendor_keys(value, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{defaulted, resolved};
    use crate::types::SchemaSection;
    use serde_json::{Value, json};

    fn section(schema: Value) -> SchemaSection {
        SchemaSection { open_api_v3_schema: Some(schema) }
    }

    #[test]
    fn references_are_replaced_by_what_they_mean() {
        let schema = json!({
            "type": "object",
            "$defs": {
                "Quantity": {"type": "string", "default": "1"},
                "Pair": {"type": "object", "properties": {"cpu": {"$ref": "#/$defs/Quantity"}}},
            },
            "properties": {
                "requests": {"$ref": "#/$defs/Pair", "default": {}},
                "x-named": {"type": "string", "x-ui": {"widget": "text"}},
            },
        });
        let resolved = resolved(&schema).unwrap();
        assert_eq!(resolved["properties"]["requests"]["properties"]["cpu"]["default"], "1");
        assert_eq!(resolved["properties"]["requests"]["default"], json!({}));
        assert!(resolved.get("$defs").is_none());
        let values = defaulted(Some(&section(schema)), Some(&json!({"x-named": "a"}))).unwrap();
        assert_eq!(values, json!({"requests": {"cpu": "1"}, "x-named": "a"}));
    }

    #[test]
    fn bad_references_are_named() {
        for (defs, reference, message) in [
            (json!({}), "#/$defs/A", "there is no `#/$defs/A`"),
            (json!({}), "http://x", "`http://x` is not of the form `#/$defs/Name`"),
            (json!({"A": {"$ref": "#/$defs/A"}}), "#/$defs/A", "`#/$defs/A` refers to itself"),
            (
                json!({"A": {"properties": {"b": {"$ref": "#/$defs/A"}}}}),
                "#/$defs/A",
                "`#/$defs/A` refers to itself",
            ),
        ] {
            let schema = json!({"$defs": defs, "properties": {"a": {"$ref": reference}}});
            assert_eq!(resolved(&schema).unwrap_err(), message);
        }
    }

    #[test]
    fn values_are_checked_and_unknown_ones_kept() {
        let schema = json!({
            "type": "object",
            "required": ["port"],
            "properties": {"port": {"type": "integer", "minimum": 1}},
        });
        let schema = section(schema);
        let kept = defaulted(Some(&schema), Some(&json!({"port": 1, "other": true}))).unwrap();
        assert_eq!(kept["other"], true);
        let error = defaulted(Some(&schema), Some(&json!({"port": 0}))).unwrap_err().to_string();
        assert!(error.contains("port: Invalid value: 0"), "{error}");
        assert!(defaulted(Some(&schema), None).is_err());
        assert_eq!(defaulted(None, Some(&json!({"a": 1}))).unwrap(), json!({}));
    }
}
