//! `autoscaling/v1`: one share of a processor; everything else is in annotations, as JSON with the names of that time.
//!
//! What is read as v1 and written back is the same object.

mod names;

use curtain_schema::{FieldError, builtin};
use serde_json::{Value, json};

use super::super::columns::Printer;
use super::super::{Strategy, ValueExt};
use super::{USUAL, columns, usual};
use names::{newer, older};

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

pub(super) const STRATEGY: Strategy = Strategy {
    default,
    prepare,
    validate,
    serve: Some(serve),
    store: Some(store),
    ..Strategy::PLAIN
};

pub(super) const COLUMNS: Printer = Printer(columns::COLUMNS.0, |object, now| {
    let mut object = object.clone();
    store(&mut object);
    (columns::COLUMNS.1)(&object, now)
});

fn default(scaler: &mut Value) {
    let others = note(scaler, METRICS).is_some();
    let spec = scaler.sub("spec");
    spec.default_to("minReplicas", 1);
    if !others {
        spec.default_to("targetCPUUtilizationPercentage", USUAL);
    }
}

/// A client that drops the annotations of the status does not change the status.
fn prepare(scaler: &mut Value, old: Option<&Value>) {
    let Some(old) = old else { return super::prepare(scaler, None) };
    for name in [CURRENT, CONDITIONS] {
        if let Some(text) = old.at(&["metadata", "annotations", name]) {
            scaler.sub("metadata").sub("annotations")[name] = text.clone();
        }
    }
}

fn validate(scaler: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let mut stored = scaler.clone();
    store(&mut stored);
    super::validate(&stored, old, errors);
}

/// The JSON of an annotation, if it is any.
fn note(scaler: &Value, name: &str) -> Option<Value> {
    serde_json::from_str(scaler.text(&["metadata", "annotations", name])).ok()
}

/// A value as v2 defines it; `None` where it is of another type, which no client of v2 could read.
fn typed(mut value: Value, definition: &str) -> Option<Value> {
    let node = builtin::definition(&format!("api.autoscaling.v2.{definition}"))?;
    builtin::decode(&mut value, node).ok()?;
    value.is_object().then_some(value)
}

/// All of an annotation's list, each made what `definition` says; nothing where one cannot be.
fn list(noted: Option<Value>, definition: &str, make: impl Fn(&Value) -> Value) -> Vec<Value> {
    let all = noted.as_ref().and_then(Value::as_array).into_iter().flatten();
    let all =
        all.map(|one| one.is_object().then(|| make(one)).and_then(|one| typed(one, definition)));
    all.collect::<Option<_>>().unwrap_or_default()
}

/// The share of processors that a metric, or its status, is about.
fn share(metric: &Value, values: &str) -> Option<i64> {
    let cpu = metric["type"] == "Resource" && metric["resource"]["name"] == "cpu";
    metric.int(&["resource", values, "averageUtilization"]).filter(|_| cpu)
}

/// From v2.
fn serve(scaler: &mut Value) {
    let mut notes: Vec<(&str, Value)> = Vec::new();
    for (part, list, values, share_name, name) in [
        ("spec", "metrics", "target", "targetCPUUtilizationPercentage", METRICS),
        ("status", "currentMetrics", "current", "currentCPUUtilizationPercentage", CURRENT),
    ] {
        let Some(part) = scaler.get_mut(part).filter(|part| part.is_object()) else { continue };
        let metrics = part.drop_field(list).unwrap_or_default();
        let mut others: Vec<&Value> = metrics.as_array().into_iter().flatten().collect();
        let first = others.iter().position(|metric| share(metric, values).is_some());
        if let Some(first) = first {
            part[share_name] = share(others.remove(first), values).into();
        }
        if !others.is_empty() {
            notes.push((name, others.into_iter().map(older).collect()));
        }
    }
    for (part, field, name) in
        [("spec", "behavior", BEHAVIOR), ("status", "conditions", CONDITIONS)]
    {
        let value = scaler.get_mut(part).and_then(|part| part.drop_field(field));
        if let Some(value) = value.filter(|value| !value.is_null()) {
            notes.push((name, value));
        }
    }
    for (name, value) in notes {
        scaler.sub("metadata").sub("annotations")[name] = value.to_string().into();
    }
    if let Some(status) = scaler.get_mut("status").filter(|status| status.is_object()) {
        status.default_to("currentReplicas", 0);
        status.default_to("desiredReplicas", 0);
    }
}

/// To v2. What is no JSON in an annotation, or of another type, is forgotten.
fn store(scaler: &mut Value) {
    for (part, field, values, share_name, name, definition) in [
        ("spec", "metrics", "target", "targetCPUUtilizationPercentage", METRICS, "MetricSpec"),
        (
            "status",
            "currentMetrics",
            "current",
            "currentCPUUtilizationPercentage",
            CURRENT,
            "MetricStatus",
        ),
    ] {
        let others = list(note(scaler, name), definition, |metric| newer(metric, values));
        if !scaler[part].is_object() {
            continue;
        }
        let part = scaler.sub(part);
        let mut metrics = Vec::new();
        if let Some(share) = part.drop_field(share_name).filter(|share| !share.is_null()) {
            let mut metric = json!({"type": "Resource", "resource": {"name": "cpu"}});
            metric["resource"][values] = json!({"averageUtilization": share});
            if values == "target" {
                metric["resource"][values]["type"] = "Utilization".into();
            }
            metrics.push(metric);
        }
        metrics.extend(others);
        if metrics.is_empty() && values == "target" {
            metrics.push(usual());
        }
        if !metrics.is_empty() {
            part[field] = metrics.into();
        }
    }
    let behavior = note(scaler, BEHAVIOR);
    if let Some(behavior) = behavior.and_then(|it| typed(it, "HorizontalPodAutoscalerBehavior")) {
        scaler.sub("spec")["behavior"] = behavior;
    }
    let conditions = note(scaler, CONDITIONS);
    let conditions = list(conditions, "HorizontalPodAutoscalerCondition", Value::clone);
    if !conditions.is_empty() {
        scaler.sub("status")["conditions"] = conditions.into();
    }
    super::behavior::default(scaler.sub("spec"));
    let notes = scaler["metadata"].get_mut("annotations").and_then(Value::as_object_mut);
    if let Some(notes) = notes {
        notes.retain(|name, _| ![METRICS, CURRENT, CONDITIONS, BEHAVIOR].contains(&name.as_str()));
        if notes.is_empty() {
            scaler["metadata"].drop_field("annotations");
        }
    }
}

#[cfg(test)]
mod tests;
