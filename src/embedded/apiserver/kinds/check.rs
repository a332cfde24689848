//! Checks of single fields that many kinds share, in the words of real servers.

use curtain_schema::FieldError;
use serde_json::{Value, json};

use super::ValueExt;
use super::meta::{is_label_value, is_qualified_name, validate_labels};

/// A number that may not be below zero, if it is there.
pub(super) fn non_negative(object: &Value, at: &str, field: &str, errors: &mut Vec<FieldError>) {
    if object.int(&[field]).is_some_and(|n| n < 0) {
        let why = "must be greater than or equal to 0";
        errors.push(FieldError::invalid(format!("{at}.{field}"), object[field].clone(), why));
    }
}

/// A number that may not be below zero, or a percentage.
pub(super) fn int_or_percent(object: &Value, at: &str, field: &str, errors: &mut Vec<FieldError>) {
    match object.at(&[field]) {
        Some(Value::String(text)) if percent(text).is_none() => errors.push(FieldError::invalid(
            format!("{at}.{field}"),
            text.as_str().into(),
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
        )),
        _ => non_negative(object, at, field, errors),
    }
}

/// As [`int_or_percent`], and a percentage is of a whole.
pub(super) fn int_or_share(object: &Value, at: &str, field: &str, errors: &mut Vec<FieldError>) {
    int_or_percent(object, at, field, errors);
    if percent(object.text(&[field])).is_some_and(|share| share > 100) {
        let why = "must not be greater than 100%";
        errors.push(FieldError::invalid(format!("{at}.{field}"), object[field].clone(), why));
    }
}

/// The number of a percentage, or the number itself; 0 when there is none.
pub(super) fn amount(object: &Value, field: &str) -> i64 {
    object.int(&[field]).or(percent(object.text(&[field]))).unwrap_or(0)
}

fn percent(text: &str) -> Option<i64> {
    let digits = text.strip_suffix('%').filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse().ok()
}

/// A label selector: keys, operators and values.
pub(super) fn selector(selector: &Value, at: &str, errors: &mut Vec<FieldError>) {
    validate_labels(selector.at(&["matchLabels"]), &format!("{at}.matchLabels"), errors);
    for (index, expression) in selector.list(&["matchExpressions"]).iter().enumerate() {
        let path = |field: &str| format!("{at}.matchExpressions[{index}].{field}");
        let values = expression.list(&["values"]);
        match expression.text(&["operator"]) {
            "In" | "NotIn" if values.is_empty() => errors.push(FieldError::required(
                path("values"),
                "must be specified when `operator` is 'In' or 'NotIn'",
            )),
            "In" | "NotIn" => {}
            "Exists" | "DoesNotExist" if !values.is_empty() => errors.push(FieldError::forbidden(
                path("values"),
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            )),
            "Exists" | "DoesNotExist" => {}
            other => errors.push(FieldError::invalid(
                path("operator"),
                other.into(),
                "not a valid selector operator",
            )),
        }
        let key = expression.text(&["key"]);
        if let Some(why) = is_qualified_name(key) {
            errors.push(FieldError::invalid(path("key"), key.into(), why));
        }
        for (number, value) in values.iter().enumerate() {
            if let Some(why) = is_label_value(value.as_str().unwrap_or_default()) {
                let place = format!("{}[{number}]", path("values"));
                errors.push(FieldError::invalid(place, value.clone(), why));
            }
        }
    }
}

/// Does a label selector (`matchLabels`, `matchExpressions`) match these labels?
pub(in crate::apiserver) fn selects(selector: &Value, labels: &Value) -> bool {
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

/// Selects everything: neither labels nor expressions.
pub(in crate::apiserver) fn is_empty(selector: &Value) -> bool {
    selector.list(&["matchExpressions"]).is_empty()
        && selector
            .at(&["matchLabels"])
            .and_then(Value::as_object)
            .is_none_or(serde_json::Map::is_empty)
}

/// The selector must match the labels of the template beside it.
pub(super) fn selects_template(spec: &Value, at: &str, errors: &mut Vec<FieldError>) {
    let labels = spec.at(&["template", "metadata", "labels"]).cloned().unwrap_or_else(|| json!({}));
    if !spec.at(&["selector"]).is_some_and(|selector| selects(selector, &labels)) {
        let why = "`selector` does not match template `labels`";
        errors.push(FieldError::invalid(format!("{at}.template.metadata.labels"), labels, why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Check = fn(&Value, &str, &str, &mut Vec<FieldError>);

    #[test]
    fn numbers_and_percentages() {
        for (check, value, fine) in [
            (int_or_percent as Check, json!(0), true),
            (int_or_percent, json!(-1), false),
            (int_or_percent, json!("150%"), true),
            (int_or_percent, json!("5"), false),
            (int_or_percent, json!("%"), false),
            (int_or_share, json!(200), true),
            (int_or_share, json!("100%"), true),
            (int_or_share, json!("101%"), false),
            (non_negative, json!(-1), false),
        ] {
            let mut errors = Vec::new();
            check(&json!({"n": value}), "spec", "n", &mut errors);
            assert_eq!(errors.is_empty(), fine, "{value}: {errors:?}");
        }
        assert_eq!(amount(&json!({"n": "25%"}), "n"), 25);
        assert_eq!(amount(&json!({}), "n"), 0);
    }

    #[test]
    fn selectors_are_checked_in_all_their_parts() {
        let expression = |operator: &str, values: Value| json!({"matchExpressions": [{"key": "a", "operator": operator, "values": values}]});
        for (value, place) in [
            (json!({"matchLabels": {"-": "x"}}), "s.matchLabels"),
            (expression("In", json!([])), "s.matchExpressions[0].values"),
            (expression("Exists", json!(["x"])), "s.matchExpressions[0].values"),
            (expression("Like", json!(["x"])), "s.matchExpressions[0].operator"),
            (expression("In", json!(["x", "-"])), "s.matchExpressions[0].values[1]"),
        ] {
            let mut errors = Vec::new();
            selector(&value, "s", &mut errors);
            assert_eq!(errors.iter().map(|e| e.path.as_str()).collect::<Vec<_>>(), [place]);
        }
        let not_a = expression("NotIn", json!(["x"]));
        assert!(selects(&not_a, &json!({"a": "y"})) && selects(&not_a, &json!({})));
        assert!(!selects(&not_a, &json!({"a": "x"})));
        assert!(is_empty(&json!({"matchLabels": {}})) && !is_empty(&not_a));
    }
}
