//! `spec.behavior`: how fast an autoscaler may go up and down.

use curtain_schema::FieldError;
use serde_json::{Value, json};

use super::super::ValueExt;
use crate::quantity::Quantity;

/// The longest time that recommendations are remembered for, and the longest period of a policy.
const LONGEST_WINDOW: i64 = 3600;
const LONGEST_PERIOD: i64 = 1800;

/// Rules that are there are completed in both directions; how long going down waits is left to the controller.
pub(super) fn default(spec: &mut Value) {
    if spec.at(&["behavior"]).is_none() {
        return;
    }
    let behavior = spec.sub("behavior");
    let doubled = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
    let four = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
    for (direction, policies) in
        [("scaleUp", json!([four, doubled])), ("scaleDown", json!([doubled]))]
    {
        let rules = behavior.sub(direction);
        rules.default_to("selectPolicy", "Max");
        rules.default_to("policies", policies);
        if direction == "scaleUp" {
            rules.default_to("stabilizationWindowSeconds", 0);
        }
    }
}

pub(super) fn validate(spec: &Value, errors: &mut Vec<FieldError>) {
    for direction in ["scaleUp", "scaleDown"] {
        if let Some(found) = spec.at(&["behavior", direction]) {
            rules(found, &format!("spec.behavior.{direction}"), errors);
        }
    }
}

fn rules(rules: &Value, at: &str, errors: &mut Vec<FieldError>) {
    let path = |field: &str| format!("{at}.{field}");
    let window = rules.int(&["stabilizationWindowSeconds"]);
    let why = match window {
        Some(..0) => Some("must be greater than or equal to zero".to_owned()),
        Some(window) if window > LONGEST_WINDOW => {
            Some(format!("must be less than or equal to {LONGEST_WINDOW}"))
        }
        _ => None,
    };
    if let (Some(window), Some(why)) = (window, why) {
        errors.push(FieldError::invalid(path("stabilizationWindowSeconds"), window.into(), why));
    }
    let known = ["Disabled", "Max", "Min"];
    if let Some(policy) = rules.at(&["selectPolicy"])
        && !known.iter().any(|name| policy == name)
    {
        errors.push(FieldError::not_supported(path("selectPolicy"), policy.clone(), &known));
    }
    let policies = rules.list(&["policies"]);
    if policies.is_empty() {
        errors.push(FieldError::required(path("policies"), "must specify at least one Policy"));
    }
    for (index, one) in policies.iter().enumerate() {
        policy(one, &format!("{at}.policies[{index}]"), errors);
    }
    let tolerance = rules.at(&["tolerance"]);
    if let Some(tolerance) = tolerance
        && Quantity::of(tolerance).is_some_and(Quantity::is_negative)
    {
        let why = "must be greater or equal to zero";
        errors.push(FieldError::invalid(path("tolerance"), tolerance.clone(), why));
    }
}

fn policy(policy: &Value, at: &str, errors: &mut Vec<FieldError>) {
    let known = ["Percent", "Pods"];
    if !known.contains(&policy.text(&["type"])) {
        let kind = policy.text(&["type"]).into();
        errors.push(FieldError::not_supported(format!("{at}.type"), kind, &known));
    }
    for field in ["value", "periodSeconds"] {
        let number = policy.int(&[field]).unwrap_or(0);
        let why = match number {
            ..=0 => "must be greater than zero".to_owned(),
            _ if field == "periodSeconds" && number > LONGEST_PERIOD => {
                format!("must be less than or equal to {LONGEST_PERIOD}")
            }
            _ => continue,
        };
        errors.push(FieldError::invalid(format!("{at}.{field}"), number.into(), why));
    }
}
