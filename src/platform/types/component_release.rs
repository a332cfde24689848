//! Component releases: everything a deployment needs, frozen.

use super::{
    ComponentOwner, ComponentTypeKind, ComponentTypeSpec, TraitKind, TraitSpec, WorkloadTemplate,
    schema,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An immutable snapshot of a component, its type, traits and workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentReleaseSpec {
    /// The component.
    #[schemars(extend("x-kubernetes-validations" = schema::immutable("spec.owner is immutable")))]
    pub owner: ComponentOwner,
    /// The type as it was.
    #[schemars(extend("x-kubernetes-validations" = schema::immutable("spec.componentType is immutable")))]
    pub component_type: ComponentTypeSnapshot,
    /// The traits as they were, unique by kind and name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-validations" = schema::immutable("spec.traits is immutable")))]
    pub traits: Vec<TraitSnapshot>,
    /// What the developer chose; absent when nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = schema::immutable("spec.componentProfile is immutable")))]
    pub component_profile: Option<ComponentProfile>,
    /// The workload as it was.
    #[schemars(extend("x-kubernetes-validations" = schema::immutable("spec.workload is immutable")))]
    pub workload: WorkloadTemplate,
}

/// A component type as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComponentTypeSnapshot {
    /// Its kind.
    pub kind: ComponentTypeKind,
    /// The component's reference, with the workload type in front.
    #[schemars(schema_with = "schema::text")]
    pub name: String,
    /// Its content.
    pub spec: ComponentTypeSpec,
}

/// A trait as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TraitSnapshot {
    /// Its kind.
    pub kind: TraitKind,
    /// Its name.
    #[schemars(schema_with = "schema::text")]
    pub name: String,
    /// Its content.
    pub spec: TraitSpec,
}

/// What the developer chose.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComponentProfile {
    /// Input of the component type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any")]
    pub parameters: Option<Value>,
    /// The traits the component adds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traits: Vec<ProfileTrait>,
}

/// A trait that the component adds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProfileTrait {
    /// Its kind.
    pub kind: TraitKind,
    /// Its name.
    #[schemars(schema_with = "schema::text")]
    pub name: String,
    /// Name of this use of it.
    #[schemars(schema_with = "schema::text")]
    pub instance_name: String,
    /// Input of the trait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any")]
    pub parameters: Option<Value>,
}
