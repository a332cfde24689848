//! When a Job has failed or succeeded before all its pods have: `podFailurePolicy` and `successPolicy`.

use std::collections::HashSet;

use curtain_schema::FieldError;
use serde_json::Value;

use super::super::ValueExt;
use super::super::meta::is_qualified_name;

const MAX_RULES: usize = 20;
const MAX_CODES: usize = 255;
const MAX_INDEXES: usize = 64 << 10;

fn too_many(list: &[Value], max: usize, path: &str, errors: &mut Vec<FieldError>) {
    if list.len() > max {
        errors.push(FieldError::too_many(path, list.len() as u64, max as u64));
    }
}

/// A choice that real servers ask for with a list in Go's form.
fn choice(object: &Value, field: &str, known: &[&str], at: &str, errors: &mut Vec<FieldError>) {
    let path = format!("{at}.{field}");
    match object.text(&[field]) {
        "" => {
            let quoted = known.iter().map(|k| format!("{k:?}")).collect::<Vec<_>>().join(" ");
            errors.push(FieldError::required(path, format!("valid values: [{quoted}]")));
        }
        value if known.contains(&value) => {}
        other => errors.push(FieldError::not_supported(path, other.into(), known)),
    }
}

/// `podFailurePolicy` of a Job with this specification.
pub(super) fn failure(policy: &Value, spec: &Value, at: &str, errors: &mut Vec<FieldError>) {
    let rules = policy.list(&["rules"]);
    too_many(rules, MAX_RULES, &format!("{at}.rules"), errors);
    for (index, rule) in rules.iter().enumerate() {
        let path = format!("{at}.rules[{index}]");
        if rule["action"] == "FailIndex" && spec.at(&["backoffLimitPerIndex"]).is_none() {
            let why = "requires the backoffLimitPerIndex to be set";
            errors.push(FieldError::invalid(format!("{path}.action"), "FailIndex".into(), why));
        }
        choice(rule, "action", &["Count", "FailIndex", "FailJob", "Ignore"], &path, errors);
        let codes = rule.at(&["onExitCodes"]);
        let conditions = rule.list(&["onPodConditions"]);
        if let Some(codes) = codes {
            exit_codes(codes, spec, &format!("{path}.onExitCodes"), errors);
        }
        pod_conditions(conditions, &format!("{path}.onPodConditions"), errors);
        let why = match (codes.is_some(), !conditions.is_empty()) {
            (true, true) => "specifying both OnExitCodes and OnPodConditions is not supported",
            (false, false) => "specifying one of OnExitCodes and OnPodConditions is required",
            _ => continue,
        };
        let error = FieldError::invalid(path, Value::Null, why);
        errors.push(FieldError { value: None, ..error });
    }
}

fn exit_codes(codes: &Value, spec: &Value, at: &str, errors: &mut Vec<FieldError>) {
    choice(codes, "operator", &["In", "NotIn"], at, errors);
    if let Some(name) = codes.at(&["containerName"]) {
        let pod = &spec["template"]["spec"];
        let containers = pod.list(&["containers"]).iter().chain(pod.list(&["initContainers"]));
        if !containers.into_iter().any(|container| container["name"] == *name) {
            let why = "must be one of the container or initContainer names in the pod template";
            errors.push(FieldError::invalid(format!("{at}.containerName"), name.clone(), why));
        }
    }
    let (values, path) = (codes.list(&["values"]), format!("{at}.values"));
    if values.is_empty() {
        let value = codes["values"].clone();
        errors.push(FieldError::invalid(path.as_str(), value, "at least one value is required"));
    }
    too_many(values, MAX_CODES, &path, errors);
    let mut seen = HashSet::new();
    for (index, code) in values.iter().enumerate() {
        if *code == 0 && codes["operator"] == "In" {
            let why = "must not be 0 for the In operator";
            errors.push(FieldError::invalid(format!("{path}[{index}]"), code.clone(), why));
        }
        if !seen.insert(code.as_i64()) {
            errors.push(FieldError::duplicate(format!("{path}[{index}]"), code.clone()));
        }
    }
    if !values.is_sorted_by_key(|code| code.as_i64()) {
        errors.push(FieldError::invalid(path, codes["values"].clone(), "must be ordered"));
    }
}

fn pod_conditions(conditions: &[Value], at: &str, errors: &mut Vec<FieldError>) {
    too_many(conditions, MAX_RULES, at, errors);
    for (index, condition) in conditions.iter().enumerate() {
        let path = format!("{at}[{index}]");
        let kind = condition.text(&["type"]);
        if let Some(why) = is_qualified_name(kind) {
            errors.push(FieldError::invalid(format!("{path}.type"), kind.into(), why));
        }
        choice(condition, "status", &["False", "True", "Unknown"], &path, errors);
    }
}

