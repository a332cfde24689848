//! What all rules say, weighed.

use jiff::SignedDuration;

use super::{Cause, RULES, changed};
use crate::sre::alert::Concern;
use crate::sre::evidence::Evidence;
use crate::sre::report::{self, Excluded, Step};

/// A cause that is less sure than this is not told.
const LEAST: f64 = 0.5;
/// What a change shortly before adds.
const CHANGED: f64 = 0.06;
/// The same for a rule that knows where and not why.
const CHANGED_WHY: f64 = 0.25;
/// Rules that know where, and not why.
const WHERE: [&str; 2] = ["failing", "slow"];
/// What is left of the weight of a cause that the component with the alert does not reach by calls.
const APART: f64 = 0.5;
/// Rules that know why pods do not start or do not stay.
const PODS: [&str; 2] = ["release", "pods"];
/// Rules that go by what somebody says of a setting: without a change it may have been said of something else.
const SAID: [&str; 2] = ["setting", "address"];
/// The most that such a rule weighs then: less than what is sure.
const UNCHANGED: f64 = 0.75;
/// What is left of the weight of a cause that was not heard of any more for so long before the alert.
const STALE: f64 = 0.7;
const STALE_AFTER: SignedDuration = SignedDuration::from_secs(15);
/// A cause may lie with somebody further on that the same rule found, though it weighs so much less.
const FURTHER: f64 = 0.15;
/// How long after the alert a change may be and still have led to it: clocks of nodes differ.
const AFTER: SignedDuration = SignedDuration::from_secs(5);
/// Causes that are told, at most.
const MOST: usize = 3;

/// What the rules say about the evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The likeliest first; empty when it cannot be told.
    pub causes: Vec<Cause>,
    /// What was looked at.
    pub steps: Vec<Step>,
    /// What it is not.
    pub excluded: Vec<Excluded>,
}

impl Judgement {
    /// How sure the likeliest cause is.
    pub fn weight(&self) -> f64 {
        self.causes.first().map_or(0.0, |cause| cause.weight)
    }
}

/// Has every rule look at `evidence`, and weighs what they say.
pub fn judge(evidence: &Evidence) -> Judgement {
    let mut steps = vec![gathered(evidence)];
    let mut found = Vec::new();
    for rule in &RULES {
        let causes = (rule.find)(evidence);
        let outcome = match causes.as_slice() {
            [] => "none".to_owned(),
            causes => causes.iter().map(|one| one.summary.as_str()).collect::<Vec<_>>().join("; "),
        };
        steps.push(Step {
            action: format!("Looked for {}", rule.seeks),
            outcome,
            rationale: format!("Rule {:?}, on everything that was gathered", rule.name),
        });
        found.extend(causes.into_iter().map(|cause| weighed(evidence, cause)));
    }
    let (kept, mut excluded) = origins(evidence, found);
    let mut causes: Vec<Cause> = Vec::new();
    for cause in kept {
        match causes.iter_mut().find(|known| known.component == cause.component) {
            // Several rules about one component: the surest speaks, and the others support it.
            Some(known) => {
                for finding in cause.findings {
                    if known.findings.iter().all(|one| one.evidence != finding.evidence) {
                        known.findings.push(finding);
                    }
                }
            }
            None => causes.push(cause),
        }
    }
    let few = causes.iter().take(MOST).take_while(|cause| cause.weight >= LEAST).count();
    excluded.extend(causes.split_off(few).into_iter().map(|cause| Excluded {
        description: cause.summary,
        rationale: "What speaks for it is too little.".to_owned(),
    }));
    Judgement { causes, steps, excluded }
}

