//! CustomResourceDefinitions from the registry.
//!
//! Differences from upstream, all deliberate: our own descriptions; `spec` is required (an object without one is
//! refused when it is written instead of stopping its controllers).

use super::kind::{Column, KindInfo, Scope};
use super::{GROUP, VERSION};
use kube::core::schema::{OptionalEnum, StructuralSchemaRewriter};
use schemars::generate::SchemaSettings;
use schemars::transform::AddNullable;
use serde_json::{Map, Value, json};

/// The CustomResourceDefinition of a kind.
pub fn crd(info: &KindInfo) -> Value {
    let mut version = json!({
        "name": VERSION,
        "served": true,
        "storage": true,
        "schema": { "openAPIV3Schema": root(info) },
    });
    if info.status {
        version["subresources"] = json!({ "status": {} });
    }
    if !info.columns.is_empty() {
        version["additionalPrinterColumns"] = info.columns.iter().map(column).collect();
    }
    let mut names = json!({
        "kind": info.kind,
        "listKind": format!("{}List", info.kind),
        "plural": info.plural,
        "singular": info.kind.to_lowercase(),
    });
    if !info.short_names.is_empty() {
        names["shortNames"] = json!(info.short_names);
    }
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{}.{GROUP}", info.plural) },
        "spec": {
            "group": GROUP,
            "names": names,
            "scope": match info.scope { Scope::Namespaced => "Namespaced", Scope::Cluster => "Cluster" },
            "versions": [version],
        },
    })
}

/// The text of the kind's file in `manifests/crds`.
///
/// # Errors
/// None in practice: the document is a plain JSON value.
pub fn crd_yaml(info: &KindInfo) -> Result<String, serde_saphyr::ser::Error> {
    let body = serde_saphyr::to_string(&crd(info))?;
    Ok(format!(
        "# Generated from src/platform/types; a test compares the two.
{body}"
    ))
}

fn column(column: &Column) -> Value {
    json!({ "name": column.name, "jsonPath": column.path, "type": column.r#type })
}

fn root(info: &KindInfo) -> Value {
    let mut spec = derived(info.spec_schema);
    if let Some(adjust) = info.adjust {
        adjust(&mut spec);
    }
    let mut properties = json!({
        "apiVersion": { "type": "string" },
        "kind": { "type": "string" },
        "metadata": { "type": "object" },
        "spec": spec,
    });
    if info.status {
        properties["status"] = derived(info.status_schema);
    }
    json!({ "type": "object", "properties": properties, "required": ["spec"] })
}

/// A structural schema without what the derives add beyond upstream's shape.
fn derived(schema: fn(&mut schemars::SchemaGenerator) -> schemars::Schema) -> Value {
    let settings = SchemaSettings::openapi3()
        .with(|s| {
            s.inline_subschemas = true;
            s.meta_schema = None;
        })
        .with_transform(AddNullable::default())
        .with_transform(StructuralSchemaRewriter)
        .with_transform(OptionalEnum);
    let mut generator = settings.into_generator();
    let mut schema = schema(&mut generator);
    for transform in generator.transforms_mut() {
        transform.transform(&mut schema);
    }
    let mut value = schema.to_value();
    tidy(&mut value);
    value
}

/// Absent and null are the same to our types, and structural schemas have no tuple types, so `nullable`, null defaults
/// and null enum members only hide differences.
fn tidy(schema: &mut Value) {
    let Value::Object(object) = schema else { return };
    object.remove("nullable");
    object.remove("title");
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|v| !v.is_null());
    }
    if let Some(Value::Array(required)) = object.get_mut("required") {
        required.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = object.get_mut(key) {
            tidy(inner);
        }
    }
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        properties.values_mut().for_each(tidy);
    }
    if object.get("properties").is_some_and(|p| p.as_object().is_some_and(Map::is_empty)) {
        object.remove("properties");
    }
}

#[cfg(test)]
mod tests;
