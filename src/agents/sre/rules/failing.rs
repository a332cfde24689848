//! Where errors begin: a component that fails what it is asked while all it asks itself goes well.

use super::{Cause, errors, seen, wrote};
use crate::sre::evidence::Evidence;
use crate::sre::fix;

pub(super) fn find(evidence: &Evidence) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (name, component) in &evidence.components {
        if !component.state.fails() || evidence.calls_of(name).any(|call| call.fails()) {
            continue;
        }
        let percent = format!("{:.0} %", component.state.failed * 100.0);
        let mut findings = vec![seen(
            evidence,
            name,
            format!("{name} fails {percent} of its requests, its own calls do not fail"),
        )];
        let line = errors(evidence, name).next();
        findings.extend(line.map(|lines| wrote(name, lines, format!("The errors of {name}"))));
        let says = line.map_or_else(String::new, |lines| format!(" It says: \"{}\".", lines.text));
        let deployment = component.deployment.as_ref();
        causes.push(Cause {
            component: name.clone(),
            rule: "failing",
            summary: format!("{name} fails {percent} of what it is asked, by itself"),
            analysis: format!("Nothing that {name} calls fails, so the errors begin here.{says}"),
            weight: 0.5,
            findings,
            actions: deployment.map(|one| fix::latest(evidence, name, one)).unwrap_or_default(),
        });
    }
    causes
}
