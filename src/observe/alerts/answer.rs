//! Alerts and incidents as callers read them.

use std::collections::HashMap;

use curtain_control::mcp::economy::{cost, cut, fit};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::delivery::Delivery;
use super::entry::{Alert, Incident};
use super::query::Found;
use super::reports::Reported;
use crate::asked::Place;

/// `time`, nanoseconds since 1970, as text.
pub(super) fn timestamp(time: i64) -> String {
    Timestamp::from_nanosecond(time.into()).map(|time| time.to_string()).unwrap_or_default()
}

/// A page of something.
pub(super) fn list<T>(
    name: &str,
    found: &Found<T>,
    entry: impl Fn(&T) -> Value,
    took_ms: u128,
) -> Value {
    let rows: Vec<Value> = found.rows.iter().map(entry).collect();
    json!({name: rows, "total": found.total, "tookMs": took_ms})
}

fn labels(place: &Place, component: &str, project: &str, environment: &str) -> Value {
    json!({
        "namespaceName": place.namespace, "projectName": place.project,
        "componentName": place.component, "environmentName": place.environment,
        "componentUid": component, "projectUid": project, "environmentUid": environment,
    })
}

/// An alert. `resolvedAt` is ours.
pub(super) fn alert(alert: &Alert) -> Value {
    let rule = &alert.rule;
    let mut source = Map::new();
    source.insert("type".into(), rule.source.as_str().into());
    for (name, value) in [("query", &rule.query), ("metric", &rule.metric)] {
        if !value.is_empty() {
            source.insert(name.into(), value.as_str().into());
        }
    }
    let mut answer = json!({
        "timestamp": timestamp(alert.time), "alertId": alert.id, "alertValue": alert.value,
        "notificationChannels": rule.channels, "incidentEnabled": rule.incident,
        "metadata": {
            "alertRule": {
                "name": rule.name, "description": rule.description, "severity": rule.severity,
                "source": source,
                "condition": {
                    "operator": rule.operator, "threshold": rule.threshold,
                    "window": rule.window, "interval": rule.interval,
                },
            },
            "labels": labels(&rule.place, &rule.component_uid, &rule.project_uid, &rule.environment_uid),
        },
    });
    if let Some(resolved) = alert.resolved {
        answer["resolvedAt"] = timestamp(resolved).into();
    }
    answer
}

/// An incident. `title`, `atStart`, `notified`, `acknowledgedBy` and `resolvedBy` are ours.
pub(super) fn incident(incident: &Incident) -> Value {
    let mut answer = json!({
        "timestamp": timestamp(incident.time), "alertId": incident.alert, "incidentId": incident.id,
        "incidentTriggerAiRca": incident.rca, "incidentTriggerAiCostAnalysis": incident.cost_analysis,
        "status": incident.status, "triggeredAt": timestamp(incident.triggered),
        "notes": incident.notes, "description": incident.description,
        "labels": labels(&incident.place, &incident.component_uid, &incident.project_uid, &incident.environment_uid),
    });
    for (name, time) in
        [("acknowledgedAt", incident.acknowledged), ("resolvedAt", incident.resolved)]
    {
        if let Some(time) = time {
            answer[name] = timestamp(time).into();
        }
    }
    if let Some(seen) = &incident.seen {
        answer["title"] = seen.at(&incident.place).into();
        answer["atStart"] = seen.at_the_start().into();
    }
    for (name, words) in [
        ("acknowledgedBy", &incident.acknowledged_by),
        ("resolvedBy", &incident.resolved_by),
        ("notified", &incident.notified),
    ] {
        if let Some(words) = words {
            answer[name] = words.as_str().into();
        }
    }
    answer
}

/// What was or is to be told to a channel.
pub(super) fn delivery(delivery: &Delivery) -> Value {
    json!({
        "timestamp": timestamp(delivery.created), "notificationId": delivery.id, "alertId": delivery.alert,
        "channel": delivery.channel, "event": delivery.event.as_str(), "state": delivery.state,
        "attempts": delivery.attempts, "error": delivery.error,
    })
}

/// Bytes of an entry without its texts.
const BARE: usize = 220;

/// Alerts for an agent, which pays for every word.
pub(super) fn compact_alerts(found: &Found<Alert>, budget: usize) -> Value {
    compact(found, budget, "alerts", |alert: &Alert| {
        let rule = &alert.rule;
        let asked = if rule.query.is_empty() { &rule.metric } else { &rule.query };
        let condition = format!(
            "{} {asked:?} {} {} in {}",
            rule.source, rule.operator, rule.threshold, rule.window
        );
        let mut entry = json!({
            "timestamp": timestamp(alert.time), "alertId": alert.id, "rule": rule.name, "severity": rule.severity,
            "value": alert.value, "condition": cut(&condition), "description": cut(&rule.description),
            "component": format!("{}/{}", rule.place.project, rule.place.component),
            "environment": rule.place.environment,
        });
        entry["resolvedAt"] = alert.resolved.map(timestamp).into();
        entry
    })
}

/// Incidents for an agent, with what is reported of their alerts.
pub(super) fn compact_incidents(
    found: &Found<Incident>,
    budget: usize,
    reports: &HashMap<String, Reported>,
) -> Value {
    compact(found, budget, "incidents", |incident: &Incident| {
        let report = reports.get(&incident.alert);
        json!({
            "incidentId": incident.id, "alertId": incident.alert, "status": incident.status,
            "triggeredAt": timestamp(incident.triggered), "resolvedAt": incident.resolved.map(timestamp),
            "acknowledgedBy": incident.acknowledged_by, "resolvedBy": incident.resolved_by,
            "description": cut(&incident.description), "notes": cut(&incident.notes),
            "component": format!("{}/{}", incident.place.project, incident.place.component),
            "environment": incident.place.environment, "notified": incident.notified,
            "report": report.map(Reported::id),
            "proposedFix": report.and_then(|report| report.proposed_fix.as_deref()).map(cut),
        })
    })
}

/// As many entries as fit into `budget` bytes, without what is not there.
fn compact<T>(found: &Found<T>, budget: usize, name: &str, entry: impl Fn(&T) -> Value) -> Value {
    let mut rows: Vec<Value> = found.rows.iter().map(entry).collect();
    for row in rows.iter_mut().filter_map(Value::as_object_mut) {
        row.retain(|_, value| !value.is_null() && value != "");
    }
    fit(&mut rows, budget, |row| {
        let texts = row.as_object().into_iter().flatten().filter_map(|(_, value)| value.as_str());
        BARE + texts.map(cost).sum::<usize>()
    });
    let shown = rows.len() as u64;
    let mut answer = json!({name: rows, "total": found.total});
    if found.total > shown {
        answer["hint"] = json!(format!(
            "{shown} of {} {name}; ask with limit, or narrow by component, environment or time",
            found.total
        ));
    }
    answer
}
