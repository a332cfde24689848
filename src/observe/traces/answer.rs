//! Found traces and spans as REST has them.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Listed, Row, Spans};

fn time(nanoseconds: i64) -> String {
    let time = Timestamp::from_nanosecond(nanoseconds.into());
    time.map(|time| time.to_string()).unwrap_or_default()
}

/// Traces as JSON.
pub(super) fn traces(found: &Listed, took_ms: u128) -> Value {
    let traces: Vec<Value> = found
        .traces
        .iter()
        .map(|trace| {
            json!({
                "traceId": trace.trace.to_string(),
                "traceName": trace.name,
                "spanCount": trace.spans,
                "rootSpanId": trace.root.to_string(),
                "rootSpanName": trace.name,
                "rootSpanKind": trace.kind.to_string(),
                "startTime": time(trace.start),
                "endTime": time(trace.end),
                "durationNs": trace.end - trace.start,
                "hasErrors": trace.errors > 0,
            })
        })
        .collect();
    json!({"traces": traces, "total": found.total, "tookMs": took_ms})
}

/// Spans as JSON; with what describes them, if that was asked for.
pub(super) fn spans(found: &Spans, whole: bool, took_ms: u128) -> Value {
    let spans: Vec<Value> = found
        .spans
        .iter()
        .map(|row| {
            let mut span = bare(row);
            if whole {
                describe(&mut span, row);
            }
            span
        })
        .collect();
    json!({"spans": spans, "total": found.total, "tookMs": took_ms})
}

/// All that is known of a span. `events` is more than upstream's answer has: there are stack traces in it.
pub(super) fn details(row: &Row) -> Value {
    let mut span = bare(row);
    describe(&mut span, row);
    if let Ok(events) = serde_json::from_str::<Value>(&row.events) {
        span["events"] = events;
    }
    span
}

fn bare(row: &Row) -> Value {
    let mut span = json!({
        "spanId": row.span.to_string(),
        "spanName": row.name,
        "spanKind": row.kind.to_string(),
        "startTime": time(row.start),
        "endTime": time(row.start.saturating_add(row.duration)),
        "durationNs": row.duration,
        "status": {"code": row.status.to_string()},
    });
    if let Some(parent) = row.parent {
        span["parentSpanId"] = parent.to_string().into();
    }
    if !row.message.is_empty() {
        span["status"]["message"] = row.message.as_str().into();
    }
    span
}

/// Attributes of the span and of its process, with the pod and the names that the platform has for it.
fn describe(span: &mut Value, row: &Row) {
    let object = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap_or_default();
    let mut resource = object(&row.resource);
    let owner = &row.owner;
    let known = [
        ("k8s.pod.name", &row.pod),
        ("openchoreo.dev/namespace", &owner.namespace),
        ("openchoreo.dev/project", &owner.project),
        ("openchoreo.dev/component", &owner.component),
        ("openchoreo.dev/environment", &owner.environment),
    ];
    for (name, value) in known.into_iter().filter(|(_, value)| !value.is_empty()) {
        resource.insert(name.to_owned(), value.as_str().into());
    }
    span["attributes"] = object(&row.attributes).into();
    span["resourceAttributes"] = resource.into();
}
