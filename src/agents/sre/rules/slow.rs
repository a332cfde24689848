//! Where time is spent: the component that takes long while all it calls answer quickly.

use super::{Cause, seen};
use crate::sre::evidence::Evidence;
use crate::sre::fix;

/// Milliseconds of its own from which on a component is slow.
const SLOW: f64 = 500.0;

pub(super) fn find(evidence: &Evidence) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (name, component) in &evidence.components {
        let whole = component.state.p99;
        // Calls that follow each other add up, and one that is made several times counts several times.
        let called = evidence.calls_of(name).fold(0.0, |sum, call| sum + call.p99);
        let own = whole - called;
        if own < SLOW || own < whole / 2.0 {
            continue;
        }
        let calls = match called {
            ..0.5 => "and none of that is spent on calls".to_owned(),
            _ => format!("of which its calls take {called:.0} ms at most"),
        };
        let took = format!("{name} answers in up to {whole:.0} ms, {calls}");
        let deployment = component.deployment.as_ref();
        causes.push(Cause {
            component: name.clone(),
            rule: "slow",
            summary: format!("{name} is slow by itself: {own:.0} ms of its own"),
            analysis: format!("{took}. Whoever calls it waits."),
            weight: 0.55,
            findings: vec![seen(evidence, name, took)],
            actions: deployment.map(|one| fix::latest(evidence, name, one)).unwrap_or_default(),
        });
    }
    causes
}
