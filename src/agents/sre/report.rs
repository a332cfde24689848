//! A report, in the shape that clients of OpenChoreo know.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What came of an analysis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What it is about.
    pub alert_context: AlertContext,
    /// One or two sentences.
    pub summary: String,
    /// What was found.
    pub result: Outcome,
    /// What was looked at, in order.
    pub investigation_path: Vec<Step>,
}

/// The alert, in the report's own words for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct AlertContext {
    pub alert_id: String,
    pub alert_name: String,
    pub alert_description: String,
    pub severity: String,
    pub triggered_at: Timestamp,
    pub trigger_value: Value,
    pub source_type: String,
    pub source_query: String,
    pub source_metric: String,
    pub condition: super::alert::Condition,
    pub component: String,
    pub project: String,
    pub environment: String,
}

/// Whether there is a cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Outcome {
    /// There is, the likeliest first.
    RootCauseIdentified {
        /// At least one.
        root_causes: Vec<RootCause>,
        /// What happened when; at least one.
        timeline: Vec<Moment>,
        /// What it is not.
        excluded_causes: Vec<Excluded>,
        /// What to do.
        recommendations: Recommendations,
    },
    /// None can be told.
    NoRootCauseIdentified {
        /// Why none.
        outcome: Nothing,
        /// The same in words.
        explanation: String,
        /// What to do, if anything.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        recommendations: Option<Recommendations>,
    },
}

/// Why no cause is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nothing {
    /// Nothing is wrong.
    NoAnomalyDetected,
    /// Something is, and what is known does not say why.
    InsufficientData,
    /// It was over before it could be seen.
    Transient,
    /// It comes from outside the platform.
    ExternalDependency,
}

/// How sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Confidence {
    Low,
    Medium,
    High,
}

/// A cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct RootCause {
    pub summary: String,
    pub confidence: Confidence,
    pub analysis: String,
    /// At least one; the first is where the cause is.
    pub supporting_findings: Vec<Finding>,
}

/// Something seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Finding {
    pub observation: String,
    pub component: String,
    pub time_range: Range,
    pub evidence: Evidence,
}

/// From when to when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Range {
    pub start: Timestamp,
    pub end: Timestamp,
}

/// Where it was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Evidence {
    Log {
        /// At least one.
        log_lines: Vec<LogLine>,
        /// How often such a line was written.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        repetition: Option<String>,
    },
    Metric {
        summary: String,
    },
    Trace {
        trace_id: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        span_id: Option<String>,
        summary: String,
        is_error: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error_message: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        repetition: Option<String>,
    },
}

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct LogLine {
    pub timestamp: String,
    pub level: String,
    pub log: String,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Moment {
    pub timestamp: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    pub event: String,
}

/// What it is not, and why not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Excluded {
    pub description: String,
    pub rationale: String,
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Recommendations {
    /// At most three.
    pub recommended_actions: Vec<Action>,
    /// At most two.
    pub observability_recommendations: Vec<Advice>,
}

/// What would help to see more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Advice {
    pub description: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rationale: Option<String>,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Action {
    pub description: String,
    #[serde(default)]
    pub rationale: String,
    pub status: Status,
    /// The edit that does it, where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
}

/// What became of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is advice.
    Suggested,
    /// It comes with a change.
    Revised,
    /// The change was made.
    Applied,
    /// It was turned down.
    Dismissed,
}

/// An edit of one release binding.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Change {
    pub release_binding: String,
    /// The generation of the binding that was looked at: the change is one of that, and of no later one. Not in upstream's
    /// schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<Variable>,
    /// Variables that the binding is not to set any more, by name. Not in upstream's schema: what else is set, and may
    /// be secret or change meanwhile, is not repeated here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove_env: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<File>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
}

/// A variable and its new value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Variable {
    pub key: String,
    pub value: String,
}

/// A file and its new content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct File {
    pub key: String,
    pub mount_path: String,
    pub value: String,
}

/// A member of the binding and its new value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Field {
    pub json_pointer: String,
    pub value: Value,
}

/// A step of the investigation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Step {
    pub action: String,
    pub outcome: String,
    pub rationale: String,
}
