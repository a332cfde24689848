//! Templates and checks, as component types and traits declare them.

use super::schema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The plane a rendered object goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum TargetPlane {
    #[default]
    DataPlane,
    ObservabilityPlane,
}

/// A manifest with `${…}` holes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::loop_needs_var()))]
pub struct ResourceTemplate {
    /// Name of the entry.
    #[schemars(schema_with = "schema::text")]
    pub id: String,
    /// Where the object goes.
    #[serde(default)]
    pub target_plane: TargetPlane,
    /// Rendered only when this is true; evaluated before `forEach`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::expression")]
    pub include_when: Option<String>,
    /// List or map to render the template for each item of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::expression")]
    pub for_each: Option<String>,
    /// Name of the item in the template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::identifier")]
    pub var: Option<String>,
    /// The manifest.
    #[schemars(schema_with = "schema::any_object")]
    pub template: Value,
}

/// The schema of an input.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SchemaSection {
    /// An OpenAPI v3 schema of type object.
    #[serde(rename = "openAPIV3Schema", default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any_object")]
    pub open_api_v3_schema: Option<Value>,
}

/// A check before rendering.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PreRenderValidation {
    /// Must be true.
    #[schemars(schema_with = "schema::expression")]
    pub rule: String,
    /// Shown when it is not.
    #[schemars(schema_with = "schema::text")]
    pub message: String,
}

/// A check of rendered objects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::loop_needs_var()))]
pub struct PostRenderValidation {
    /// Which objects.
    pub target: ValidationTarget,
    /// The plane whose objects are meant.
    #[serde(default)]
    pub target_plane: TargetPlane,
    /// Checked only when this is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::expression")]
    pub when: Option<String>,
    /// List or map to check for each item of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::expression")]
    pub for_each: Option<String>,
    /// Name of the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::identifier")]
    pub var: Option<String>,
    /// Must be true of `resource`.
    #[schemars(schema_with = "schema::expression")]
    pub rule: String,
    /// Shown when it is not.
    #[schemars(schema_with = "schema::text")]
    pub message: String,
}

/// The objects a check is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValidationTarget {
    /// API group, empty for core.
    pub group: String,
    /// API version.
    #[schemars(schema_with = "schema::text")]
    pub version: String,
    /// Kind.
    #[schemars(schema_with = "schema::text")]
    pub kind: String,
    /// Filter over `resource`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::expression")]
    pub r#where: Option<String>,
    /// Whether no match at all is an error.
    #[serde(default = "yes")]
    pub must_match: bool,
}

fn yes() -> bool {
    true
}
