//! Release bindings: which release runs in an environment, and how it went.

use super::{ComponentOwner, Condition, EnvVar, FileVar, Visibility, schema};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A component in an environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseBindingSpec {
    /// The component.
    #[schemars(extend("x-kubernetes-validations" = schema::immutable("spec.owner is immutable")))]
    pub owner: ComponentOwner,
    /// The environment.
    #[schemars(extend("x-kubernetes-validations" = schema::immutable("spec.environment is immutable")))]
    pub environment: String,
    /// The ComponentRelease to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_name: Option<String>,
    /// Whether its objects exist.
    #[serde(default)]
    pub state: ReleaseState,
    /// Environment input of the component type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any_object")]
    pub component_type_environment_configs: Option<Value>,
    /// Environment input of traits, by instance name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::any_object_map")]
    pub trait_environment_configs: BTreeMap<String, Value>,
    /// Changes to the workload for this environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_overrides: Option<WorkloadOverrides>,
}

/// Whether a binding's objects exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub enum ReleaseState {
    #[default]
    Active,
    Undeploy,
}

/// Changes to a workload, merged by key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct WorkloadOverrides {
    /// Changes to the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerOverrides>,
}

/// Changes to a container, merged by key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContainerOverrides {
    /// Variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvVar>,
    /// Files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileVar>,
}

/// What is known of a binding.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseBindingStatus {
    /// The generation this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When the generation was first seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_spec_update_time: Option<Time>,
    /// `ReleaseSynced`, `ConnectionsResolved`, `ResourceDependenciesReady`, `ResourcesReady`, `Ready`, `Finalizing`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Where the component's endpoints answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<EndpointStatus>,
    /// Every endpoint the workload calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub connection_targets: Vec<ConnectionTarget>,
    /// Those with an address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolved_connections: Vec<ResolvedConnection>,
    /// Those without one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_connections: Vec<PendingConnection>,
    /// Every resource the workload uses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource_dependency_targets: Vec<ResourceDependencyTarget>,
    /// Those that are not ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_resource_dependencies: Vec<PendingResourceDependency>,
    /// SecretReferences in use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secret_reference_names: Vec<String>,
}

/// Where an endpoint answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointStatus {
    /// The endpoint.
    pub name: String,
    /// What it speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// Address within the data plane.
    #[serde(rename = "serviceURL", default, skip_serializing_if = "Option::is_none")]
    pub service_url: Option<EndpointUrl>,
    /// Addresses within the organisation.
    #[serde(rename = "internalURLs", default, skip_serializing_if = "Option::is_none")]
    pub internal_urls: Option<EndpointUrls>,
    /// Addresses open to the outside.
    #[serde(rename = "externalURLs", default, skip_serializing_if = "Option::is_none")]
    pub external_urls: Option<EndpointUrls>,
    /// Kept for old clients; never filled.
    #[serde(rename = "invokeURL", default, skip_serializing_if = "Option::is_none")]
    pub invoke_url: Option<String>,
}

/// Addresses by kind of listener.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointUrls {
    /// Plain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<EndpointUrl>,
    /// TLS that ends at the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https: Option<EndpointUrl>,
    /// TLS routed by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<EndpointUrl>,
}

/// An address in parts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointUrl {
    /// Scheme without `://`; empty for plain TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// Host name.
    #[schemars(schema_with = "schema::text")]
    pub host: String,
    /// Port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
    /// Path with its leading slash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// An endpoint the workload calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionTarget {
    /// Control-plane namespace.
    #[schemars(schema_with = "schema::text")]
    pub namespace: String,
    /// Project.
    #[schemars(schema_with = "schema::text")]
    pub project: String,
    /// Component.
    #[schemars(schema_with = "schema::text")]
    pub component: String,
    /// Endpoint.
    #[schemars(schema_with = "schema::text")]
    pub endpoint: String,
    /// By which visibility.
    pub visibility: Visibility,
    /// In which environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
}

/// A called endpoint with its address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResolvedConnection {
    /// Control-plane namespace.
    #[schemars(schema_with = "schema::text")]
    pub namespace: String,
    /// Project.
    #[schemars(schema_with = "schema::text")]
    pub project: String,
    /// Component.
    #[schemars(schema_with = "schema::text")]
    pub component: String,
    /// Endpoint.
    #[schemars(schema_with = "schema::text")]
    pub endpoint: String,
    /// By which visibility.
    pub visibility: Visibility,
    /// Its address.
    pub url: EndpointUrl,
}

/// A called endpoint without an address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PendingConnection {
    /// Control-plane namespace.
    #[schemars(schema_with = "schema::text")]
    pub namespace: String,
    /// Project.
    #[schemars(schema_with = "schema::text")]
    pub project: String,
    /// Component.
    #[schemars(schema_with = "schema::text")]
    pub component: String,
    /// Endpoint.
    #[schemars(schema_with = "schema::text")]
    pub endpoint: String,
    /// Why.
    pub reason: String,
}

/// A resource the workload uses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceDependencyTarget {
    /// Control-plane namespace.
    #[schemars(schema_with = "schema::text")]
    pub namespace: String,
    /// Project.
    #[schemars(schema_with = "schema::text")]
    pub project: String,
    /// Resource.
    #[schemars(schema_with = "schema::text")]
    pub resource_name: String,
    /// Environment.
    #[schemars(schema_with = "schema::text")]
    pub environment: String,
}

/// A used resource that is not ready.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingResourceDependency {
    /// Control-plane namespace.
    #[schemars(schema_with = "schema::text")]
    pub namespace: String,
    /// Project.
    #[schemars(schema_with = "schema::text")]
    pub project: String,
    /// Resource.
    #[schemars(schema_with = "schema::text")]
    pub resource_name: String,
    /// Why.
    pub reason: String,
}
