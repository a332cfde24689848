//! Data, workflow and observability planes.

use super::{Condition, GatewaySpec, condition, schema};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the cluster gateway recognises a plane's agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterAgent {
    /// The CA that signs the agent's client certificate.
    #[serde(rename = "clientCA")]
    pub client_ca: ValueFrom,
}

/// A value, inline or in a Secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValueFrom {
    /// A key of a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKey>,
    /// The value itself, PEM for certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// A key of a Secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// Name of the Secret.
    pub name: String,
    /// Namespace of the Secret; the referrer's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Key in its data.
    pub key: String,
}

/// A ClusterSecretStore of the plane.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SecretStoreRef {
    /// Its name.
    pub name: String,
}

/// A reference from a cluster-scoped plane to its observability plane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClusterObservabilityPlaneRef {
    /// Always the cluster-scoped kind.
    pub kind: ClusterObservabilityPlaneKind,
    /// Name of the plane.
    #[schemars(schema_with = "schema::label")]
    pub name: String,
}

/// The one kind a cluster-scoped plane may refer to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub enum ClusterObservabilityPlaneKind {
    #[default]
    ClusterObservabilityPlane,
}

/// A cluster that runs components, usable from every namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterDataPlaneSpec {
    /// Logical id of the cluster; several planes may share one.
    #[serde(rename = "planeID")]
    #[schemars(schema_with = "schema::plane_id")]
    pub plane_id: String,
    /// How its agent is recognised.
    pub cluster_agent: ClusterAgent,
    /// Its gateways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewaySpec>,
    /// Its secret store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_store_ref: Option<SecretStoreRef>,
    /// Where its telemetry goes; the cluster plane `default` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[(
        "!has(self.kind) || self.kind == 'ClusterObservabilityPlane'",
        "ClusterDataPlane can only reference ClusterObservabilityPlane",
    )])))]
    pub observability_plane_ref: Option<ClusterObservabilityPlaneRef>,
}

/// A cluster that runs workflows, usable from every namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterWorkflowPlaneSpec {
    /// Logical id of the cluster.
    #[serde(rename = "planeID")]
    #[schemars(schema_with = "schema::plane_id")]
    pub plane_id: String,
    /// How its agent is recognised.
    pub cluster_agent: ClusterAgent,
    /// Its secret store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_store_ref: Option<SecretStoreRef>,
    /// Where its telemetry goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[(
        "!has(self.kind) || self.kind == 'ClusterObservabilityPlane'",
        "ClusterWorkflowPlane can only reference ClusterObservabilityPlane",
    )])))]
    pub observability_plane_ref: Option<ClusterObservabilityPlaneRef>,
}

/// A cluster that stores telemetry, usable from every namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterObservabilityPlaneSpec {
    /// Logical id of the cluster.
    #[serde(rename = "planeID")]
    #[schemars(schema_with = "schema::plane_id")]
    pub plane_id: String,
    /// How its agent is recognised.
    pub cluster_agent: ClusterAgent,
    /// Base URL of the query API.
    #[serde(rename = "observerURL")]
    pub observer_url: String,
    /// Base URL of the root-cause agent.
    #[serde(rename = "rcaAgentURL", default, skip_serializing_if = "Option::is_none")]
    pub rca_agent_url: Option<String>,
    /// Base URL of the cost agent.
    #[serde(rename = "finOpsAgentURL", default, skip_serializing_if = "Option::is_none")]
    pub finops_agent_url: Option<String>,
}

/// What is known of a plane.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlaneStatus {
    /// The generation this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Created`, `Finalizing`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "condition::keyed_conditions")]
    pub conditions: Vec<Condition>,
    /// Whether agents are connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_connection: Option<AgentConnection>,
}

/// The connection of a plane's agents to the cluster gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentConnection {
    /// Whether any agent is connected.
    pub connected: bool,
    /// How many are.
    #[schemars(schema_with = "schema::integer")]
    pub connected_agents: i64,
    /// When the plane last became connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_connected_time: Option<Time>,
    /// When the plane last became disconnected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_disconnected_time: Option<Time>,
    /// When an agent was last heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_heartbeat_time: Option<Time>,
    /// One sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
