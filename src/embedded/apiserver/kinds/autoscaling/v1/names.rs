//! The names that metrics had when annotations were what they were written in.

use serde_json::{Value, json};

use super::super::super::ValueExt;

/// Names of v1, each with the path of v2.
type Renamed = &'static [(&'static str, &'static [&'static str])];

/// Where a v1 field has another name, or is in another place: by the field of the metric, old and new paths.
const NAMES: [(&str, Renamed); 5] = [
    ("resource", AVERAGES),
    ("containerResource", AVERAGES),
    (
        "pods",
        &[
            ("metricName", &["metric", "name"]),
            ("selector", &["metric", "selector"]),
            ("targetAverageValue", &["target", "averageValue"]),
            ("currentAverageValue", &["current", "averageValue"]),
        ],
    ),
    (
        "object",
        &[
            ("target", &["describedObject"]),
            ("metricName", &["metric", "name"]),
            ("selector", &["metric", "selector"]),
            ("targetValue", &["target", "value"]),
            ("currentValue", &["current", "value"]),
        ],
    ),
    (
        "external",
        &[
            ("metricName", &["metric", "name"]),
            ("metricSelector", &["metric", "selector"]),
            ("targetValue", &["target", "value"]),
            ("targetAverageValue", &["target", "averageValue"]),
            ("currentValue", &["current", "value"]),
            ("currentAverageValue", &["current", "averageValue"]),
        ],
    ),
];
const AVERAGES: Renamed = &[
    ("targetAverageUtilization", &["target", "averageUtilization"]),
    ("targetAverageValue", &["target", "averageValue"]),
    ("currentAverageUtilization", &["current", "averageUtilization"]),
    ("currentAverageValue", &["current", "averageValue"]),
];

/// A metric, or its status, with the names of v1.
pub(super) fn older(metric: &Value) -> Value {
    let mut result = json!({"type": metric["type"]});
    for (field, names) in NAMES {
        let Some(new) = metric.at(&[field]) else { continue };
        let mut old = json!({});
        for plain in ["name", "container"] {
            if let Some(value) = new.at(&[plain]) {
                old[plain] = value.clone();
            }
        }
        for (name, path) in names {
            if let Some(value) = new.at(path) {
                old[*name] = value.clone();
            }
        }
        if field == "object" {
            let average =
                ["target", "current"].iter().find_map(|it| new.at(&[*it, "averageValue"]));
            if let Some(average) = average {
                old["averageValue"] = average.clone();
            }
        }
        result[field] = old;
    }
    result
}

/// A metric, or its status, with the names of v2: `values` is `target` or `current`.
pub(super) fn newer(metric: &Value, values: &str) -> Value {
    let mut result = json!({"type": metric["type"]});
    for (field, names) in NAMES {
        let Some(old) = metric.at(&[field]) else { continue };
        let mut new = json!({});
        for plain in ["name", "container"] {
            if let Some(value) = old.at(&[plain]) {
                new[plain] = value.clone();
            }
        }
        for (name, path) in names {
            if let Some(value) = old.at(&[*name]) {
                match path {
                    [one] => new[*one] = value.clone(),
                    [one, two] => new.sub(one)[*two] = value.clone(),
                    _ => {}
                }
            }
        }
        if let ("object", Some(average)) = (field, old.at(&["averageValue"])) {
            new.sub(values)["averageValue"] = average.clone();
        }
        if values == "target" {
            let target = new.sub("target");
            let has = |name: &str| target.at(&[name]).is_some();
            let kind = match (has("averageUtilization"), has("averageValue"), has("value")) {
                (true, _, _) => "Utilization",
                (_, true, _) => "AverageValue",
                _ => "Value",
            };
            target["type"] = kind.into();
        } else {
            new.sub("current");
        }
        result[field] = new;
    }
    result
}
