//! Workloads: image, configuration, endpoints and dependencies of a component.

use super::{ComponentOwner, schema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A workload template with its owner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadSpec {
    /// The component it describes; one workload per component.
    #[schemars(extend("x-kubernetes-validations" = schema::immutable("spec.owner is immutable")))]
    pub owner: ComponentOwner,
    /// What runs.
    #[serde(flatten)]
    pub template: WorkloadTemplate,
}

/// What a component runs, offers and needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadTemplate {
    /// The one container.
    pub container: Container,
    /// Endpoints by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub endpoints: BTreeMap<String, WorkloadEndpoint>,
    /// What it calls and uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependencies: Option<Dependencies>,
}

/// A container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// Image reference.
    #[schemars(schema_with = "schema::text")]
    pub image: String,
    /// Replaces the image's entry point.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Replaces the image's arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvVar>,
    /// Files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileVar>,
}

/// An environment variable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = value_or_source()))]
pub struct EnvVar {
    /// Name of the variable.
    pub key: String,
    /// Literal value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where the value comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<VarSource>,
}

/// A file in the container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = value_or_source()))]
pub struct FileVar {
    /// File name.
    pub key: String,
    /// Directory.
    pub mount_path: String,
    /// Literal content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where the content comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<VarSource>,
}

fn value_or_source() -> serde_json::Value {
    schema::rules(&[(
        "!(has(self.value) && has(self.valueFrom))",
        "value and valueFrom are mutually exclusive",
    )])
}

/// Where a value comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VarSource {
    /// A key of a SecretReference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
}

/// A key of a SecretReference of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SecretKeyRef {
    /// Name of the SecretReference.
    #[schemars(schema_with = "schema::text")]
    pub name: String,
    /// One of its secret keys.
    #[schemars(schema_with = "schema::text")]
    pub key: String,
}

/// A port the component listens on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadEndpoint {
    /// What is spoken there.
    pub r#type: EndpointType,
    /// Port of the Service.
    #[schemars(schema_with = "schema::port")]
    pub port: i32,
    /// Port of the container; `port` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::port")]
    pub target_port: Option<i32>,
    /// Who may reach it; `project` is always implied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub visibility: Vec<Visibility>,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Path under which the API answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_path: Option<String>,
    /// The API's definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<EndpointSchema>,
}

impl WorkloadEndpoint {
    /// The port the container listens on.
    pub fn container_port(&self) -> i32 {
        self.target_port.unwrap_or(self.port)
    }
}

/// What an endpoint speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub enum EndpointType {
    #[serde(rename = "HTTP")]
    Http,
    #[serde(rename = "gRPC")]
    Grpc,
    #[serde(rename = "GraphQL")]
    GraphQl,
    Websocket,
    #[serde(rename = "TCP")]
    Tcp,
    #[serde(rename = "UDP")]
    Udp,
}

impl EndpointType {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Grpc => "gRPC",
            Self::GraphQl => "GraphQL",
            Self::Websocket => "Websocket",
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        }
    }
}

/// Who may reach an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Visibility {
    Project,
    Namespace,
    Internal,
    External,
}

/// An API definition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointSchema {
    /// Its language, e.g. `openapi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// The definition itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// What a component calls and uses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Dependencies {
    /// Endpoints of other components.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub endpoints: Vec<EndpointDependency>,
    /// Resources of the project.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["ref"]))]
    pub resources: Vec<ResourceDependency>,
}

/// A call to another component's endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointDependency {
    /// The component.
    #[schemars(schema_with = "schema::text")]
    pub component: String,
    /// Its project; the own one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The endpoint.
    #[schemars(schema_with = "schema::text")]
    pub name: String,
    /// By which visibility it is reached.
    pub visibility: DependencyVisibility,
    /// Which variables receive what.
    pub env_bindings: EnvBindings,
}

/// The visibilities a dependency can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum DependencyVisibility {
    Project,
    Namespace,
}

/// Environment variables that receive the parts of an endpoint's address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvBindings {
    /// Receives the whole address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Receives the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Receives the port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Receives the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_path: Option<String>,
}

/// A use of one of the project's resources.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceDependency {
    /// Name of the Resource.
    #[schemars(schema_with = "schema::text")]
    pub r#ref: String,
    /// Environment variables by output.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 50, "x-kubernetes-validations" = schema::rules(&[(
        "self.all(k, k.size() > 0 && self[k].size() > 0)",
        "envBindings keys (output names) and values (env var names) cannot be empty",
    )])))]
    pub env_bindings: BTreeMap<String, String>,
    /// Mount paths by output.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 50, "x-kubernetes-validations" = schema::rules(&[(
        "self.all(k, k.size() > 0 && self[k].size() > 0)",
        "fileBindings keys (output names) and values (mount paths) cannot be empty",
    )])))]
    pub file_bindings: BTreeMap<String, String>,
}
