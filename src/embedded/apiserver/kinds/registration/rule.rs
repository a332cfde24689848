//! Which writes a hook is about.

use curtain_schema::FieldError;
use serde_json::Value;

use super::super::ValueExt;

/// What is wrong with a rule.
pub(super) fn validate(rule: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let supported = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
    for (field, others) in
        [("operations", "operations"), ("apiGroups", "API groups"), ("apiVersions", "API versions")]
    {
        let (at, list) = (format!("{path}.{field}"), rule.list(&[field]));
        if list.is_empty() {
            errors.push(FieldError::required(&at, ""));
        }
        if list.len() > 1 && list.iter().any(|item| item == "*") {
            let why = format!("if '*' is present, must not specify other {others}");
            errors.push(FieldError::invalid(&at, list.into(), why));
        }
        for (index, item) in list.iter().enumerate() {
            let at = format!("{at}[{index}]");
            if field == "operations" && !item.as_str().is_some_and(|o| supported.contains(&o)) {
                errors.push(FieldError::not_supported(at, item.clone(), &supported));
            } else if field == "apiVersions" && item == "" {
                errors.push(FieldError::required(at, ""));
            }
        }
    }
    resources(rule.list(&["resources"]), &format!("{path}.resources"), errors);
    let scopes = ["*", "Cluster", "Namespaced"];
    if let Some(scope) = rule.at(&["scope"])
        && !scope.as_str().is_some_and(|scope| scopes.contains(&scope))
    {
        let at = format!("{path}.scope");
        errors.push(FieldError::not_supported(at, scope.clone(), &scopes));
    }
}

fn resources(list: &[Value], path: &str, errors: &mut Vec<FieldError>) {
    if list.is_empty() {
        errors.push(FieldError::required(path, ""));
    }
    let has = |name: &str| list.iter().any(|item| item == name);
    for (index, item) in list.iter().enumerate() {
        if item == "" {
            errors.push(FieldError::required(format!("{path}[{index}]"), ""));
        }
    }
    let mut wrong = |why: &str| errors.push(FieldError::invalid(path, list.into(), why));
    if has("*/*") && list.len() > 1 {
        wrong("if '*/*' is present, must not specify other resources");
    }
    let plain = |item: &&Value| item.as_str().is_some_and(|item| !item.contains('/'));
    if has("*") && list.iter().filter(plain).count() > 1 {
        wrong("if '*' is present, must not specify other resources without subresources");
    }
}
