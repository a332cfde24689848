//! `spec.metrics`: what an autoscaler looks at, and what it aims at.

use curtain_schema::FieldError;
use serde_json::Value;

use super::super::ValueExt;
use super::super::meta::is_path_segment;
use super::reference;
use crate::quantity::Quantity;

/// The types of metrics, each with the field that it is described in.
const TYPES: [(&str, &str); 5] = [
    ("ContainerResource", "containerResource"),
    ("External", "external"),
    ("Object", "object"),
    ("Pods", "pods"),
    ("Resource", "resource"),
];

pub(super) fn validate(metric: &Value, at: &str, errors: &mut Vec<FieldError>) {
    let kind = metric.text(&["type"]);
    let known = TYPES.map(|(kind, _)| kind);
    let path = format!("{at}.type");
    if kind.is_empty() {
        errors.push(FieldError::required(path.as_str(), "must specify a metric source type"));
    }
    if !known.contains(&kind) {
        errors.push(FieldError::not_supported(path, kind.into(), &known));
    }
    let present = TYPES.iter().map(|(_, field)| *field).filter(|it| metric.at(&[*it]).is_some());
    let present: Vec<&str> = present.collect();
    // Of several only one is looked at; the others may not be there.
    if let Some(field) = present.first() {
        source(field, &metric[*field], &format!("{at}.{field}"), errors);
    }
    let Some((_, expected)) = TYPES.iter().find(|(known, _)| *known == kind) else { return };
    if !present.contains(expected) {
        let why = "must populate information for the given metric source";
        errors.push(FieldError::required(format!("{at}.{expected}"), why));
    }
    for other in present.iter().filter(|field| *field != expected) {
        let why = "must populate the given metric source only";
        errors.push(FieldError::forbidden(format!("{at}.{other}"), why));
    }
}

fn source(field: &str, source: &Value, at: &str, errors: &mut Vec<FieldError>) {
    let target = &source["target"];
    let has = |name: &str| target.at(&[name]).is_some();
    let path = |name: &str| format!("{at}.{name}");
    let required = |path: String, why: &str| FieldError::required(path, why);
    match field {
        "resource" | "containerResource" => {
            if source.text(&["name"]).is_empty() {
                errors.push(required(path("name"), "must specify a resource name"));
            }
            if field == "containerResource" && source.text(&["container"]).is_empty() {
                errors.push(required(path("container"), "must specify a container"));
            }
        }
        _ => {
            if field == "object" {
                reference(&source["describedObject"], &path("describedObject"), errors);
            }
            let (name, path) = (source.text(&["metric", "name"]), path("metric.name"));
            if name.is_empty() {
                errors.push(required(path, "must specify a metric name"));
            } else if let Some(why) = is_path_segment(name) {
                errors.push(FieldError::invalid(path, name.into(), why));
            }
        }
    }
    validate_target(target, &path("target"), errors);
    let (value, average) = (has("value"), has("averageValue"));
    match field {
        "resource" | "containerResource" => match (has("averageUtilization"), average) {
            (false, false) => errors.push(required(
                path("target.averageUtilization"),
                "must set either a target raw value or a target utilization",
            )),
            (true, true) => errors.push(FieldError::forbidden(
                path("target.averageValue"),
                "may not set both a target raw value and a target utilization",
            )),
            _ => {}
        },
        "pods" if !positive(target, "averageValue").unwrap_or(false) => errors.push(required(
            path("target.averageValue"),
            "must specify a positive target averageValue",
        )),
        "object" if !value && !average => errors.push(required(
            path("target.averageValue"),
            "must set either a target value or averageValue",
        )),
        "external" if !value && !average => errors.push(required(
            path("target.averageValue"),
            "must set either a target value for metric or a per-pod target",
        )),
        "external" if value && average => errors.push(FieldError::forbidden(
            path("target.value"),
            "may not set both a target value for metric and a per-pod target",
        )),
        _ => {}
    }
}

/// Is the quantity above zero, if it is there?
fn positive(target: &Value, field: &str) -> Option<bool> {
    let quantity = Quantity::of(target.at(&[field])?)?;
    Some(!quantity.is_zero() && !quantity.is_negative())
}

fn validate_target(target: &Value, at: &str, errors: &mut Vec<FieldError>) {
    let (path, kind) = (format!("{at}.type"), target.text(&["type"]));
    if kind.is_empty() {
        errors.push(FieldError::required(path.as_str(), "must specify a metric target type"));
    }
    if !["Utilization", "Value", "AverageValue"].contains(&kind) {
        let why = "must be either Utilization, Value, or AverageValue";
        errors.push(FieldError::invalid(path, kind.into(), why));
    }
    for field in ["value", "averageValue"] {
        if positive(target, field) == Some(false) {
            let value = target[field].clone();
            errors.push(FieldError::invalid(format!("{at}.{field}"), value, "must be positive"));
        }
    }
    if let Some(share) = target.int(&["averageUtilization"]).filter(|share| *share < 1) {
        let path = format!("{at}.averageUtilization");
        errors.push(FieldError::invalid(path, share.into(), "must be greater than 0"));
    }
}
