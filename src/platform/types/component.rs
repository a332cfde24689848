//! Components: what developers deploy.

use super::{Condition, schema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A deployable unit of a project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentSpec {
    /// The project it belongs to.
    #[schemars(extend("x-kubernetes-validations" = schema::immutable("spec.owner is immutable")))]
    pub owner: ProjectOwner,
    /// The type that renders it.
    #[schemars(extend("x-kubernetes-validations" = schema::immutable("spec.componentType cannot be changed after creation")))]
    pub component_type: ComponentTypeRef,
    /// Cut a release on every change and keep the first environment on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_deploy: Option<bool>,
    /// Build on every push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_build: Option<bool>,
    /// Input of the component type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any")]
    pub parameters: Option<Value>,
    /// Traits beside those of the type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traits: Vec<ComponentTrait>,
    /// How it is built from source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<ComponentWorkflow>,
}

/// Ownership by a project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectOwner {
    /// The project.
    #[schemars(schema_with = "schema::text")]
    pub project_name: String,
}

/// Ownership by a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentOwner {
    /// The project.
    #[schemars(schema_with = "schema::text")]
    pub project_name: String,
    /// The component.
    #[schemars(schema_with = "schema::text")]
    pub component_name: String,
}

/// A reference to a component type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComponentTypeRef {
    /// Namespaced or cluster-scoped.
    #[serde(default)]
    pub kind: ComponentTypeKind,
    /// `{workloadType}/{typeName}`.
    #[schemars(regex(
        pattern = r"^(deployment|statefulset|cronjob|job|proxy)/[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
    ))]
    pub name: String,
}

impl ComponentTypeRef {
    /// The workload type and the type's own name.
    pub fn split(&self) -> Option<(&str, &str)> {
        self.name.split_once('/')
    }
}

/// The kinds of component type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub enum ComponentTypeKind {
    #[default]
    ComponentType,
    ClusterComponentType,
}

/// The kinds of trait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub enum TraitKind {
    #[default]
    Trait,
    ClusterTrait,
}

impl TraitKind {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trait => "Trait",
            Self::ClusterTrait => "ClusterTrait",
        }
    }
}

/// The kinds of workflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub enum WorkflowKind {
    Workflow,
    #[default]
    ClusterWorkflow,
}

/// A trait attached to a component.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentTrait {
    /// Namespaced or cluster-scoped.
    #[serde(default)]
    pub kind: TraitKind,
    /// Name of the trait.
    #[schemars(schema_with = "schema::text")]
    pub name: String,
    /// Name of this use of it, unique within the component.
    #[schemars(schema_with = "schema::text")]
    pub instance_name: String,
    /// Input of the trait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any")]
    pub parameters: Option<Value>,
}

/// A build workflow with its input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComponentWorkflow {
    /// Namespaced or cluster-scoped.
    #[serde(default)]
    pub kind: WorkflowKind,
    /// Name of the workflow.
    #[schemars(schema_with = "schema::text")]
    pub name: String,
    /// Input of the workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any_object")]
    pub parameters: Option<Value>,
}

/// What is known of a component.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentStatus {
    /// The generation this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Finalizing`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The newest release cut by auto-deploy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_release: Option<LatestRelease>,
}

/// The newest release of a component.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LatestRelease {
    /// Name of the ComponentRelease.
    #[schemars(schema_with = "schema::text")]
    pub name: String,
    /// Hash of its content.
    #[schemars(schema_with = "schema::text")]
    pub release_hash: String,
}