/// `successPolicy` of an indexed Job with so many completions.
pub(super) fn success(policy: &Value, completions: i64, at: &str, errors: &mut Vec<FieldError>) {
    let (rules, path) = (policy.list(&["rules"]), format!("{at}.rules"));
    if rules.is_empty() {
        let why = "at least one rules must be specified when the successPolicy is specified";
        errors.push(FieldError::required(path.as_str(), why));
    }
    too_many(rules, MAX_RULES, &path, errors);
    for (index, rule) in rules.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let (count, indexes) = (rule.int(&["succeededCount"]), rule.at(&["succeededIndexes"]));
        if count.is_none() && indexes.is_none() {
            let why = "at least one of succeededCount or succeededIndexes must be specified";
            errors.push(FieldError::required(path.as_str(), why));
        }
        let mut bound = (completions, "the number of specified completions");
        if let Some(text) = indexes.and_then(Value::as_str) {
            let place = format!("{path}.succeededIndexes");
            if text.len() > MAX_INDEXES {
                errors.push(FieldError::too_long(place.as_str(), MAX_INDEXES as u64));
            }
            match total(text, completions) {
                Ok(total) if total < completions => {
                    let what = "the number of indexes in the specified succeededIndexes field";
                    bound = (total, what);
                }
                Ok(_) => {}
                Err(why) => {
                    let why = format!("error parsing succeededIndexes: {why}");
                    errors.push(FieldError::invalid(place, text.into(), why));
                }
            }
        }
        let Some(count) = count else { continue };
        let place = format!("{path}.succeededCount");
        if count < 0 {
            let why = "must be greater than or equal to 0";
            errors.push(FieldError::invalid(place, count.into(), why));
        } else if count > bound.0 {
            let why = format!("must be less than or equal to {} ({})", bound.0, bound.1);
            errors.push(FieldError::invalid(place, count.into(), why));
        }
    }
}

/// How many indexes `1,3-5` names; they must be ordered and below `completions`.
fn total(text: &str, completions: i64) -> Result<i64, String> {
    let index = |text: &str| {
        let index: i64 = text
            .parse()
            .map_err(|_| format!("cannot convert string to integer for index: {text:?}"))?;
        if index >= completions {
            return Err(format!("too large index: {text:?}"));
        }
        Ok(index)
    };
    let ordered = |last: i64, next: i64| match last < next {
        true => Ok(()),
        false => Err(format!("non-increasing order, previous: {last}, current: {next}")),
    };
    let (mut total, mut last) = (0, -1);
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let ends: Vec<&str> = part.split('-').collect();
        let [first, rest @ ..] = &ends[..] else { continue };
        let first = index(first)?;
        ordered(last, first)?;
        last = match rest {
            [] => first,
            [end] => {
                let end = index(end)?;
                ordered(first, end)?;
                end
            }
            _ => {
                return Err(format!(
                    "the fragment {part:?} violates the requirement that an index interval can have at most two parts separated by '-'"
                ));
            }
        };
        total += last - first + 1;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn failure_rules_say_what_they_are_about() {
        let spec = json!({"template": {"spec": {"containers": [{"name": "main"}]}}});
        let codes = |operator: &str, values: Value| json!({"action": "Ignore", "onExitCodes": {"operator": operator, "values": values}});
        for (rule, expected) in [
            (codes("In", json!([1, 42])), vec![]),
            (
                json!({"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}),
                vec![],
            ),
            (codes("In", json!([0])), vec!["p.rules[0].onExitCodes.values[0]"]),
            (codes("NotIn", json!([2, 1])), vec!["p.rules[0].onExitCodes.values"]),
            (codes("In", json!([1, 1])), vec!["p.rules[0].onExitCodes.values[1]"]),
            (codes("", json!([1])), vec!["p.rules[0].onExitCodes.operator"]),
            (json!({"action": "Ignore"}), vec!["p.rules[0]"]),
            (
                json!({"action": "FailIndex", "onExitCodes": {"containerName": "other", "operator": "In", "values": [1]}}),
                vec!["p.rules[0].action", "p.rules[0].onExitCodes.containerName"],
            ),
        ] {
            let mut errors = Vec::new();
            failure(&json!({"rules": [rule]}), &spec, "p", &mut errors);
            assert_eq!(errors.iter().map(|e| e.path.as_str()).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn success_rules_stay_within_the_completions() {
        for (rule, expected) in [
            (json!({"succeededIndexes": "0,2-3"}), vec![]),
            (json!({"succeededIndexes": "0,2-3", "succeededCount": 3}), vec![]),
            (
                json!({"succeededIndexes": "0,2-3", "succeededCount": 4}),
                vec!["p.rules[0].succeededCount"],
            ),
            (json!({"succeededCount": 6}), vec!["p.rules[0].succeededCount"]),
            (json!({"succeededIndexes": "3-5"}), vec!["p.rules[0].succeededIndexes"]),
            (json!({"succeededIndexes": "2,1"}), vec!["p.rules[0].succeededIndexes"]),
            (json!({"succeededIndexes": "x"}), vec!["p.rules[0].succeededIndexes"]),
            (json!({}), vec!["p.rules[0]"]),
        ] {
            let mut errors = Vec::new();
            success(&json!({"rules": [rule]}), 5, "p", &mut errors);
            assert_eq!(errors.iter().map(|e| e.path.as_str()).collect::<Vec<_>>(), expected);
        }
    }
}
