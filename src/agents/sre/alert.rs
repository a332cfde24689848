//! What the agent is woken with.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An alert and where it is: what the observer posts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The platform's namespace.
    pub namespace: String,
    /// The project of the component.
    pub project: String,
    /// The component whose rule fired.
    pub component: String,
    /// Where it fired.
    pub environment: String,
    /// What fired.
    pub alert: Alert,
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Its id.
    pub id: String,
    /// What was measured: a number or a text.
    pub value: Value,
    /// When it began.
    pub timestamp: Timestamp,
    /// The rule that fired.
    pub rule: Rule,
}

/// A rule of alerts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// What it says to people.
    pub description: String,
    /// `info`, `warning` or `critical`.
    pub severity: String,
    /// What it looks at.
    pub source: Source,
    /// When it fires.
    pub condition: Condition,
}

/// What a rule looks at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Source {
    /// `log`, `metric` or `budget`.
    pub r#type: String,
    /// The phrase of a log rule.
    pub query: String,
    /// The metric of a metric rule.
    pub metric: String,
}

/// When a rule fires.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// How far it looks back.
    pub window: String,
    /// How often it looks.
    pub interval: String,
    /// Such as `gt`.
    pub operator: String,
    /// What is compared with.
    pub threshold: Value,
}

/// What an alert is about, as far as its rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// Pods that do not start or do not stay.
    Pods,
    /// How those who call the component are answered.
    Answers,
    /// Anything else, or all of it.
    Any,
}

impl Alert {
    /// What it is about.
    pub fn concern(&self) -> Concern {
        match self.rule.source.metric.as_str() {
            "failures" => Concern::Pods,
            "http_error_rate" | "http_latency_p99" => Concern::Answers,
            _ => Concern::Any,
        }
    }
}

impl Request {
    /// Whether it can be worked on; the error is a sentence for whoever sent it.
    pub fn check(&self) -> Result<(), String> {
        let named = [
            ("namespace", &self.namespace),
            ("project", &self.project),
            ("component", &self.component),
            ("environment", &self.environment),
            ("alert.id", &self.alert.id),
        ];
        match named.iter().find(|(_, value)| value.is_empty()) {
            Some((name, _)) => Err(format!("{name} is required")),
            None => Ok(()),
        }
    }
}
