//! ValidatingAdmissionPolicies.

use curtain_schema::FieldError;
use serde_json::Value;

use super::super::columns::{Printer, name, old};
use super::super::meta::{is_dns_1035_label, is_dns_subdomain, is_qualified_name};
use super::super::template::one_of;
use super::super::{Strategy, ValueExt};
use super::{Scope, condition, grant, matches};

pub(super) const POLICY: Strategy = Strategy {
    default,
    validate,
    settle: Some(grant::settle_policy),
    unconditional_update: false,
    ..Strategy::PLAIN
};

pub(super) const COLUMNS: Printer = Printer(
    &[
        ("Name", "string", 0),
        ("Validations", "integer", 0),
        ("ParamKind", "string", 0),
        ("Age", "string", 0),
    ],
    |o, now| {
        let kind = o.at(&["spec", "paramKind"]);
        let kind =
            kind.map(|kind| format!("{}/{}", kind.text(&["apiVersion"]), kind.text(&["kind"])));
        let validations = o.list(&["spec", "validations"]).len();
        vec![
            name(o),
            validations.into(),
            kind.unwrap_or_else(|| "<unset>".into()).into(),
            old(o, now),
        ]
    },
);

const MOST_ANNOTATIONS: usize = 20;
const LONGEST_ANNOTATION: usize = 5 << 10;

fn default(policy: &mut Value) {
    let spec = policy.sub("spec");
    spec.default_to("failurePolicy", "Fail");
    if spec.at(&["matchConstraints"]).is_some() {
        matches::default(&mut spec["matchConstraints"]);
    }
}

pub(super) fn validate(policy: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    warnings(policy.list(&["status", "typeChecking", "expressionWarnings"]), errors);
    // What is there already was looked at, maybe by another server.
    if !old.is_some_and(|old| old["spec"] == policy["spec"]) {
        specification(policy.text(&["metadata", "name"]), &policy["spec"], errors);
    }
}

fn warnings(warnings: &[Value], errors: &mut Vec<FieldError>) {
    for (index, warning) in warnings.iter().enumerate() {
        for field in ["warning", "fieldRef"] {
            if warning.text(&[field]).trim().is_empty() {
                let at = format!("status.typeChecking.expressionWarnings[{index}].{field}");
                errors.push(FieldError::required(at, ""));
            }
        }
    }
}

fn specification(name: &str, spec: &Value, errors: &mut Vec<FieldError>) {
    one_of(spec, "failurePolicy", &["Fail", "Ignore"], "spec.failurePolicy", errors);
    let kind = spec.at(&["paramKind"]);
    if let Some(kind) = kind {
        param_kind(kind, errors);
    }
    match spec.at(&["matchConstraints"]) {
        None => errors.push(FieldError::required("spec.matchConstraints", "")),
        Some(constraints) => {
            matches::validate(constraints, "spec.matchConstraints", errors);
            if constraints.list(&["resourceRules"]).is_empty() {
                errors.push(FieldError::required("spec.matchConstraints.resourceRules", ""));
            }
        }
    }
    let mut scope = Scope::of_conditions(kind.is_some());
    let conditions = spec.list(&["matchConditions"]);
    condition::validate(conditions, &scope, "spec.matchConditions", errors);
    for (index, variable) in spec.list(&["variables"]).iter().enumerate() {
        declare(variable, &format!("spec.variables[{index}]"), &mut scope, errors);
    }
    let validations = spec.list(&["validations"]);
    let annotations = spec.list(&["auditAnnotations"]);
    if validations.is_empty() && annotations.is_empty() {
        let why = "validations or auditAnnotations must contain at least one item";
        errors.push(FieldError::required("spec.validations", why));
        errors.push(FieldError::required("spec.auditAnnotations", why));
    }
    for (index, validation) in validations.iter().enumerate() {
        validate_one(validation, &format!("spec.validations[{index}]"), &scope, errors);
    }
    annotate(name, annotations, &scope, errors);
}

