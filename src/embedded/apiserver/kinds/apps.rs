//! Deployments and ReplicaSets.

use curtain_schema::FieldError;
use serde_json::{Value, json};

use super::meta::{immutable, validate_labels};
use super::{Strategy, ValueExt, template};

pub(super) const DEPLOYMENT: Strategy =
    Strategy { default: default_deployment, validate: validate_deployment, ..Strategy::PLAIN };

pub(super) const REPLICA_SET: Strategy =
    Strategy { default: default_replica_set, validate: validate_workload, ..Strategy::PLAIN };

fn default_replica_set(object: &mut Value) {
    let spec = object.sub("spec");
    spec.default_to("replicas", 1);
    if spec.at(&["template", "spec"]).is_some() {
        template::default_spec(&mut spec["template"]["spec"]);
    }
}

fn default_deployment(object: &mut Value) {
    default_replica_set(object);
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

/// Does a label selector (`matchLabels`, `matchExpressions`) match these labels?
fn selects(selector: &Value, labels: &Value) -> bool {
    let equal = selector.at(&["matchLabels"]).and_then(Value::as_object).into_iter().flatten();
    equal.into_iter().all(|(name, value)| labels.get(name) == Some(value))
        && selector.list(&["matchExpressions"]).iter().all(|expression| {
            let label = labels.get(expression.text(&["key"]));
            let listed = label.is_some_and(|l| expression.list(&["values"]).contains(l));
            match expression.text(&["operator"]) {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => label.is_some(),
                "DoesNotExist" => label.is_none(),
                _ => false,
            }
        })
}

fn validate_workload(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    if object.int(&["spec", "replicas"]).is_some_and(|n| n < 0) {
        let why = "must be greater than or equal to 0";
        errors.push(FieldError::invalid("spec.replicas", object["spec"]["replicas"].clone(), why));
    }
    let selector = object.at(&["spec", "selector"]);
    let labels = object
        .at(&["spec", "template", "metadata", "labels"])
        .cloned()
        .unwrap_or_else(|| json!({}));
    match selector {
        None => errors.push(FieldError::required("spec.selector", "")),
        Some(selector) if selector.as_object().is_some_and(serde_json::Map::is_empty) => errors
            .push(FieldError::invalid(
                "spec.selector",
                json!({}),
                "empty selector is invalid for deployment",
            )),
        Some(selector) if !selects(selector, &labels) => errors.push(FieldError::invalid(
            "spec.template.metadata.labels",
            labels.clone(),
            "`selector` does not match template `labels`",
        )),
        Some(_) => {}
    }
    validate_labels(Some(&labels), "spec.template.metadata.labels", errors);
    match object.at(&["spec", "template", "spec"]) {
        None => errors.push(FieldError::required("spec.template.spec.containers", "")),
        Some(spec) => {
            template::validate_spec(spec, "spec.template.spec", errors);
            let policy = spec.text(&["restartPolicy"]);
            if matches!(policy, "OnFailure" | "Never") {
                let path = "spec.template.spec.restartPolicy";
                errors.push(FieldError::not_supported(path, policy.into(), &["Always"]));
            }
        }
    }
    if let Some(old) = old
        && old.at(&["spec", "selector"]) != selector
    {
        errors.push(immutable("spec.selector", selector));
    }
}

fn validate_deployment(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    validate_workload(object, old, errors);
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
