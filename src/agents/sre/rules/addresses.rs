//! A component cannot reach an address, and the address is one of its settings.

use std::sync::LazyLock;

use regex::Regex;

use super::{Cause, errors, wrote};
use crate::sre::evidence::{Deployment, Evidence, Lines, Value};
use crate::sre::fix;

/// Words of errors about connections.
const WORDS: [&str; 9] = [
    "refused",
    "unreachable",
    "cannot reach",
    "no route",
    "could not connect",
    "failed to connect",
    "name or service not known",
    "no such host",
    "dns error",
];

static ADDRESS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"([A-Za-z0-9][A-Za-z0-9.-]*):([0-9]{1,5})\b").ok());

pub(super) fn find(evidence: &Evidence) -> Vec<Cause> {
    let mut causes = Vec::new();
    for name in evidence.components.keys() {
        let Some(deployment) = evidence.deployment(name) else { continue };
        causes.extend(errors(evidence, name).filter_map(|lines| one(name, deployment, lines)));
    }
    causes
}

fn one(component: &str, deployment: &Deployment, lines: &Lines) -> Option<Cause> {
    let lower = lines.text.to_lowercase();
    if !WORDS.iter().any(|word| lower.contains(word)) {
        return None;
    }
    let mut addresses = addresses(&lines.text);
    let (setting, own) = addresses.find_map(|address| {
        deployment.all().find(|(setting, _)| match &setting.value {
            Value::Text(value) => value.contains(address),
            Value::From(_) | Value::Hidden => false,
        })
    })?;
    let shown = setting.shown();
    Some(Cause {
        component: component.to_owned(),
        rule: "address",
        summary: format!("{component} is sent to an address where nobody answers: {shown}"),
        analysis: format!(
            "{component} cannot connect (\"{}\"), and that address is what {} says.",
            lines.text, setting.key
        ),
        weight: if own { 0.92 } else { 0.75 },
        findings: vec![wrote(component, lines, format!("{component} cannot reach {shown}"))],
        actions: fix::setting(component, deployment, &setting.key),
    })
}

/// Every `host:port` in a text.
pub(super) fn addresses(text: &str) -> impl Iterator<Item = &str> {
    ADDRESS
        .as_ref()
        .into_iter()
        .flat_map(move |address| address.find_iter(text))
        .map(|one| one.as_str())
}

/// The component that an address in `text` belongs to, among those that `deployment` calls.
pub(super) fn target<'a>(deployment: &'a Deployment, text: &str) -> Option<&'a str> {
    addresses(text).find_map(|address| {
        let host = address.rsplit_once(':')?.0;
        let is_it = |(known, _): &&(String, String)| known == host;
        deployment.targets.iter().find(is_it).map(|(_, component)| component.as_str())
    })
}
