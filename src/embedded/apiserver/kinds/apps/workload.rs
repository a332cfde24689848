//! What the kinds that make pods from a template have in common.

use curtain_schema::FieldError;
use serde_json::{Value, json};

use super::super::meta::{immutable, validate_labels};
use super::super::{ValueExt, check, template};

/// One replica, and the defaults of the template.
pub(super) fn default(object: &mut Value) {
    object.sub("spec").default_to("replicas", 1);
    default_template(object);
}

/// The defaults of the template.
pub(super) fn default_template(object: &mut Value) {
    let spec = object.sub("spec");
    if spec.at(&["template", "spec"]).is_some() {
        template::default_spec(&mut spec["template"]["spec"]);
    }
}

/// Replicas, selector and template of Deployments and ReplicaSets.
pub(super) fn validate(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    check::non_negative(&object["spec"], "spec", "replicas", errors);
    if object.at(&["spec", "selector"]).is_none() {
        errors.push(FieldError::required("spec.selector", ""));
    } else {
        validate_selector(object, "deployment", errors);
    }
    validate_template(object, errors);
    validate_always(object, "ReplicaSet", errors);
    validate_same_selector(object, old, errors);
}

/// The selector: well-formed, not empty, and true of the template. `kind` is how messages name the kind.
pub(super) fn validate_selector(object: &Value, kind: &str, errors: &mut Vec<FieldError>) {
    if let Some(selector) = object.at(&["spec", "selector"]) {
        check::selector(selector, "spec.selector", errors);
        if check::is_empty(selector) {
            let why = format!("empty selector is invalid for {kind}");
            errors.push(FieldError::invalid("spec.selector", selector.clone(), why));
            return;
        }
    }
    check::selects_template(&object["spec"], "spec", errors);
}

/// The template's labels and pods.
pub(super) fn validate_template(object: &Value, errors: &mut Vec<FieldError>) {
    let labels = object.at(&["spec", "template", "metadata", "labels"]);
    validate_labels(labels, "spec.template.metadata.labels", errors);
    match object.at(&["spec", "template", "spec"]) {
        None => errors.push(FieldError::required("spec.template.spec.containers", "")),
        Some(spec) => template::validate_template(spec, "spec.template.spec", errors),
    }
}

/// Pods that end are started again, for ever. `kind` is how messages name the kind.
pub(super) fn validate_always(object: &Value, kind: &str, errors: &mut Vec<FieldError>) {
    let Some(spec) = object.at(&["spec", "template", "spec"]) else { return };
    let policy = spec.text(&["restartPolicy"]);
    if !matches!(policy, "" | "Always") {
        let path = "spec.template.spec.restartPolicy";
        errors.push(FieldError::not_supported(path, policy.into(), &["Always"]));
    }
    if spec.at(&["activeDeadlineSeconds"]).is_some() {
        let why = format!("activeDeadlineSeconds in {kind} is not Supported");
        errors.push(FieldError::forbidden("spec.template.spec.activeDeadlineSeconds", why));
    }
}

/// An update may not change whom the object selects.
pub(super) fn validate_same_selector(
    object: &Value,
    old: Option<&Value>,
    errors: &mut Vec<FieldError>,
) {
    let selector = object.at(&["spec", "selector"]);
    if old.is_some_and(|old| old.at(&["spec", "selector"]) != selector) {
        errors.push(immutable("spec.selector", selector));
    }
}

/// Sets numbers that the kind's status always has.
pub(super) fn begin(object: &mut Value, numbers: &[&str]) {
    object["status"] = json!({});
    for number in numbers {
        object["status"][*number] = 0.into();
    }
}
