//! A component says in its errors which of its settings it cannot use.

use std::sync::LazyLock;

use regex::Regex;

use super::{Cause, errors, wrote};
use crate::sre::evidence::{Evidence, Lines};
use crate::sre::fix;

/// A variable in a text: capitals with at least one underscore.
static VARIABLE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b").ok());

/// Words of errors about settings that are not there.
const ABSENT: [&str; 5] = ["is set", "not set", "missing", "required", "undefined"];

pub(super) fn find(evidence: &Evidence) -> Vec<Cause> {
    let components = evidence.components.keys();
    components
        .flat_map(|name| errors(evidence, name).filter_map(|line| one(evidence, name, line)))
        .collect()
}

fn one(evidence: &Evidence, component: &str, lines: &Lines) -> Option<Cause> {
    let deployment = evidence.deployment(component)?;
    let names =
        || VARIABLE.as_ref().into_iter().flat_map(|variable| variable.find_iter(&lines.text));
    let known = names().find_map(|name| deployment.setting(name.as_str()));
    let (summary, weight, shown, actions) = match known {
        Some((setting, own)) => {
            let shown = setting.shown();
            let by = if own { "the environment sets" } else { "its workload sets" };
            let summary = format!("{component} does not work with what {by} for it: {shown}");
            let actions = fix::setting(component, deployment, &setting.key);
            (summary, if own { 0.9 } else { 0.75 }, shown, actions)
        }
        None => {
            let name = names().next()?.as_str();
            let absent = ABSENT.iter().any(|word| lines.text.contains(word));
            // Errors of others are passed on in many a line: only a name that is spoken of as lacking is one's own.
            if !absent || lines.text.contains("answered") {
                return None;
            }
            let summary = format!("{component} lacks a setting: {name}");
            (summary, 0.55, name.to_owned(), Vec::new())
        }
    };
    let observation = format!("{component} names {shown} in its errors");
    Some(Cause {
        component: component.to_owned(),
        rule: "setting",
        summary,
        analysis: format!("{component} itself says so: \"{}\".", lines.text),
        weight,
        findings: vec![wrote(component, lines, observation)],
        actions,
    })
}
