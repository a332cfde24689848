//! A certificate is not accepted: by the one who calls, for a fault of the one who is called.

use super::addresses::target;
use super::{Cause, Finding, errors, wrote};
use crate::sre::evidence::Evidence;
use crate::sre::fix;

/// What is said of such a certificate.
const WORDS: [&str; 7] = [
    "expired",
    "not yet valid",
    "unknown issuer",
    "self-signed",
    "self signed",
    "not valid for",
    "verify failed",
];

pub(super) fn find(evidence: &Evidence) -> Vec<Cause> {
    let mut causes = Vec::new();
    for name in evidence.components.keys() {
        for lines in errors(evidence, name) {
            let lower = lines.text.to_lowercase();
            let Some(word) = WORDS.iter().find(|word| lower.contains(**word)) else { continue };
            if !lower.contains("certificate") && !lower.contains("x509") {
                continue;
            }
            let deployment = evidence.deployment(name);
            let whose = deployment.and_then(|deployment| target(deployment, &lines.text));
            // Who passes on what another one met does not know whose it is.
            let Some(whose) = whose else { continue };
            let observation = format!("{name} does not accept the certificate of {whose}: {word}");
            let actions = evidence.deployment(whose).map(|one| fix::latest(evidence, whose, one));
            causes.push(Cause {
                component: whose.to_owned(),
                rule: "certificate",
                summary: format!("The certificate of {whose} is not accepted: {word}"),
                analysis: format!("{name} refuses to talk to {whose}: \"{}\".", lines.text),
                weight: 0.9,
                findings: vec![Finding {
                    component: whose.to_owned(),
                    ..wrote(name, lines, observation)
                }],
                actions: actions.unwrap_or_default(),
            });
        }
    }
    causes
}
