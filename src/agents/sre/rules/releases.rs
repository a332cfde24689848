//! A release could not be rolled out: what the platform itself says of it.

use super::{Cause, changed, counting, seen};
use crate::sre::evidence::{Condition, Deployment, Evidence, Value};
use crate::sre::fix;

/// In words for the state of a binding that does not pass by itself.
const LASTING: [&str; 5] = ["Failed", "Error", "NotFound", "Invalid", "Missing"];

pub(super) fn find(evidence: &Evidence) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (name, component) in &evidence.components {
        let Some(deployment) = &component.deployment else { continue };
        if !LASTING.iter().any(|word| deployment.status.contains(word)) {
            continue;
        }
        let Some(condition) = deployment.conditions.first() else { continue };
        let says = format!("{}: {}", deployment.status, condition.message);
        let mut findings = vec![seen(
            evidence,
            name,
            format!("Release binding {} says {says}", deployment.binding),
        )];
        if let Some(time) = evidence.changed(name) {
            findings.push(changed(name, time, format!("The pods of {name} were replaced")));
        }
        causes.push(Cause {
            component: name.clone(),
            rule: "release",
            summary: format!("What {name} should run cannot be rolled out: {}", condition.message),
            analysis: format!(
                "The release binding {} is not ready ({}). What ran before may still run.",
                deployment.binding, deployment.status
            ),
            weight: counting(evidence, component, 0.93),
            findings,
            actions: actions(name, deployment, condition),
        });
    }
    causes
}

/// A setting that the message speaks of, by itself or by where it is taken from, can be taken back.
fn actions(name: &str, deployment: &Deployment, condition: &Condition) -> Vec<super::Action> {
    let spoken = |value: &str| !value.is_empty() && condition.message.contains(value);
    let named = deployment.overrides.iter().find(|setting| {
        spoken(&setting.key) || matches!(&setting.value, Value::From(source) if spoken(source))
    });
    named.map(|setting| fix::setting(name, deployment, &setting.key)).unwrap_or_default()
}
