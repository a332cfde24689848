//! `autoscaling`: how many pods a workload has, by what they use. Stored as v2; v1 is another form of it.

mod behavior;
mod columns;
mod metric;
mod v1;

use curtain_schema::FieldError;
use serde_json::{Value, json};

use super::builtin::{ALL, Line, PLAIN};
use super::meta::is_path_segment;
use super::{Strategy, ValueExt, check};

/// A processor's use that is aimed at where nobody says anything.
const USUAL: i64 = 80;

const AUTOSCALER: Line = Line {
    kind: "HorizontalPodAutoscaler",
    plural: "horizontalpodautoscalers",
    short: &["hpa"],
    categories: ALL,
    status: true,
    generation: true,
    ..PLAIN
};

pub(super) const KINDS: &[Line] = &[
    Line {
        version: "v1",
        stored_as: Some(("autoscaling", "v2")),
        strategy: v1::STRATEGY,
        columns: v1::COLUMNS,
        ..AUTOSCALER
    },
    Line { version: "v2", strategy: STRATEGY, columns: columns::COLUMNS, ..AUTOSCALER },
];

const STRATEGY: Strategy = Strategy { default, prepare, validate, ..Strategy::PLAIN };

fn default(scaler: &mut Value) {
    let spec = scaler.sub("spec");
    spec.default_to("minReplicas", 1);
    if spec.list(&["metrics"]).is_empty() {
        spec["metrics"] = json!([usual()]);
    }
    behavior::default(spec);
}

fn usual() -> Value {
    let target = json!({"type": "Utilization", "averageUtilization": USUAL});
    json!({"type": "Resource", "resource": {"name": "cpu", "target": target}})
}

fn prepare(scaler: &mut Value, old: Option<&Value>) {
    if old.is_none() {
        scaler["status"] = json!({"currentReplicas": 0, "desiredReplicas": 0});
    }
}

fn validate(scaler: &Value, _: Option<&Value>, errors: &mut Vec<FieldError>) {
    let Some(spec) = scaler.at(&["spec"]) else { return };
    let mut wrong = |path: &str, value: i64, why: &str| {
        errors.push(FieldError::invalid(path, value.into(), why));
    };
    let (min, max) = (spec.int(&["minReplicas"]), spec.int(&["maxReplicas"]).unwrap_or(0));
    if let Some(min) = min.filter(|min| *min < 1) {
        wrong("spec.minReplicas", min, "must be greater than or equal to 1");
    }
    if max < 1 {
        wrong("spec.maxReplicas", max, "must be greater than 0");
    }
    if min.is_some_and(|min| min > max) {
        wrong("spec.maxReplicas", max, "must be greater than or equal to `minReplicas`");
    }
    reference(&spec["scaleTargetRef"], "spec.scaleTargetRef", errors);
    for (index, metric) in spec.list(&["metrics"]).iter().enumerate() {
        metric::validate(metric, &format!("spec.metrics[{index}]"), errors);
    }
    behavior::validate(spec, errors);
    for field in ["currentReplicas", "desiredReplicas"] {
        check::non_negative(&scaler["status"], "status", field, errors);
    }
}

/// An object that is named by kind and name.
fn reference(to: &Value, at: &str, errors: &mut Vec<FieldError>) {
    for field in ["kind", "name"] {
        let (path, value) = (format!("{at}.{field}"), to.text(&[field]));
        if value.is_empty() {
            errors.push(FieldError::required(path, ""));
        } else if let Some(why) = is_path_segment(value) {
            errors.push(FieldError::invalid(path, value.into(), why));
        }
    }
    let version = to.text(&["apiVersion"]);
    if version.matches('/').count() > 1 {
        let why = format!("unexpected GroupVersion string: {version}");
        errors.push(FieldError::invalid(format!("{at}.apiVersion"), version.into(), why));
    }
}

#[cfg(test)]
mod tests;
