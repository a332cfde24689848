//! What receivers with a language of their own are sent.

use serde_json::{Value, json};

use super::words;
use crate::alerts::answer::{self, timestamp};
use crate::alerts::delivery::{Errand, Event};
use crate::alerts::entry::Alert;

/// The longest summary that PagerDuty takes, in characters.
const LONGEST: usize = 1024;

/// One line: what, where, how much.
fn summary(errand: &Errand) -> String {
    let rule = &errand.alert.rule;
    let place = &rule.place;
    format!(
        "{} in {}/{} ({}): {}",
        rule.name, place.project, place.component, place.environment, rule.description
    )
}

fn measured(alert: &Alert) -> String {
    let rule = &alert.rule;
    let of = if rule.query.is_empty() { &rule.metric } else { &rule.query };
    format!(
        "{} {of:?} was {} in {}, {} {}",
        rule.source, alert.value, rule.window, rule.operator, rule.threshold
    )
}

/// A message of Slack.
pub(super) fn slack(errand: &Errand) -> Value {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let summary = escape(&summary(errand));
    let text = match errand.delivery.event {
        Event::Resolve => format!("Resolved: {summary}"),
        _ => format!("[{}] {summary}", escape(&errand.alert.rule.severity)),
    };
    let measured = escape(&measured(&errand.alert));
    json!({
        "text": text,
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": text}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": measured}]},
        ],
    })
}

/// An event of PagerDuty: the alert's id ties its end to its beginning.
pub(super) fn pagerduty(errand: &Errand, routing_key: &str) -> Value {
    let alert = &errand.alert;
    if errand.delivery.event == Event::Resolve {
        return json!({"routing_key": routing_key, "event_action": "resolve", "dedup_key": alert.id});
    }
    let rule = &alert.rule;
    let severity = match rule.severity.as_str() {
        severity @ ("critical" | "info") => severity,
        _ => "warning",
    };
    let summary: String = summary(errand).chars().take(LONGEST).collect();
    json!({
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": alert.id,
        "client": "Curtain",
        "payload": {
            "summary": summary,
            "source": format!("{}/{}", rule.place.project, rule.place.component),
            "severity": severity,
            "timestamp": timestamp(alert.time),
            "component": rule.place.component,
            "group": rule.place.project,
            "class": rule.source,
            "custom_details": words::all(errand),
        },
    })
}

/// What the agent that looks for causes is asked.
pub(super) fn rca(alert: &Alert) -> Value {
    let rule = &alert.rule;
    let shown = answer::alert(alert);
    let shown = &shown["metadata"]["alertRule"];
    json!({
        "namespace": rule.place.namespace,
        "project": rule.place.project,
        "component": rule.place.component,
        "environment": rule.place.environment,
        "alert": {
            "id": alert.id,
            "value": alert.value,
            "timestamp": timestamp(alert.time),
            "rule": shown,
        },
    })
}
