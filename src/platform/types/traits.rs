//! Traits: changes to what component types render.

use super::{PostRenderValidation, PreRenderValidation, SchemaSection, TargetPlane, schema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a trait adds, changes and removes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::rules(&[schema::ONE_KIND_OF_VALIDATIONS])))]
pub struct TraitSpec {
    /// Input set on the component and frozen into the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<SchemaSection>,
    /// Input set per environment on the binding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_configs: Option<SchemaSection>,
    /// New objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub creates: Vec<TraitCreate>,
    /// Changes to objects already rendered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<TraitPatch>,
    /// Objects to drop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removes: Vec<TraitRemove>,
    /// Checks before rendering (the old name).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub validations: Vec<PreRenderValidation>,
    /// Checks before rendering.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pre_render_validations: Vec<PreRenderValidation>,
    /// Checks of what was rendered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post_render_validations: Vec<PostRenderValidation>,
}

/// A new object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::loop_needs_var()))]
pub struct TraitCreate {
    /// Where it goes.
    #[serde(default)]
    pub target_plane: TargetPlane,
    /// Rendered only when this is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::expression")]
    pub include_when: Option<String>,
    /// List or map to render for each item of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::expression")]
    pub for_each: Option<String>,
    /// Name of the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::identifier")]
    pub var: Option<String>,
    /// The manifest.
    #[schemars(schema_with = "schema::any_object")]
    pub template: Value,
}

/// Changes to objects already rendered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::loop_needs_var()))]
pub struct TraitPatch {
    /// Which objects.
    pub target: TraitTarget,
    /// The plane whose objects are meant.
    #[serde(default)]
    pub target_plane: TargetPlane,
    /// List or map to patch for each item of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::expression")]
    pub for_each: Option<String>,
    /// Name of the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::identifier")]
    pub var: Option<String>,
    /// The changes, in order.
    #[schemars(length(min = 1))]
    pub operations: Vec<PatchOperation>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PatchOperation {
    /// What to do.
    pub op: PatchOp,
    /// Where; may contain `${…}`.
    pub path: String,
    /// The value to add or put there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any")]
    pub value: Option<Value>,
}

/// The kinds of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum PatchOp {
    Add,
    Replace,
    Remove,
}

/// Objects to drop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::loop_needs_var()))]
pub struct TraitRemove {
    /// Which objects.
    pub target: TraitTarget,
    /// The plane whose objects are meant.
    #[serde(default)]
    pub target_plane: TargetPlane,
    /// List or map to remove for each item of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::expression")]
    pub for_each: Option<String>,
    /// Name of the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::identifier")]
    pub var: Option<String>,
}

/// The objects a patch or removal is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TraitTarget {
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
}
