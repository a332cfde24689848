//! Rendered releases: manifests to apply to a plane, and what became of them.

use super::{Condition, TargetPlane, schema};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Manifests to apply to a plane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RenderedReleaseSpec {
    /// Whose manifests these are.
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[
        ("self == oldSelf", "spec.owner is immutable"),
        (
            "!(has(self.componentName) && has(self.resourceName))",
            "componentName and resourceName both cannot be set",
        ),
    ])))]
    pub owner: RenderedReleaseOwner,
    /// The environment, which names the plane.
    #[schemars(schema_with = "schema::text")]
    pub environment_name: String,
    /// Which of the environment's planes.
    #[serde(default)]
    pub target_plane: TargetPlane,
    /// The manifests, in the order they are applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<RenderedResource>,
    /// How often a steady release is compared again; `0s` never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub interval: Option<String>,
    /// How often an unsteady release is compared again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub progressing_interval: Option<String>,
}

/// Whose manifests; neither component nor resource means the project's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RenderedReleaseOwner {
    /// The project.
    #[schemars(schema_with = "schema::text")]
    pub project_name: String,
    /// The component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component_name: Option<String>,
    /// The resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
}

/// One manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RenderedResource {
    /// Stable id of the entry.
    #[schemars(schema_with = "schema::text")]
    pub id: String,
    /// The whole manifest.
    #[schemars(schema_with = "schema::any")]
    pub object: Value,
}

/// What became of the manifests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RenderedReleaseStatus {
    /// `ResourcesApplied`, `Finalizing`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The live objects, in the order of the manifests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<AppliedResource>,
}

/// A live object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppliedResource {
    /// Id of the manifest.
    #[schemars(schema_with = "schema::text")]
    pub id: String,
    /// API group; absent for core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// API version.
    #[schemars(schema_with = "schema::text")]
    pub version: String,
    /// Kind.
    #[schemars(schema_with = "schema::text")]
    pub kind: String,
    /// Name.
    #[schemars(schema_with = "schema::text")]
    pub name: String,
    /// Namespace; absent for cluster-scoped objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The live object's own status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any")]
    pub status: Option<Value>,
    /// `Unknown`, `Progressing`, `Healthy`, `Suspended` or `Degraded`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_status: Option<String>,
    /// When status or health last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_observed_time: Option<Time>,
}
