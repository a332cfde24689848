//! Where a data plane's or environment's gateways listen.

use super::schema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The gateways of a plane or environment, by direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewaySpec {
    /// Traffic to components.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<GatewayNetwork>,
    /// Traffic from components.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<GatewayNetwork>,
}

/// The two network levels of a direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayNetwork {
    /// Open to the outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<GatewayEndpoint>,
    /// Open to the organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal: Option<GatewayEndpoint>,
}

/// One Gateway object and its listeners.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayEndpoint {
    /// Name of the Gateway.
    pub name: String,
    /// Namespace of the Gateway.
    pub namespace: String,
    /// The plain HTTP listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<GatewayListener>,
    /// The HTTPS listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https: Option<GatewayListener>,
    /// The TLS listener for TLSRoutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<GatewayListener>,
}

/// One listener as clients see it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayListener {
    /// Section name in the Gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener_name: Option<String>,
    /// Port that clients connect to.
    #[schemars(schema_with = "schema::port")]
    pub port: i32,
    /// Domain under which hosts are made.
    pub host: String,
}
