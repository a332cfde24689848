//! What the kinds that make pods from a template have in common.

use curtain_schema::FieldError;
use serde_json::{Value, json};

use super::super::meta::{immutable, validate_labels};
use super::super::{ValueExt, template};

/// One replica, and the defaults of the template.
pub(super) fn default(object: &mut Value) {
    let spec = object.sub("spec");
    spec.default_to("replicas", 1);
    if spec.at(&["template", "spec"]).is_some() {
        template::default_spec(&mut spec["template"]["spec"]);
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

/// Replicas, selector and template.
pub(super) fn validate(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
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
