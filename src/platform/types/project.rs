//! Projects: the owner of components.

use super::{Condition, schema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A group of components that are deployed along one pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectSpec {
    /// The pipeline.
    pub deployment_pipeline_ref: DeploymentPipelineRef,
    /// The project's type.
    #[schemars(extend("x-kubernetes-validations" = schema::immutable("spec.type cannot be changed after creation")))]
    pub r#type: ProjectTypeRef,
    /// Input of the project's type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any")]
    pub parameters: Option<Value>,
}

/// A reference to a pipeline of the same namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeploymentPipelineRef {
    /// Always `DeploymentPipeline`.
    #[serde(default)]
    pub kind: DeploymentPipelineKind,
    /// Its name.
    #[schemars(schema_with = "schema::name63")]
    pub name: String,
}

/// The one kind of pipeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub enum DeploymentPipelineKind {
    #[default]
    DeploymentPipeline,
}

/// A reference to a project type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProjectTypeRef {
    /// Namespaced or cluster-scoped.
    #[serde(default)]
    pub kind: ProjectTypeKind,
    /// Its name.
    #[schemars(schema_with = "schema::label_chars")]
    pub name: String,
}

/// The kinds of project type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub enum ProjectTypeKind {
    #[default]
    ProjectType,
    ClusterProjectType,
}

/// What is known of a project.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectStatus {
    /// The generation this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Created`, `Ready`, `Finalizing`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The newest release of the project's own resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_release: Option<LatestProjectRelease>,
}

/// The newest release of a project's own resources.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LatestProjectRelease {
    /// Its name.
    #[schemars(schema_with = "schema::text")]
    pub name: String,
    /// The hash of its content.
    #[schemars(schema_with = "schema::text")]
    pub hash: String,
}
