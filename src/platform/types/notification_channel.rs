//! Notification channels: how people are told of alerts.

use super::schema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One way to tell people of alerts in one environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::rules(&[
    ("self.type == 'email' ? has(self.emailConfig) : true", "emailConfig is required when type is email"),
    ("self.type == 'webhook' ? has(self.webhookConfig) : true", "webhookConfig is required when type is webhook"),
])))]
pub struct ObservabilityAlertsNotificationChannelSpec {
    /// The environment.
    #[schemars(extend("x-kubernetes-validations" = schema::immutable("spec.environment is immutable")))]
    pub environment: String,
    /// Whether rules that name no channel use it.
    #[serde(default)]
    pub is_env_default: bool,
    /// What it is.
    pub r#type: ChannelType,
    /// Of an email channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_config: Option<EmailConfig>,
    /// Of a webhook channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_config: Option<WebhookConfig>,
}

/// The kinds of channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[allow(missing_docs)]
pub enum ChannelType {
    Email,
    Webhook,
}

impl ChannelType {
    /// `email`
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Webhook => "webhook",
        }
    }
}

/// Mail: who, to whom, by which server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EmailConfig {
    /// The sender's address.
    #[schemars(schema_with = "address")]
    pub from: String,
    /// The receivers' addresses.
    #[schemars(schema_with = "addresses")]
    pub to: Vec<String>,
    /// The server.
    pub smtp: SmtpConfig,
    /// What the mail says.
    pub template: EmailTemplate,
}

/// A mail server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SmtpConfig {
    /// Its name.
    pub host: String,
    /// Its port.
    #[schemars(schema_with = "schema::port")]
    pub port: u16,
    /// Who we are to it.
    pub auth: SmtpAuth,
    /// How the connection is secured.
    pub tls: SmtpTls,
}

/// Name and password for a mail server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SmtpAuth {
    /// The name.
    pub username: SecretValueSource,
    /// The password.
    pub password: SecretValueSource,
}

/// A value that is in a Secret of the channel's namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretValueSource {
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<ChannelSecretKey>,
}

/// A key of a Secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelSecretKey {
    /// Name of the Secret.
    #[schemars(schema_with = "schema::text")]
    pub name: String,
    /// Key in its data.
    #[schemars(schema_with = "schema::text")]
    pub key: String,
}

/// How the connection to a mail server is secured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SmtpTls {
    /// Whether its certificate may be anybody's.
    #[schemars(extend("default" = false))]
    pub insecure_skip_verify: bool,
}

/// What a mail says, with `${…}` in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EmailTemplate {
    /// The subject.
    pub subject: String,
    /// The text.
    pub body: String,
}

/// A web address that alerts are posted to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookConfig {
    /// The address.
    #[schemars(schema_with = "url")]
    pub url: String,
    /// Headers of the request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, WebhookHeader>,
    /// The body, JSON with `${…}` in it; the whole alert when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_template: Option<String>,
}

/// The value of a header.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::rules(&[(
    "has(self.value) != has(self.valueFrom)",
    "exactly one of value or valueFrom must be set",
)])))]
pub struct WebhookHeader {
    /// The value itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<SecretValueSource>,
}

const ADDRESS: &str = r"^[a-zA-Z0-9!#$%&'*+/=?^_~-]+(?:\.[a-zA-Z0-9!#$%&'*+/=?^_~-]+)*@[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*$";

fn address(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": ADDRESS })
}

fn addresses(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "minItems": 1, "items": address(generator) })
}

fn url(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "uri" })
}
