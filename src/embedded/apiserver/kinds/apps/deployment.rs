//! Deployments.

use curtain_schema::FieldError;
use serde_json::Value;

use super::super::columns::{Printer, container_columns, count, name, old, selector};
use super::super::{Strategy, ValueExt};
use super::workload;

pub(super) const DEPLOYMENT: Strategy = Strategy { default, validate, ..Strategy::PLAIN };

fn default(object: &mut Value) {
    workload::default(object);
    let spec = &mut object["spec"];
    spec.default_to("revisionHistoryLimit", 10);
    spec.default_to("progressDeadlineSeconds", 600);
    let strategy = spec.sub("strategy");
    strategy.default_to("type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let rolling = strategy.sub("rollingUpdate");
        rolling.default_to("maxUnavailable", "25%");
        rolling.default_to("maxSurge", "25%");
    }
}

fn validate(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    workload::validate(object, old, errors);
    let strategy = object.at(&["spec", "strategy"]).cloned().unwrap_or_default();
    match strategy.text(&["type"]) {
        "Recreate" if strategy.at(&["rollingUpdate"]).is_some() => {
            errors.push(FieldError::forbidden(
                "spec.strategy.rollingUpdate",
                "may not be specified when strategy `type` is 'Recreate'",
            ))
        }
        "Recreate" => {}
        "RollingUpdate" => {
            let zero = |field: &str| match strategy.at(&["rollingUpdate", field]) {
                Some(Value::String(text)) => text == "0%",
                Some(value) => value == 0,
                None => false,
            };
            if zero("maxUnavailable") && zero("maxSurge") {
                errors.push(FieldError::invalid(
                    "spec.strategy.rollingUpdate.maxUnavailable",
                    0.into(),
                    "may not be 0 when `maxSurge` is 0",
                ));
            }
        }
        other => errors.push(FieldError::not_supported(
            "spec.strategy.type",
            other.into(),
            &["Recreate", "RollingUpdate"],
        )),
    }
}

pub(super) const COLUMNS: Printer = Printer(
    &[
        ("Name", "string", 0),
        ("Ready", "string", 0),
        ("Up-to-date", "string", 0),
        ("Available", "string", 0),
        ("Age", "string", 0),
        ("Containers", "string", 1),
        ("Images", "string", 1),
        ("Selector", "string", 1),
    ],
    |o, now| {
        let status = |field: &str| count(o, &["status", field]);
        let ready = format!("{}/{}", status("readyReplicas"), count(o, &["spec", "replicas"]));
        let [containers, images] = container_columns(&o["spec"]["template"]["spec"]);
        let selector = selector(o.at(&["spec", "selector"]));
        let (updated, available) = (status("updatedReplicas"), status("availableReplicas"));
        vec![
            name(o),
            ready.into(),
            updated.into(),
            available.into(),
            old(o, now),
            containers,
            images,
            selector,
        ]
    },
);