fn param_kind(kind: &Value, errors: &mut Vec<FieldError>) {
    let version = kind.text(&["apiVersion"]);
    let parts: Vec<&str> = version.split('/').collect();
    let at = "spec.paramKind.apiVersion";
    let mut wrong = |value: &str, why: String| {
        errors.push(FieldError::invalid(at, value.into(), why));
    };
    match parts[..] {
        [""] => errors.push(FieldError::required(at, "")),
        [version] => is_dns_1035_label(version).into_iter().for_each(|why| wrong(version, why)),
        [group, number] => {
            if !group.is_empty() {
                is_dns_subdomain(group).into_iter().for_each(|why| wrong(group, why));
            }
            match number {
                "" => wrong(version, "version must be specified".into()),
                _ => is_dns_1035_label(number).into_iter().for_each(|why| wrong(number, why)),
            }
        }
        _ => wrong(version, format!("unexpected GroupVersion string: {version}")),
    }
    let at = "spec.paramKind.kind";
    let name = kind.text(&["kind"]);
    if name.is_empty() {
        errors.push(FieldError::required(at, ""));
    } else if let Some(why) = is_dns_1035_label(&name.to_lowercase()) {
        let why = format!("may have mixed case, but should otherwise match: {why}");
        errors.push(FieldError::invalid(at, name.into(), why));
    }
}

fn is_identifier(name: &str) -> bool {
    let letter = |c: char| c == '_' || c.is_ascii_alphabetic();
    name.starts_with(letter)
        && name.chars().all(|c| letter(c) || c.is_ascii_digit())
        && !curtain_cel::is_reserved(name)
}

fn declare(variable: &Value, path: &str, scope: &mut Scope, errors: &mut Vec<FieldError>) {
    let at = |field: &str| format!("{path}.{field}");
    let (name, source) = (variable.text(&["name"]), variable.text(&["expression"]));
    if name.trim().is_empty() {
        errors.push(FieldError::required(at("name"), "name is not specified"));
    } else if !is_identifier(name) {
        let why = "name is not a valid CEL identifier";
        errors.push(FieldError::invalid(at("name"), name.into(), why));
    } else if scope.declares(name) {
        errors.push(FieldError::duplicate(at("name"), name.into()));
    }
    if source.trim().is_empty() {
        errors.push(FieldError::required(at("expression"), "expression is not specified"));
        return;
    }
    let program = scope.check(source, at("expression"), errors);
    scope.declare(name, program.as_ref());
}

fn validate_one(validation: &Value, path: &str, scope: &Scope, errors: &mut Vec<FieldError>) {
    let at = |field: &str| format!("{path}.{field}");
    let text = |field: &str| validation.text(&[field]);
    if text("expression").trim().is_empty() {
        errors.push(FieldError::required(at("expression"), "expression is not specified"));
    } else {
        scope.check(text("expression"), at("expression"), errors);
    }
    let source = text("messageExpression");
    if !source.is_empty() && source.trim().is_empty() {
        let why = "must be non-empty if specified";
        errors.push(FieldError::invalid(at("messageExpression"), source.into(), why));
    } else if !source.is_empty() {
        scope.of_messages().check(source, at("messageExpression"), errors);
    }
    let message = text("message");
    let mut wrong = |why: &str| {
        errors.push(FieldError::invalid(at("message"), message.into(), why));
    };
    if !message.is_empty() && message.trim().is_empty() {
        wrong("message must be non-empty if specified");
    } else if message.trim().contains(['\n', '\r']) {
        wrong("message must not contain line breaks");
    }
    let reasons = ["Forbidden", "Invalid", "RequestEntityTooLarge"];
    if validation.at(&["reason"]).is_some() {
        one_of(validation, "reason", &reasons, &at("reason"), errors);
    }
}

