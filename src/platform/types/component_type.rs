//! Component types: how a component becomes objects.

use super::{
    PostRenderValidation, PreRenderValidation, ResourceTemplate, SchemaSection, TraitKind,
    WorkflowKind, schema,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a component type offers and renders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::rules(&[
    (
        "self.workloadType == 'proxy' || self.resources.exists(r, r.id == self.workloadType)",
        "resources must contain a primary resource with id matching workloadType (unless workloadType is 'proxy')",
    ),
    schema::ONE_KIND_OF_VALIDATIONS,
])))]
pub struct ComponentTypeSpec {
    /// The kind of its primary object.
    #[schemars(extend("x-kubernetes-validations" = schema::immutable("spec.workloadType cannot be changed after creation")))]
    pub workload_type: WorkloadType,
    /// Input set on the component and frozen into the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<SchemaSection>,
    /// Input set per environment on the binding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_configs: Option<SchemaSection>,
    /// What it renders.
    #[schemars(length(min = 1))]
    pub resources: Vec<ResourceTemplate>,
    /// Traits that always apply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traits: Vec<EmbeddedTrait>,
    /// Traits that components may add; none when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_traits: Vec<AllowedTrait>,
    /// Workflows that components may use; none when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_workflows: Vec<AllowedWorkflow>,
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

/// The kind of a type's primary object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum WorkloadType {
    Deployment,
    StatefulSet,
    CronJob,
    Job,
    Proxy,
}

impl WorkloadType {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::StatefulSet => "statefulset",
            Self::CronJob => "cronjob",
            Self::Job => "job",
            Self::Proxy => "proxy",
        }
    }

    /// Parses the name on the wire.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Deployment, Self::StatefulSet, Self::CronJob, Self::Job, Self::Proxy]
            .into_iter()
            .find(|t| t.as_str() == name)
    }
}

/// A trait that always applies to components of the type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmbeddedTrait {
    /// Namespaced or cluster-scoped.
    #[serde(default)]
    pub kind: TraitKind,
    /// Name of the trait.
    #[schemars(schema_with = "schema::text")]
    pub name: String,
    /// Name of this use of it.
    #[schemars(schema_with = "schema::text")]
    pub instance_name: String,
    /// Input; may contain `${…}`, evaluated in the component's context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any")]
    pub parameters: Option<Value>,
    /// Environment input; the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any")]
    pub environment_configs: Option<Value>,
}

/// A trait that components may add.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AllowedTrait {
    /// Namespaced or cluster-scoped.
    #[serde(default)]
    pub kind: TraitKind,
    /// Name of the trait.
    #[schemars(schema_with = "schema::text")]
    pub name: String,
}

/// A workflow that components may use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AllowedWorkflow {
    /// Namespaced or cluster-scoped.
    #[serde(default)]
    pub kind: WorkflowKind,
    /// Name of the workflow.
    #[schemars(schema_with = "schema::text")]
    pub name: String,
}

/// Turns the schema of the namespaced kind into that of the cluster-scoped one, which may refer to cluster-scoped kinds
/// only, and whose lists of what is allowed name the kind explicitly.
pub(super) fn cluster_only(spec: &mut Value) {
    let properties = &mut spec["properties"];
    for (list, kind) in [("allowedTraits", "ClusterTrait"), ("allowedWorkflows", "ClusterWorkflow")]
    {
        let item = &mut properties[list]["items"];
        item["required"] = json!(["kind", "name"]);
        only(&mut item["properties"]["kind"], kind);
    }
    let kind = &mut properties["traits"]["items"]["properties"]["kind"];
    only(kind, "ClusterTrait");
    kind["default"] = json!("ClusterTrait");
}

fn only(schema: &mut Value, kind: &str) {
    schema["enum"] = json!([kind]);
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("default");
    }
}
