//! LimitRanges: what containers, pods and claims may ask for, and what they get when they do not say.

use std::collections::{BTreeSet, HashSet};

use curtain_schema::FieldError;
use serde_json::{Map, Value};

use super::super::meta::is_qualified_name;
use super::super::{Strategy, ValueExt};
use crate::quantity::Quantity;

pub(super) const LIMIT_RANGE: Strategy = Strategy { default, validate, ..Strategy::PLAIN };

/// Containers that do not say get the most that they may, and request what is their limit, or the least.
fn default(range: &mut Value) {
    for limit in range.sub("spec").items_mut("limits") {
        if limit["type"] != "Container" {
            continue;
        }
        for (from, to) in
            [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")]
        {
            let given: Map<String, Value> =
                limit.at(&[from]).and_then(Value::as_object).cloned().unwrap_or_default();
            for (name, amount) in given {
                limit.sub(to).default_to(&name, amount);
            }
        }
    }
}

fn validate(range: &Value, _: Option<&Value>, errors: &mut Vec<FieldError>) {
    let mut types = HashSet::new();
    for (at, limit) in range.list(&["spec", "limits"]).iter().enumerate() {
        let path = format!("spec.limits[{at}]");
        let kind = limit.text(&["type"]);
        validate_type(kind, &format!("{path}.type"), errors);
        if !types.insert(kind) {
            errors.push(FieldError::duplicate(format!("{path}.type"), kind.into()));
        }
        if kind == "Pod" {
            for field in ["default", "defaultRequest"] {
                if limit.at(&[field]).and_then(Value::as_object).is_some_and(|map| !map.is_empty())
                {
                    let why = "may not be specified when `type` is 'Pod'";
                    errors.push(FieldError::forbidden(format!("{path}.{field}"), why));
                }
            }
        }
        let bounds = |field: &str| limit.at(&[field, "storage"]).is_some();
        if kind == "PersistentVolumeClaim" && !bounds("min") && !bounds("max") {
            let why =
                "either minimum or maximum storage value is required, but neither was provided";
            errors.push(FieldError::required(format!("{path}.limits"), why));
        }
        validate_amounts(limit, &path, errors);
    }
}

fn validate_type(kind: &str, path: &str, errors: &mut Vec<FieldError>) {
    let known = ["Pod", "Container", "PersistentVolumeClaim"].contains(&kind);
    let why = match is_qualified_name(kind) {
        Some(why) => why,
        None if !known && !kind.contains('/') => {
            "must be a standard limit type or fully qualified".into()
        }
        None => return,
    };
    errors.push(FieldError::invalid(path, kind.into(), why));
}

fn validate_amounts(limit: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let fields = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];
    let mut names = BTreeSet::new();
    for field in fields {
        let entries = limit.at(&[field]).and_then(Value::as_object).into_iter().flatten();
        for (name, _) in entries {
            if let Some(why) = is_qualified_name(name) {
                let place = format!("{path}.{field}[{name}]");
                errors.push(FieldError::invalid(place, name.as_str().into(), why));
            }
            names.insert(name);
        }
    }
    for name in names {
        let of = |field: &str| limit.at(&[field, name]).and_then(Quantity::of);
        let [max, min, usual, request, ratio] = fields.map(of);
        // What may not be above what, whose place is told, with whose value.
        for (low, low_name, high, high_name, field) in [
            (min, "min", max, "max", "min"),
            (min, "min", request, "default request", "defaultRequest"),
            (request, "default request", max, "max", "defaultRequest"),
            (request, "default request", usual, "default limit", "defaultRequest"),
            (min, "min", usual, "default", "default"),
            (usual, "default", max, "max", "default"),
        ] {
            if let (Some(low), Some(high)) = (low, high)
                && low > high
            {
                let shown = match (field, low_name) {
                    ("defaultRequest", "min") | ("default", "default") => high,
                    _ => low,
                };
                let why =
                    format!("{low_name} value {low} is greater than {high_name} value {high}");
                let place = format!("{path}.{field}[{name}]");
                errors.push(FieldError::invalid(place, shown.to_string().into(), why));
            }
        }
        let Some(ratio) = ratio else { continue };
        let place = format!("{path}.maxLimitRequestRatio[{name}]");
        if ratio < Quantity::count(1) {
            let why = format!("ratio {ratio} is less than 1");
            errors.push(FieldError::invalid(place.clone(), ratio.to_string().into(), why));
        }
        if let (Some(min), Some(max)) = (min, max) {
            let span = max.ratio(min);
            if ratio.ratio(Quantity::count(1)) > span {
                let why = format!("ratio {ratio} is greater than max/min = {span:.6}");
                errors.push(FieldError::invalid(place, ratio.to_string().into(), why));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bounds_become_what_is_usual() {
        let mut range = json!({"spec": {"limits": [
            {"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "1", "memory": "1Mi"}},
            {"type": "Pod", "max": {"cpu": "2"}}]}});
        default(&mut range);
        let limits = &range["spec"]["limits"];
        assert_eq!(limits[0]["default"], json!({"cpu": "2"}));
        assert_eq!(limits[0]["defaultRequest"], json!({"cpu": "2", "memory": "1Mi"}));
        assert!(limits[1]["default"].is_null());
    }

    #[test]
    fn what_is_wrong_is_named_where_it_is() {
        for (limit, expected) in [
            (
                json!({"type": "Node"}),
                "spec.limits[0].type: Invalid value: \"Node\": must be a standard limit type or fully qualified",
            ),
            (
                json!({"type": "Pod", "default": {"cpu": "1"}}),
                "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
            ),
            (
                json!({"type": "PersistentVolumeClaim", "max": {"cpu": "1"}}),
                "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided",
            ),
            (
                json!({"type": "Container", "min": {"cpu": "2"}, "max": {"cpu": "1"}}),
                "spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1",
            ),
            (
                json!({"type": "Container", "default": {"memory": "1Mi"}, "defaultRequest": {"memory": "2Mi"}}),
                "spec.limits[0].defaultRequest[memory]: Invalid value: \"2Mi\": default request value 2Mi is greater than default limit value 1Mi",
            ),
            (
                json!({"type": "Container", "min": {"cpu": "1"}, "max": {"cpu": "2"}, "maxLimitRequestRatio": {"cpu": "3"}}),
                "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"3\": ratio 3 is greater than max/min = 2.000000",
            ),
        ] {
            let mut errors = Vec::new();
            validate(&json!({"spec": {"limits": [limit]}}), None, &mut errors);
            assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
        }
        let twice = json!({"spec": {"limits": [{"type": "Pod"}, {"type": "Pod"}]}});
        let mut errors = Vec::new();
        validate(&twice, None, &mut errors);
        assert_eq!(errors[0].to_string(), "spec.limits[1].type: Duplicate value: \"Pod\"");
    }
}
