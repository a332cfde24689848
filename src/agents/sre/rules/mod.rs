//! What a person on call knows: rules that turn evidence into causes, each with what speaks for it.
//!
//! A rule looks at one kind of trouble and says how sure it is by itself; [`judge()`] weighs what all of them say by where
//! in the chain of calls it is and by what was changed shortly before. Rules know nothing of any application: they go by
//! what logs, events and settings have in common everywhere.

mod addresses;
mod certificates;
mod failing;
mod judge;
mod limits;
mod pods;
mod releases;
mod settings;
mod slow;

use jiff::Timestamp;

use super::alert::Concern;
use super::evidence::{Component, Evidence, Lines};
use super::report::{self, Action, Finding, LogLine};

pub use judge::{Judgement, judge};

/// A possible cause.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// Where it is.
    pub component: String,
    /// The rule that says so.
    pub rule: &'static str,
    /// In one sentence.
    pub summary: String,
    /// Why, in a few.
    pub analysis: String,
    /// How sure, from 0 to 1.
    pub weight: f64,
    /// What was seen; at least one.
    pub findings: Vec<Finding>,
    /// What to do about it.
    pub actions: Vec<Action>,
}

/// A rule, by its name and what it does in words.
pub(super) struct Rule {
    pub(super) name: &'static str,
    /// What it looks for, to follow "looked for".
    pub(super) seeks: &'static str,
    pub(super) find: fn(&Evidence) -> Vec<Cause>,
}

/// Every rule.
pub(super) const RULES: [Rule; 8] = [
    Rule { name: "release", seeks: "releases that could not be rolled out", find: releases::find },
    Rule { name: "pods", seeks: "pods that do not start or do not stay", find: pods::find },
    Rule { name: "setting", seeks: "settings that errors name", find: settings::find },
    Rule { name: "address", seeks: "addresses where nobody answers", find: addresses::find },
    Rule {
        name: "certificate",
        seeks: "certificates that are not accepted",
        find: certificates::find,
    },
    Rule { name: "limit", seeks: "limits that were reached", find: limits::find },
    Rule { name: "failing", seeks: "where errors begin", find: failing::find },
    Rule { name: "slow", seeks: "where time is spent", find: slow::find },
];

/// That `component` wrote `lines`.
pub(super) fn wrote(component: &str, lines: &Lines, observation: String) -> Finding {
    Finding {
        observation,
        component: component.to_owned(),
        time_range: report::Range { start: lines.first, end: lines.last },
        evidence: report::Evidence::Log {
            log_lines: vec![LogLine {
                timestamp: lines.last.to_string(),
                level: lines.level.clone(),
                log: lines.text.clone(),
            }],
            repetition: (lines.count > 1).then(|| format!("{} lines", lines.count)),
        },
    }
}

/// That something was seen of `component` that is neither a line nor a trace.
pub(super) fn seen(evidence: &Evidence, component: &str, observation: String) -> Finding {
    Finding {
        component: component.to_owned(),
        time_range: evidence.range,
        evidence: report::Evidence::Metric { summary: observation.clone() },
        observation,
    }
}

/// That `component` was changed at `time`.
pub(super) fn changed(component: &str, time: Timestamp, observation: String) -> Finding {
    Finding {
        component: component.to_owned(),
        time_range: report::Range { start: time, end: time },
        evidence: report::Evidence::Metric { summary: observation.clone() },
        observation,
    }
}

/// What is left of the weight of what no answer depends on.
const BESIDE: f64 = 0.4;

/// The `weight` of what keeps new pods of `component` from starting: none to speak of for answers that older ones give.
pub(super) fn counting(evidence: &Evidence, component: &Component, weight: f64) -> f64 {
    let answers = evidence.request.alert.concern() == Concern::Answers;
    if answers && component.state.serves() { weight * BESIDE } else { weight }
}

/// Lines of errors of a component.
pub(super) fn errors<'a>(
    evidence: &'a Evidence,
    component: &str,
) -> impl Iterator<Item = &'a Lines> {
    let lines = evidence.components.get(component).map_or(&[][..], |one| &one.lines);
    lines.iter().filter(|lines| lines.level == "ERROR")
}