fn gathered(evidence: &Evidence) -> Step {
    let all: Vec<&str> = evidence.components.keys().map(String::as_str).collect();
    let gaps = match evidence.gaps.as_slice() {
        [] => String::new(),
        gaps => format!(". Could not be read: {}", gaps.join("; ")),
    };
    Step {
        action: format!(
            "Looked at {} from {} to {}",
            all.join(", "),
            evidence.range.start,
            evidence.range.end
        ),
        outcome: format!("{} kinds of calls among them{gaps}", evidence.calls.len()),
        rationale: format!("{} reaches them, calls them, or they are not well", evidence.alerted()),
    }
}

/// A cause with the weight that its place and the time give it.
fn weighed(evidence: &Evidence, mut cause: Cause) -> Cause {
    let last = evidence.request.alert.timestamp.saturating_add(AFTER).unwrap_or(evidence.range.end);
    let alert = evidence.request.alert.timestamp;
    let change = evidence.changed(&cause.component).filter(|time| *time <= last);
    if change.is_none() && SAID.contains(&cause.rule) {
        cause.weight = cause.weight.min(UNCHANGED);
    }
    if let Some(finding) = cause.findings.first()
        && matches!(finding.evidence, report::Evidence::Log { .. })
        && alert.duration_since(finding.time_range.end) > STALE_AFTER
    {
        cause.weight *= STALE;
    }
    if let Some(time) = change {
        cause.weight += if WHERE.contains(&cause.rule) { CHANGED_WHY } else { CHANGED };
        let seconds = alert.duration_since(time).as_secs();
        let name = &cause.component;
        let set = evidence.deployment(name).map(|one| {
            one.overrides.iter().map(|setting| setting.shown()).collect::<Vec<_>>().join(", ")
        });
        let set = set.filter(|set| !set.is_empty());
        let set = set.map_or_else(String::new, |set| format!("; this environment sets {set}"));
        cause.analysis.push_str(&format!(
            " The pods of {name} were replaced {seconds} s before the alert{set}."
        ));
        let observation = format!("The pods of {name} were replaced{set}");
        if !cause.findings.iter().any(|finding| finding.observation.contains("were replaced")) {
            cause.findings.push(changed(name, time, observation));
        }
    }
    if !evidence.reached(evidence.alerted()).contains(&cause.component.as_str()) {
        cause.weight *= APART;
    }
    cause.weight = cause.weight.min(0.99);
    cause
}

/// The causes that are not what another one leads to, the likeliest first; and what the others are. Of an alert about
/// pods the component's own come first.
fn origins(evidence: &Evidence, mut found: Vec<Cause>) -> (Vec<Cause>, Vec<Excluded>) {
    found.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    let mut excluded: Vec<Excluded> = Vec::new();
    let mut kept: Vec<Cause> = Vec::new();
    let of_pods = told_of_pods(evidence, &found);
    for cause in &found {
        // Nobody who is called keeps a pod from starting.
        let own = of_pods && cause.component == evidence.alerted();
        let origin = found.iter().filter(|_| !own).find(|other| {
            let further = other.component != cause.component
                && evidence.reached(&cause.component).contains(&other.component.as_str())
                && !evidence.reached(&other.component).contains(&cause.component.as_str());
            // What somebody says of itself is not undone by a guess about another.
            let same = if other.rule == cause.rule { FURTHER } else { 0.0 };
            further && other.weight + same >= cause.weight
        });
        match origin {
            Some(origin) => excluded.push(Excluded {
                description: cause.summary.clone(),
                rationale: format!(
                    "It calls {}, where it begins: {}",
                    origin.component, origin.summary
                ),
            }),
            None => kept.push(cause.clone()),
        }
    }
    if of_pods {
        kept.sort_by_key(|cause| cause.component != evidence.alerted());
    }
    (kept, excluded)
}

/// Whether the alert is about pods, and what is wrong with those of its component was found.
fn told_of_pods(evidence: &Evidence, found: &[Cause]) -> bool {
    let tells = |cause: &Cause| {
        let own = cause.component == evidence.alerted();
        own && PODS.contains(&cause.rule) && cause.weight >= LEAST
    };
    evidence.request.alert.concern() == Concern::Pods && found.iter().any(tells)
}
