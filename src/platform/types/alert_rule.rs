//! Alert rules: when what a component does is worth telling somebody.

use super::{Condition, schema};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What is looked at, what is too much of it, and what happens then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::rules(&[(
    "has(self.actions.incident) && self.actions.incident.triggerAiCostAnalysis == true ? self.source.type == 'budget' : true",
    "AI cost analysis can only be triggered for budget alerts",
)])))]
pub struct ObservabilityAlertRuleSpec {
    /// A name for people: that of the trait instance it comes from.
    pub name: String,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `info`, `warning` or `critical`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// Whether it is evaluated; it is, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// What is looked at.
    pub source: AlertSource,
    /// What is too much of it.
    pub condition: AlertCondition,
    /// What happens then.
    pub actions: AlertActions,
}

/// What a rule looks at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertSource {
    /// The kind of telemetry.
    pub r#type: AlertSourceType,
    /// Of logs: the text that lines are counted by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Of metrics: which one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
}

/// The kinds of telemetry that rules look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[allow(missing_docs)]
pub enum AlertSourceType {
    Log,
    Metric,
    Budget,
}

impl AlertSourceType {
    /// `log`
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Metric => "metric",
            Self::Budget => "budget",
        }
    }
}

/// When a rule fires.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertCondition {
    /// The time that is looked at, e.g. `5m`.
    pub window: String,
    /// How often it is looked at, e.g. `1m`.
    pub interval: String,
    /// How the value is compared.
    pub operator: AlertOperator,
    /// What it is compared with.
    pub threshold: i64,
}

/// How a value is compared with the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[allow(missing_docs)]
pub enum AlertOperator {
    Gt,
    Lt,
    Gte,
    Lte,
    Eq,
}

impl AlertOperator {
    /// `gt`
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gt => "gt",
            Self::Lt => "lt",
            Self::Gte => "gte",
            Self::Lte => "lte",
            Self::Eq => "eq",
        }
    }
}

/// What happens when a rule fires.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertActions {
    /// Who is told.
    pub notifications: AlertNotifications,
    /// Whether it becomes an incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<AlertIncident>,
}

/// Who is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AlertNotifications {
    /// Names of notification channels.
    #[schemars(schema_with = "channel_names")]
    pub channels: Vec<String>,
}

fn channel_names(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "minItems": 1, "x-kubernetes-list-type": "set",
        "items": { "type": "string", "minLength": 1 },
    })
}

/// Whether an alert becomes an incident, and who looks into it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::rules(&[
    ("self.triggerAiRca == true ? self.enabled == true : true", "Incident must be enabled to trigger AI RCA"),
    (
        "self.triggerAiCostAnalysis == true ? self.enabled == true : true",
        "Incident must be enabled to trigger AI cost analysis",
    ),
])))]
pub struct AlertIncident {
    /// Whether it does.
    #[serde(default)]
    pub enabled: bool,
    /// Whether an agent looks for the cause.
    #[serde(default)]
    pub trigger_ai_rca: bool,
    /// Whether an agent looks at the cost.
    #[serde(default)]
    pub trigger_ai_cost_analysis: bool,
}

/// What is known of a rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObservabilityAlertRuleStatus {
    /// `Pending`, `Ready` or `Error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// What evaluates it calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_monitor_id: Option<String>,
    /// When this status was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_reconcile_time: Option<Time>,
    /// When what evaluates it took it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sync_time: Option<Time>,
    /// The generation this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Synced`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}
