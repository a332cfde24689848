//! A rule as it is evaluated: read off its object, and checked.

use std::time::Duration;

use curtain_platform::types::{AlertOperator, ObservabilityAlertRule, labels};
use kube::ResourceExt;

use super::duration;
use crate::asked::Place;

/// No rule is looked at more often.
const SHORTEST: Duration = Duration::from_secs(1);
/// Telemetry is not kept for longer.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// What a rule says, as its alerts keep it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Its name for people.
    pub(crate) name: String,
    /// Name of its object.
    pub(crate) object: String,
    /// Namespace of its object.
    pub(crate) object_namespace: String,
    /// The component it is about.
    pub(crate) place: Place,
    pub(crate) component_uid: String,
    pub(crate) project_uid: String,
    pub(crate) environment_uid: String,
    pub(crate) description: String,
    pub(crate) severity: String,
    pub(crate) source: String,
    pub(crate) query: String,
    pub(crate) metric: String,
    pub(crate) operator: String,
    pub(crate) threshold: i64,
    pub(crate) window: String,
    pub(crate) interval: String,
    pub(crate) channels: Vec<String>,
    pub(crate) incident: bool,
    pub(crate) rca: bool,
    pub(crate) cost_analysis: bool,
}

/// A rule that can be evaluated.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    pub(super) facts: Facts,
    pub(super) operator: AlertOperator,
    pub(super) window: Duration,
    pub(super) interval: Duration,
}

/// What names a rule: namespace and name.
pub(super) type Key = (String, String);

/// The name of an object.
pub(super) fn key(object: &ObservabilityAlertRule) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}

impl Rule {
    /// From its object; `None` when it is switched off. The error is a sentence for whoever wrote it.
    pub(super) fn of(object: &ObservabilityAlertRule) -> Result<Option<Rule>, String> {
        let spec = &object.spec;
        if spec.enabled == Some(false) {
            return Ok(None);
        }
        let label = |name: &str| {
            let value = object.labels().get(name).filter(|value| !value.is_empty());
            value
                .cloned()
                .ok_or_else(|| format!("the rule has no label {name}, which says what it is about"))
        };
        let window = duration::parse("window", &spec.condition.window)?;
        let interval = duration::parse("interval", &spec.condition.interval)?;
        if interval < SHORTEST || interval > window || window > LONGEST {
            return Err(format!(
                "condition.interval is {} and condition.window {}; they must be between 1s and 168h, and the interval \
                 no longer than the window",
                spec.condition.interval, spec.condition.window
            ));
        }
        let (object_namespace, object_name) = key(object);
        let incident = spec.actions.incident.clone().unwrap_or_default();
        let facts = Facts {
            name: spec.name.clone(),
            object: object_name,
            object_namespace,
            place: Place {
                namespace: label(labels::NAMESPACE)?,
                project: label(labels::PROJECT)?,
                component: label(labels::COMPONENT)?,
                environment: label(labels::ENVIRONMENT)?,
            },
            component_uid: label(labels::COMPONENT_UID)?,
            project_uid: label(labels::PROJECT_UID)?,
            environment_uid: label(labels::ENVIRONMENT_UID)?,
            description: spec.description.clone().unwrap_or_default(),
            severity: spec.severity.clone().unwrap_or_default(),
            source: spec.source.r#type.as_str().to_owned(),
            query: spec.source.query.clone().unwrap_or_default(),
            metric: spec.source.metric.clone().unwrap_or_default(),
            operator: spec.condition.operator.as_str().to_owned(),
            threshold: spec.condition.threshold,
            window: spec.condition.window.clone(),
            interval: spec.condition.interval.clone(),
            channels: spec.actions.notifications.channels.clone(),
            incident: incident.enabled,
            rca: incident.trigger_ai_rca,
            cost_analysis: incident.trigger_ai_cost_analysis,
        };
        Ok(Some(Rule { facts, operator: spec.condition.operator, window, interval }))
    }

    /// Whether `value` is what the rule is about.
    pub(super) fn holds(&self, value: f64) -> bool {
        // Thresholds are far below the numbers that a float does not tell apart.
        let threshold = self.facts.threshold as f64;
        match self.operator {
            AlertOperator::Gt => value > threshold,
            AlertOperator::Lt => value < threshold,
            AlertOperator::Gte => value >= threshold,
            AlertOperator::Lte => value <= threshold,
            AlertOperator::Eq => value == threshold,
        }
    }

    /// The stretch of time that is looked at, in nanoseconds since 1970.
    pub(super) fn between(&self, now: i64) -> (i64, i64) {
        let window = i64::try_from(self.window.as_nanos()).unwrap_or(i64::MAX);
        (now.saturating_sub(window), now)
    }
}
