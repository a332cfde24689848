//! Pods that do not start, or do not stay.

use super::{Cause, Finding, counting, errors, seen, wrote};
use crate::sre::alert::Concern;
use crate::sre::evidence::{Component, Event, Evidence};
use crate::sre::fix;

/// Memory from this part of the limit on is a reason for a pod to end.
const FULL: f64 = 0.8;

pub(super) fn find(evidence: &Evidence) -> Vec<Cause> {
    let causes = evidence.components.iter().filter_map(|(name, component)| {
        image(evidence, name, component)
            .or_else(|| memory(evidence, name, component))
            .or_else(|| crash(evidence, name, component))
    });
    causes.collect()
}

fn happened(evidence: &Evidence, name: &str, event: &Event) -> Finding {
    let times = if event.count > 1 { format!(" ({} times)", event.count) } else { String::new() };
    let mut finding = seen(
        evidence,
        name,
        format!("{}: {}{times}: {}", event.object, event.reason, event.message),
    );
    if let Some(last) = event.last {
        finding.time_range.end = last;
    }
    finding
}

/// The image cannot be had.
fn image(evidence: &Evidence, name: &str, component: &Component) -> Option<Cause> {
    let of_images = |event: &&Event| {
        let reason = event.reason.as_str();
        let pulling = event.message.contains("image") && matches!(reason, "Failed" | "BackOff");
        pulling
            || matches!(
                reason,
                "ErrImagePull" | "ImagePullBackOff" | "InspectFailed" | "ErrImageNeverPull"
            )
    };
    let event = component.events.iter().find(of_images)?;
    let deployment = component.deployment.as_ref();
    // Where every pod is well, the image that was not there is not wanted any more.
    let waits = deployment.is_some_and(|one| !one.unwell.is_empty());
    (waits || down(component)).then_some(())?;
    let image = deployment.map_or("its image", |one| one.image.as_str());
    Some(Cause {
        component: name.to_owned(),
        rule: "pods",
        summary: format!("The image of {name} cannot be pulled: {image}"),
        analysis: format!(
            "The newest pod waits for an image that there is not: {}. Older pods may still run.",
            event.message
        ),
        weight: counting(evidence, component, 0.94),
        findings: vec![happened(evidence, name, event)],
        actions: deployment.map(|one| fix::rollback(name, one)).unwrap_or_default(),
    })
}

/// The kernel ended it for the memory it took.
fn memory(evidence: &Evidence, name: &str, component: &Component) -> Option<Cause> {
    let deployment = component.deployment.as_ref();
    let unwell = deployment.map_or(&[][..], |one| &one.unwell);
    let killed = unwell.iter().find(|(_, why)| why.contains("OOMKilled"));
    let event = component
        .events
        .iter()
        .find(|event| event.reason.contains("OOM") || event.message.contains("OOMKilled"));
    let restarts = restarts(component).or_else(|| {
        let ended = killed.is_some() || event.is_some();
        ended.then(|| told(evidence, name)).flatten()
    })?;
    let used = component.state.memory.filter(|part| *part >= FULL);
    let (weight, finding) = match (killed, event, used) {
        (Some((pod, why)), ..) => (0.93, seen(evidence, name, format!("Pod {pod}: {why}"))),
        (_, Some(event), _) => (0.93, happened(evidence, name, event)),
        (.., Some(part)) => {
            let percent = format!("{:.0} %", part * 100.0);
            let used = format!("Memory at {percent} of the limit, and {restarts}");
            (0.8, seen(evidence, name, used))
        }
        _ => return None,
    };
    Some(Cause {
        component: name.to_owned(),
        rule: "pods",
        summary: format!("{name} takes more memory than its limit and is ended for it (OOMKilled)"),
        analysis: format!(
            "{restarts}; each time it starts anew its memory grows until the kernel ends it. Whoever calls it meets \
             connections that break."
        ),
        weight,
        findings: vec![finding],
        actions: deployment.map(|one| fix::memory(evidence, name, one)).unwrap_or_default(),
    })
}

/// It ends by itself.
fn crash(evidence: &Evidence, name: &str, component: &Component) -> Option<Cause> {
    let restarts = restarts(component)?;
    let event = component.events.iter().find(|event| event.reason == "BackOff");
    let last_words = errors(evidence, name).max_by_key(|lines| lines.last);
    let mut findings = Vec::new();
    findings.extend(event.map(|event| happened(evidence, name, event)));
    if findings.is_empty() {
        findings.push(seen(evidence, name, restarts.clone()));
    }
    findings.extend(
        last_words.map(|lines| wrote(name, lines, format!("{name} writes this before it ends"))),
    );
    // A start anew that is over and done with leaves nothing but a count.
    let weight = match (event.is_some(), down(component)) {
        (true, _) => 0.8,
        (false, true) => 0.7,
        (false, false) => 0.4,
    };
    let why = last_words
        .map_or_else(String::new, |lines| format!(" Its last words: \"{}\".", lines.text));
    let deployment = component.deployment.as_ref();
    Some(Cause {
        component: name.to_owned(),
        rule: "pods",
        summary: format!("{name} ends with an error again and again"),
        analysis: format!("{restarts}.{why} Whoever calls it finds nobody there."),
        weight,
        findings,
        actions: deployment.map(|one| fix::latest(evidence, name, one)).unwrap_or_default(),
    })
}

/// Whether a pod of it is not ready.
fn down(component: &Component) -> bool {
    component.state.pods.split_once('/').is_some_and(|(ready, all)| ready != all)
}

/// That the alert itself says that a pod was started anew: it knows before anybody has counted it. It may be of something
/// else that failed.
fn told(evidence: &Evidence, name: &str) -> Option<String> {
    let pods = evidence.request.alert.concern() == Concern::Pods && evidence.alerted() == name;
    pods.then(|| "A pod was started anew".to_owned())
}

/// That it was started anew, in words.
fn restarts(component: &Component) -> Option<String> {
    let complaints = component.state.complaints.iter();
    let counted = complaints.clone().find(|complaint| complaint.ends_with("restarts"));
    let looping = component.events.iter().find(|event| event.reason == "BackOff");
    let looping = looping.filter(|event| event.message.contains("restarting"));
    counted
        .cloned()
        .or_else(|| looping.map(|event| format!("Pods are restarted: {}", event.reason)))
}
