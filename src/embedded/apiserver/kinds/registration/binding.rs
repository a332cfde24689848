//! ValidatingAdmissionPolicyBindings.

use curtain_schema::FieldError;
use serde_json::Value;

use super::super::columns::{self, Printer, name, old};
use super::super::meta::{is_dns_subdomain, is_path_segment};
use super::super::template::one_of;
use super::super::{Strategy, ValueExt, check};
use super::{grant, matches};

pub(super) const BINDING: Strategy = Strategy {
    default,
    validate,
    settle: Some(grant::settle_binding),
    unconditional_update: false,
    ..Strategy::PLAIN
};

pub(super) const COLUMNS: Printer = Printer(
    &[
        ("Name", "string", 0),
        ("PolicyName", "string", 0),
        ("ParamRef", "string", 0),
        ("Age", "string", 0),
    ],
    |o, now| vec![name(o), o["spec"]["policyName"].clone(), param(o), old(o, now)],
);

fn param(binding: &Value) -> Value {
    let Some(reference) = binding.at(&["spec", "paramRef"]) else { return "<unset>".into() };
    match (reference.text(&["namespace"]), reference.text(&["name"])) {
        (_, "") => columns::selector(reference.at(&["selector"])),
        ("", name) => format!("*/{name}").into(),
        (namespace, name) => format!("{namespace}/{name}").into(),
    }
}

fn default(binding: &mut Value) {
    let spec = binding.sub("spec");
    if spec.at(&["matchResources"]).is_some() {
        matches::default(&mut spec["matchResources"]);
    }
}

pub(super) fn validate(binding: &Value, _: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = &binding["spec"];
    let policy = spec.text(&["policyName"]);
    if policy.is_empty() {
        errors.push(FieldError::required("spec.policyName", ""));
    } else if let Some(why) = is_dns_subdomain(policy) {
        errors.push(FieldError::invalid("spec.policyName", policy.into(), why));
    }
    if let Some(reference) = spec.at(&["paramRef"]) {
        param_ref(reference, errors);
    }
    if let Some(resources) = spec.at(&["matchResources"]) {
        // Real servers spell it so.
        matches::validate(resources, "spec.matchResouces", errors);
    }
    actions(spec.list(&["validationActions"]), errors);
}

fn param_ref(reference: &Value, errors: &mut Vec<FieldError>) {
    let at = |field: &str| format!("spec.paramRef.{field}");
    let (name, selector) = (reference.text(&["name"]), reference.at(&["selector"]));
    if let Some(why) = is_path_segment(name) {
        errors.push(FieldError::invalid(at("name"), name.into(), why));
    }
    if let Some(selector) = selector {
        check::selector(selector, &at("selector"), errors);
    }
    match (name.is_empty(), selector.is_some()) {
        (false, true) => {
            let why = "name and selector are mutually exclusive";
            errors.push(FieldError::forbidden(at("name"), why));
            errors.push(FieldError::forbidden(at("selector"), why));
        }
        (true, false) => {
            let why = "one of name or selector must be specified";
            errors.push(FieldError::required("spec.paramRef", why));
        }
        _ => {}
    }
    let field = "parameterNotFoundAction";
    match reference.text(&[field]) {
        "" => errors.push(FieldError::required(at(field), "")),
        _ => one_of(reference, field, &["Deny", "Allow"], &at(field), errors),
    }
}

fn actions(actions: &[Value], errors: &mut Vec<FieldError>) {
    const PATH: &str = "spec.validationActions";
    let supported = ["Audit", "Deny", "Warn"];
    for (index, action) in actions.iter().enumerate() {
        let at = format!("{PATH}[{index}]");
        if !action.as_str().is_some_and(|action| supported.contains(&action)) {
            errors.push(FieldError::not_supported(&at, action.clone(), &supported));
        }
        if actions[..index].contains(action) {
            errors.push(FieldError::duplicate(at, action.clone()));
        }
    }
    let has = |name: &str| actions.iter().any(|action| action == name);
    if has("Deny") && has("Warn") {
        let why = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)";
        errors.push(FieldError::invalid(PATH, actions.into(), why));
    }
    if actions.is_empty() {
        errors.push(FieldError::required(PATH, "at least one validation action is required"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn errors(change: Value) -> Vec<String> {
        let mut spec = json!({"policyName": "p", "validationActions": ["Deny"]});
        curtain_json::merge_patch(&mut spec, &change);
        let mut binding = json!({"metadata": {"name": "b"}, "spec": spec});
        default(&mut binding);
        let mut errors = Vec::new();
        validate(&binding, None, &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_binding_is_checked_in_all_its_parts() {
        let reference = |change: Value| {
            let mut reference = json!({"name": "n", "parameterNotFoundAction": "Deny"});
            curtain_json::merge_patch(&mut reference, &change);
            json!({"paramRef": reference})
        };
        assert_eq!(errors(reference(json!({}))), Vec::<String>::new());
        let both = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)";
        let exclusive = "name and selector are mutually exclusive";
        for (change, expected) in [
            (json!({"policyName": null}), vec!["policyName: Required value".to_owned()]),
            (
                json!({"validationActions": []}),
                vec!["validationActions: Required value: at least one validation action is required".into()],
            ),
            (
                json!({"validationActions": ["Deny", "Warn"]}),
                vec![format!("validationActions: Invalid value: [\"Deny\",\"Warn\"]: {both}")],
            ),
            (
                json!({"validationActions": ["Tell", "Audit", "Audit"]}),
                vec![
                    "validationActions[0]: Unsupported value: \"Tell\": supported values: \"Audit\", \"Deny\", \"Warn\"".into(),
                    "validationActions[2]: Duplicate value: \"Audit\"".into(),
                ],
            ),
            (
                reference(json!({"name": null})),
                vec!["paramRef: Required value: one of name or selector must be specified".into()],
            ),
            (
                reference(json!({"selector": {}})),
                vec![
                    format!("paramRef.name: Forbidden: {exclusive}"),
                    format!("paramRef.selector: Forbidden: {exclusive}"),
                ],
            ),
            (
                reference(json!({"parameterNotFoundAction": null})),
                vec!["paramRef.parameterNotFoundAction: Required value".into()],
            ),
            (
                reference(json!({"parameterNotFoundAction": "Shrug"})),
                vec!["paramRef.parameterNotFoundAction: Unsupported value: \"Shrug\": supported values: \"Deny\", \"Allow\"".into()],
            ),
            (
                json!({"matchResources": {"matchPolicy": "Most"}}),
                vec!["matchResouces.matchPolicy: Unsupported value: \"Most\": supported values: \"Equivalent\", \"Exact\"".into()],
            ),
        ] {
            let expected: Vec<String> = expected.iter().map(|why| format!("spec.{why}")).collect();
            assert_eq!(errors(change), expected);
        }
    }

    #[test]
    fn a_column_shows_where_parameters_are() {
        let shown = |reference: Value| param(&json!({"spec": {"paramRef": reference}}));
        assert_eq!(shown(json!({"name": "n"})), "*/n");
        assert_eq!(shown(json!({"name": "n", "namespace": "s"})), "s/n");
        assert_eq!(shown(json!({"selector": {"matchLabels": {"a": "b"}}})), "a=b");
        assert_eq!(shown(Value::Null), "<unset>");
    }
}
