//! What is known about an alert: gathered once, through the tools that any agent has, and then only read.
//!
//! Evidence is restricted to the time around the alert and to the components that the one with the alert reaches; of those
//! in other projects it holds only how they answer, and of settings nothing that is secret. It is data: rules judge it without asking anything more, so that a recorded one is judged
//! the same for ever. What could not be read is in [`Evidence::gaps`], and is never taken for "nothing there".

mod deployment;
mod gather;
mod lines;
mod map;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::alert::Request;
use super::report::Range;

pub use deployment::{Condition, Deployment, Setting, Value};
pub use gather::gather;
pub use lines::{Event, Lines};
pub use map::{Call, State};

/// What is known about an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The alert.
    pub request: Request,
    /// When it was looked at.
    pub range: Range,
    /// Who calls whom.
    pub calls: Vec<Call>,
    /// Those that were looked at closely, by name; one of another project is `project/component`.
    pub components: BTreeMap<String, Component>,
    /// What could not be read, in sentences.
    pub gaps: Vec<String>,
}

/// A component, looked at closely.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Component {
    /// How it is.
    pub state: State,
    /// What it complained about, the most frequent first.
    pub lines: Vec<Lines>,
    /// Whether it complained in all of the time, or that could not be read: lines of pods that are gone are not kept.
    pub spoke: bool,
    /// Warnings of its objects, and what happened to its pods.
    pub events: Vec<Event>,
    /// How it is deployed.
    pub deployment: Option<Deployment>,
}

impl Component {
    /// Leaves out what pods wrote and met that were replaced since: it is of a past that is over.
    fn forget_predecessors(&mut self) {
        let Some(changed) = self.deployment.as_ref().and_then(|deployment| deployment.changed)
        else {
            return;
        };
        self.lines.retain(|lines| lines.last >= changed);
        self.events.retain(|event| event.last.is_none_or(|last| last >= changed));
    }
}

impl Evidence {
    /// The component with the alert.
    pub fn alerted(&self) -> &str {
        &self.request.component
    }

    /// The calls that `component` makes.
    pub fn calls_of<'a>(&'a self, component: &'a str) -> impl Iterator<Item = &'a Call> {
        self.calls.iter().filter(move |call| call.from == component)
    }

    /// The deployment of `component`, if it is known.
    pub fn deployment(&self, component: &str) -> Option<&Deployment> {
        self.components.get(component)?.deployment.as_ref()
    }

    /// When `component` was changed last, if that was shortly before the alert or after it.
    pub fn changed(&self, component: &str) -> Option<Timestamp> {
        let changed = self.deployment(component)?.changed?;
        (changed >= self.range.start).then_some(changed)
    }

    /// The components that `component` may suffer from, itself first: those it reaches by calls.
    pub fn reached<'a>(&'a self, component: &'a str) -> Vec<&'a str> {
        let mut reached = vec![component];
        let mut at = 0;
        while at < reached.len() {
            for call in self.calls_of(reached[at]) {
                if !reached.contains(&call.to.as_str()) {
                    reached.push(&call.to);
                }
            }
            at += 1;
        }
        reached
    }
}
