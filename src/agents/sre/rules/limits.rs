//! Something is full.

use super::{Cause, errors, seen, wrote};
use crate::sre::evidence::Evidence;
use crate::sre::fix;

/// What is said of something that is full.
const WORDS: [&str; 12] = [
    "queue is full",
    "queue full",
    "pool exhausted",
    "pool is exhausted",
    "too many connections",
    "too many open files",
    "too many requests",
    "rate limit",
    "no space left",
    "disk full",
    "resource exhausted",
    "quota exceeded",
];
/// Of its limit, a processor is as good as full at this part.
const BUSY: f64 = 0.95;

pub(super) fn find(evidence: &Evidence) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (name, component) in &evidence.components {
        let actions = || {
            let deployment = component.deployment.as_ref();
            deployment.map(|one| fix::latest(evidence, name, one)).unwrap_or_default()
        };
        for lines in errors(evidence, name) {
            let lower = lines.text.to_lowercase();
            let Some(word) = WORDS.iter().find(|word| lower.contains(**word)) else { continue };
            causes.push(Cause {
                component: name.clone(),
                rule: "limit",
                summary: format!("{name} has reached a limit: {word}"),
                analysis: format!("{name} turns work away: \"{}\".", lines.text),
                weight: 0.8,
                findings: vec![wrote(name, lines, format!("{name} says: {word}"))],
                actions: actions(),
            });
        }
        if let Some(cpu) = component.state.cpu.filter(|cpu| *cpu >= BUSY) {
            let percent = format!("{:.0} %", cpu * 100.0);
            causes.push(Cause {
                component: name.clone(),
                rule: "limit",
                summary: format!(
                    "{name} gets no more processor time: it uses {percent} of its limit"
                ),
                analysis: "A component at its limit is slowed down by the node.".to_owned(),
                weight: 0.6,
                findings: vec![seen(
                    evidence,
                    name,
                    format!("Processor at {percent} of the limit"),
                )],
                actions: actions(),
            });
        }
    }
    causes
}
