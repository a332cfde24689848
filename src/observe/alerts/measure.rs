//! The number that a rule compares.

use super::rule::Facts;
use crate::database::DatabaseError;
use crate::logs;

/// Where numbers come from.
pub(crate) trait Measure: Clone + Send + Sync + 'static {
    /// Whether there is such a number. The error is a sentence for whoever wrote the rule.
    fn offers(&self, rule: &Facts) -> Result<(), String>;

    /// The number for a stretch of time; `None` when nothing is known of it. Blocks.
    fn value(&self, rule: &Facts, between: (i64, i64)) -> Result<Option<f64>, DatabaseError>;
}

/// What the observer keeps.
#[derive(Clone, Debug)]
pub(crate) struct Telemetry {
    /// Lines.
    pub(crate) logs: logs::Store,
}

impl Measure for Telemetry {
    fn offers(&self, rule: &Facts) -> Result<(), String> {
        match rule.source.as_str() {
            "log" => Ok(()),
            other => Err(format!(
                "rules of the source type {other} cannot be evaluated: no {other}s are kept here"
            )),
        }
    }

    fn value(&self, rule: &Facts, between: (i64, i64)) -> Result<Option<f64>, DatabaseError> {
        let uids = (rule.component_uid.as_str(), rule.environment_uid.as_str());
        // Lines of one window are far fewer than a float can count.
        Ok(Some(self.logs.count(uids, &rule.query, between)? as f64))
    }
}