fn annotate(name: &str, annotations: &[Value], scope: &Scope, errors: &mut Vec<FieldError>) {
    if annotations.len() > MOST_ANNOTATIONS {
        let why = format!("must not have more than {MOST_ANNOTATIONS} auditAnnotations");
        errors.push(FieldError::invalid("spec.auditAnnotations", annotations.into(), why));
    }
    for (index, annotation) in annotations.iter().enumerate() {
        let at = |field: &str| format!("spec.auditAnnotations[{index}].{field}");
        let (key, source) = (annotation.text(&["key"]), annotation.text(&["valueExpression"]));
        if let Some(why) = is_qualified_name(&format!("{name}/{key}")) {
            errors.push(FieldError::invalid(at("key"), format!("{name}/{key}").into(), why));
        }
        if source.trim().is_empty() {
            let why = "valueExpression is not specified";
            errors.push(FieldError::required(at("valueExpression"), why));
        } else if source.trim().len() > LONGEST_ANNOTATION {
            let why = format!("must not exceed {LONGEST_ANNOTATION} bytes in length");
            errors.push(FieldError::required(at("valueExpression"), why));
        } else {
            scope.check(source, at("valueExpression"), errors);
        }
        if annotations[..index].iter().any(|other| other["key"] == key) {
            errors.push(FieldError::duplicate(at("key"), key.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn errors(change: Value) -> Vec<String> {
        let rule = json!({"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]});
        let mut policy = json!({"metadata": {"name": "p.example.com"}, "spec": {
            "matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": "true"}]}});
        curtain_json::merge_patch(&mut policy["spec"], &change);
        default(&mut policy);
        let mut errors = Vec::new();
        validate(&policy, None, &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        let mut policy = json!({"spec": {"matchConstraints": {
            "resourceRules": [{"resources": ["pods"]}], "excludeResourceRules": [{"scope": "Cluster"}]}}});
        default(&mut policy);
        let expected = json!({"spec": {"failurePolicy": "Fail", "matchConstraints": {
            "matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {},
            "resourceRules": [{"resources": ["pods"], "scope": "*"}], "excludeResourceRules": [{"scope": "Cluster"}]}}});
        assert_eq!(policy, expected);
    }

    #[test]
    fn a_policy_is_checked_in_all_its_parts() {
        assert_eq!(errors(json!({})), Vec::<String>::new());
        let one = |validation: Value| json!({"validations": [validation]});
        for (change, expected) in [
            (
                json!({"failurePolicy": "Warn"}),
                "failurePolicy: Unsupported value: \"Warn\": supported values: \"Fail\", \"Ignore\"",
            ),
            (json!({"matchConstraints": null}), "matchConstraints: Required value"),
            (
                json!({"matchConstraints": {"resourceRules": []}}),
                "matchConstraints.resourceRules: Required value",
            ),
            (
                json!({"matchConstraints": {"excludeResourceRules": [{"operations": ["*"], "apiGroups": ["*"],
                    "apiVersions": ["*"], "resources": ["*"], "resourceNames": ["a", "a"]}]}}),
                "matchConstraints.excludeResourceRules[0].resourceNames[1]: Duplicate value: \"a\"",
            ),
            (json!({"paramKind": {"apiVersion": "v1"}}), "paramKind.kind: Required value"),
            (
                json!({"paramKind": {"apiVersion": "a/b/c", "kind": "K"}}),
                "paramKind.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion string: a/b/c",
            ),
            (
                json!({"paramKind": {"apiVersion": "a/", "kind": "K"}}),
                "paramKind.apiVersion: Invalid value: \"a/\": version must be specified",
            ),
            (
                json!({"variables": [{"name": "a-b", "expression": "1"}]}),
                "variables[0].name: Invalid value: \"a-b\": name is not a valid CEL identifier",
            ),
            (
                json!({"variables": [{"name": "a", "expression": " "}]}),
                "variables[0].expression: Required value: expression is not specified",
            ),
            (
                json!({"variables": [{"name": "a", "expression": "variables.b"}, {"name": "b", "expression": "1"}]}),
                "variables[0].expression: Invalid value: \"variables.b\": compilation failed: `variables.b` uses `variables.b`, which is not in scope; in scope: authorizer, authorizer.requestResource, namespaceObject, object, oldObject, request",
            ),
            (
                json!({"matchConditions": [{"name": "a", "expression": "params == null"}]}),
                "matchConditions[0].expression: Invalid value: \"params == null\": compilation failed: `params == null` uses `params`, which is not in scope; in scope: authorizer, authorizer.requestResource, namespaceObject, object, oldObject, request",
            ),
            (
                one(json!({"expression": ""})),
                "validations[0].expression: Required value: expression is not specified",
            ),
            (
                one(json!({"expression": "nobody()"})),
                "validations[0].expression: Invalid value: \"nobody()\": compilation failed: `nobody()` calls the unknown function `nobody`",
            ),
            (
                one(json!({"expression": "true", "message": "a\nb"})),
                "validations[0].message: Invalid value: \"a\\nb\": message must not contain line breaks",
            ),
            (
                one(json!({"expression": "true", "message": " "})),
                "validations[0].message: Invalid value: \" \": message must be non-empty if specified",
            ),
            (
                one(json!({"expression": "true", "messageExpression": " "})),
                "validations[0].messageExpression: Invalid value: \" \": must be non-empty if specified",
            ),
            (
                one(json!({"expression": "true", "messageExpression": "authorizer.x"})),
                "validations[0].messageExpression: Invalid value: \"authorizer.x\": compilation failed: `authorizer.x` uses `authorizer`, which is not in scope; in scope: namespaceObject, object, oldObject, request",
            ),
            (
                one(json!({"expression": "true", "reason": "Odd"})),
                "validations[0].reason: Unsupported value: \"Odd\": supported values: \"Forbidden\", \"Invalid\", \"RequestEntityTooLarge\"",
            ),
            (
                json!({"auditAnnotations": [{"key": "a b", "valueExpression": "''"}]}),
                "auditAnnotations[0].key: Invalid value: \"p.example.com/a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            ),
            (
                json!({"auditAnnotations": [{"key": "a", "valueExpression": "''"}, {"key": "a", "valueExpression": "''"}]}),
                "auditAnnotations[1].key: Duplicate value: \"a\"",
            ),
            (
                json!({"auditAnnotations": [{"key": "a", "valueExpression": "x".repeat(6000)}]}),
                "auditAnnotations[0].valueExpression: Required value: must not exceed 5120 bytes in length",
            ),
        ] {
            assert_eq!(errors(change), [format!("spec.{expected}")]);
        }
        let nothing = errors(json!({"validations": []}));
        let words = "validations or auditAnnotations must contain at least one item";
        let expected = ["spec.validations", "spec.auditAnnotations"]
            .map(|at| format!("{at}: Required value: {words}"));
        assert_eq!(nothing, expected);
        let fine = json!({"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
            "variables": [{"name": "a", "expression": "params.a"}, {"name": "b", "expression": "variables.a"}],
            "matchConditions": [{"name": "c", "expression": "params.a == 'b' && authorizer.path('/').check('get').allowed()"}],
            "validations": [{"expression": "variables.a == variables.b", "messageExpression": "variables.b + params.c"}]});
        assert_eq!(errors(fine), Vec::<String>::new());
    }

    #[test]
    fn what_is_stored_already_is_not_looked_at_again() {
        let policy = json!({"spec": {"validations": [{"expression": "nobody()"}]}});
        let mut errors = Vec::new();
        validate(&policy, Some(&policy), &mut errors);
        assert!(errors.is_empty(), "{errors:?}");
        let status = json!({"spec": policy["spec"], "status": {"typeChecking": {"expressionWarnings": [{"fieldRef": "x"}]}}});
        validate(&status, Some(&policy), &mut errors);
        let words = "status.typeChecking.expressionWarnings[0].warning: Required value";
        assert_eq!(errors[0].to_string(), words);
    }
}
