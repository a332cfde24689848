//! The number that a rule compares: how many lines, a metric, or for a budget what the component's requests have cost in the
//! window, in US dollars.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::rule::Facts;
use crate::asked::Place;
use crate::database::DatabaseError;
use crate::{events, logs, metrics};

/// What a metric rule can compare. The first two are OpenChoreo's.
const METRICS: [&str; 5] = [CPU_USAGE, MEMORY_USAGE, HTTP_ERROR_RATE, HTTP_LATENCY_P99, FAILURES];
/// Percent of the limit of the component's pods, over the window.
const CPU_USAGE: &str = "cpu_usage";
/// Percent of the limit of the component's pods, now.
const MEMORY_USAGE: &str = "memory_usage";
/// Percent of the requests to the component that failed.
const HTTP_ERROR_RATE: &str = "http_error_rate";
/// Objects of the component that could not run: containers that ended or cannot start, releases that cannot be made.
const FAILURES: &str = "failures";
/// Milliseconds.
const HTTP_LATENCY_P99: &str = "http_latency_p99";
const SECOND: i64 = 1_000_000_000;

/// Where numbers come from.
pub(crate) trait Measure: Clone + Send + Sync + 'static {
    /// Whether there is such a number. The error is a sentence for whoever wrote the rule.
    fn offers(&self, rule: &Facts) -> Result<(), String>;

    /// The number for a stretch of time; `None` when nothing is known of it. Blocks.
    fn value(&self, rule: &Facts, between: (i64, i64)) -> Result<Option<f64>, DatabaseError>;

    /// The newest stretch of time, in nanoseconds since 1970, of which nothing is missing; `None` when something may be of any.
    fn watched(&self) -> Option<(i64, i64)>;
}

/// What the observer keeps.
#[derive(Clone, Debug)]
pub(crate) struct Telemetry {
    /// Lines.
    pub(crate) logs: logs::Store,
    /// Samples and spans.
    pub(crate) metrics: metrics::Joined,
    /// What happened to objects.
    pub(crate) events: events::Store,
    /// What resources cost.
    pub(crate) prices: metrics::Prices,
    /// The answers that were counted last, of which place and seconds: rules for failures and for latency of a component
    /// mostly have one window, and are due together.
    pub(crate) answered: Arc<Mutex<Option<Answered>>>,
}

/// Of a place and a stretch of time in seconds since 1970.
pub(crate) type Answered = (Place, (i64, i64), Option<metrics::Answers>);

impl Telemetry {
    fn metric(&self, rule: &Facts, between: (i64, i64)) -> Result<Option<f64>, DatabaseError> {
        let (first, last) = (between.0 / SECOND, between.1 / SECOND);
        let usage = || {
            let window = Duration::from_secs((last - first).unsigned_abs());
            self.metrics.samples.usage_of_limits(&rule.place, window, last)
        };
        let answers = || self.answers(&rule.place, (first, last));
        Ok(match rule.metric.as_str() {
            CPU_USAGE => usage()?.and_then(|usage| usage.cpu),
            MEMORY_USAGE => usage()?.and_then(|usage| usage.memory),
            HTTP_ERROR_RATE => answers()?.map(|answers| answers.failed),
            HTTP_LATENCY_P99 => answers()?.and_then(|answers| answers.p99).map(|p99| p99 * 1000.0),
            // So few that a float can count them.
            FAILURES => Some(self.events.failures(&rule.place, between)? as f64),
            _ => None,
        })
    }
}

impl Telemetry {
    /// How a component answered; asked for again in the same second, what was counted then.
    fn answers(
        &self,
        place: &Place,
        between: (i64, i64),
    ) -> Result<Option<metrics::Answers>, DatabaseError> {
        let mut last = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, when, answers)) = last.as_ref()
            && of == place
            && *when == between
        {
            return Ok(*answers);
        }
        let answers = self.metrics.answers(place, between)?;
        *last = Some((place.clone(), between, answers));
        Ok(answers)
    }
}

impl Measure for Telemetry {
    fn offers(&self, rule: &Facts) -> Result<(), String> {
        match rule.source.as_str() {
            "log" | "budget" => Ok(()),
            "metric" if METRICS.contains(&rule.metric.as_str()) => Ok(()),
            "metric" => {
                Err(format!("source.metric is {:?}; there are {}", rule.metric, METRICS.join(", ")))
            }
            other => Err(format!(
                "rules of the source type {other} cannot be evaluated: no {other}s are kept here"
            )),
        }
    }

    fn value(&self, rule: &Facts, between: (i64, i64)) -> Result<Option<f64>, DatabaseError> {
        match rule.source.as_str() {
            "metric" => return self.metric(rule, between),
            "budget" => {
                let between = (between.0 / SECOND, between.1 / SECOND);
                let spent = self.metrics.samples.spent(&rule.place, between, self.prices)?;
                // Hundredths of a cent: it is told to people.
                return Ok(spent.map(|dollars| (dollars * 1e4).round() / 1e4));
            }
            _ => {}
        }
        let uids = (rule.component_uid.as_str(), rule.environment_uid.as_str());
        // Lines of one window are far fewer than a float can count.
        Ok(Some(self.logs.count(uids, &rule.query, between)? as f64))
    }

    /// The collector brings all of it, and its moments say whether lines, events or spans still wait.
    fn watched(&self) -> Option<(i64, i64)> {
        let (first, last) = self.metrics.samples.watched()?;
        Some((first.saturating_mul(SECOND), last.saturating_mul(SECOND)))
    }
}
