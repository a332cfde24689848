//! Webhook configurations.

use curtain_schema::FieldError;
use serde_json::{Value, json};

use super::super::columns::{Printer, name, old};
use super::super::meta::is_dns_subdomain;
use super::super::template::one_of;
use super::super::{Strategy, ValueExt, check};
use super::{Scope, client, condition, rule};

pub(super) const VALIDATING: Strategy = Strategy { default, validate, ..Strategy::PLAIN };
pub(super) const MUTATING: Strategy =
    Strategy { default: default_mutating, validate: validate_mutating, ..Strategy::PLAIN };

pub(super) const COLUMNS: Printer = Printer(
    &[("Name", "string", 0), ("Webhooks", "integer", 0), ("Age", "string", 0)],
    |o, now| vec![name(o), o.list(&["webhooks"]).len().into(), old(o, now)],
);

fn default(config: &mut Value) {
    for hook in config.items_mut("webhooks") {
        hook.default_to("failurePolicy", "Fail");
        hook.default_to("matchPolicy", "Equivalent");
        hook.default_to("namespaceSelector", json!({}));
        hook.default_to("objectSelector", json!({}));
        hook.default_to("timeoutSeconds", 10);
        for rule in hook.items_mut("rules") {
            rule.default_to("scope", "*");
        }
        if hook.at(&["clientConfig", "service"]).is_some() {
            hook["clientConfig"]["service"].default_to("port", 443);
        }
    }
}

fn default_mutating(config: &mut Value) {
    default(config);
    for hook in config.items_mut("webhooks") {
        hook.default_to("reinvocationPolicy", "Never");
    }
}

fn validate_mutating(config: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    validate(config, old, errors);
    for (index, hook) in config.list(&["webhooks"]).iter().enumerate() {
        let path = format!("webhooks[{index}].reinvocationPolicy");
        one_of(hook, "reinvocationPolicy", &["IfNeeded", "Never"], &path, errors);
    }
}

fn validate(config: &Value, _: Option<&Value>, errors: &mut Vec<FieldError>) {
    let hooks = config.list(&["webhooks"]);
    for (index, hook) in hooks.iter().enumerate() {
        validate_hook(hook, &format!("webhooks[{index}]"), errors);
        if hooks[..index].iter().any(|other| other["name"] == hook["name"]) {
            let at = format!("webhooks[{index}].name");
            errors.push(FieldError::duplicate(at, hook["name"].clone()));
        }
    }
}

fn validate_hook(hook: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let at = |field: &str| format!("{path}.{field}");
    let name = hook.text(&["name"]);
    if name.is_empty() {
        errors.push(FieldError::required(at("name"), ""));
    } else if let Some(why) = is_dns_subdomain(name) {
        errors.push(FieldError::invalid(at("name"), name.into(), why));
    } else if name.split('.').count() < 3 {
        let why = "should be a domain with at least three segments separated by dots";
        errors.push(FieldError::invalid(at("name"), name.into(), why));
    }
    for (index, rule) in hook.list(&["rules"]).iter().enumerate() {
        rule::validate(rule, &format!("{path}.rules[{index}]"), errors);
    }
    one_of(hook, "failurePolicy", &["Fail", "Ignore"], &at("failurePolicy"), errors);
    one_of(hook, "matchPolicy", &["Equivalent", "Exact"], &at("matchPolicy"), errors);
    if hook.text(&["sideEffects"]).is_empty() {
        let why = "must specify one of None, NoneOnDryRun";
        errors.push(FieldError::required(at("sideEffects"), why));
    } else {
        one_of(hook, "sideEffects", &["None", "NoneOnDryRun"], &at("sideEffects"), errors);
    }
    let seconds = hook.int(&["timeoutSeconds"]).unwrap_or(10);
    if !(1..=30).contains(&seconds) {
        let why = "the timeout value must be between 1 and 30 seconds";
        errors.push(FieldError::invalid(at("timeoutSeconds"), seconds.into(), why));
    }
    for field in ["namespaceSelector", "objectSelector"] {
        check::selector(&hook[field], &at(field), errors);
    }
    client::validate(&hook["clientConfig"], &at("clientConfig"), errors);
    versions(hook.list(&["admissionReviewVersions"]), &at("admissionReviewVersions"), errors);
    let (conditions, scope) = (hook.list(&["matchConditions"]), Scope::of_conditions(false));
    condition::validate(conditions, &scope, &at("matchConditions"), errors);
}

fn versions(versions: &[Value], path: &str, errors: &mut Vec<FieldError>) {
    if versions.is_empty() {
        return errors.push(FieldError::required(path, "must specify one of v1, v1beta1"));
    }
    for (index, version) in versions.iter().enumerate() {
        if versions[..index].contains(version) {
            let at = format!("{path}[{index}]");
            errors.push(FieldError::invalid(at, version.clone(), "duplicate version"));
        }
    }
    if !versions.iter().any(|version| version == "v1" || version == "v1beta1") {
        let why = "must include at least one of v1, v1beta1";
        errors.push(FieldError::invalid(path, versions.into(), why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(change: Value) -> Vec<String> {
        let mut hook = json!({"name": "a.example.com", "sideEffects": "None",
            "admissionReviewVersions": ["v1"], "clientConfig": {"url": "https://localhost/x"},
            "rules": [{"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}]});
        curtain_json::merge_patch(&mut hook, &change);
        let mut config = json!({"webhooks": [hook]});
        default_mutating(&mut config);
        let mut errors = Vec::new();
        validate_mutating(&config, None, &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_hook_is_checked_in_all_its_parts() {
        assert_eq!(errors(json!({})), Vec::<String>::new());
        let rule = |change: Value| {
            let mut rule = json!({"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]});
            curtain_json::merge_patch(&mut rule, &change);
            json!({"rules": [rule]})
        };
        for (change, expected) in [
            (
                json!({"name": "a"}),
                "name: Invalid value: \"a\": should be a domain with at least three segments separated by dots",
            ),
            (
                json!({"sideEffects": null}),
                "sideEffects: Required value: must specify one of None, NoneOnDryRun",
            ),
            (
                json!({"timeoutSeconds": 31}),
                "timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
            ),
            (
                json!({"clientConfig": {"url": null}}),
                "clientConfig: Required value: exactly one of url or service is required",
            ),
            (
                json!({"clientConfig": {"url": "http://localhost"}}),
                "clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[/path]",
            ),
            (
                json!({"admissionReviewVersions": ["v2"]}),
                "admissionReviewVersions: Invalid value: [\"v2\"]: must include at least one of v1, v1beta1",
            ),
            (
                json!({"reinvocationPolicy": "Often"}),
                "reinvocationPolicy: Unsupported value: \"Often\": supported values: \"IfNeeded\", \"Never\"",
            ),
            (
                rule(json!({"operations": ["LIST"]})),
                "rules[0].operations[0]: Unsupported value: \"LIST\": supported values: \"*\", \"CONNECT\", \"CREATE\", \"DELETE\", \"UPDATE\"",
            ),
            (
                rule(json!({"apiGroups": ["", "*"]})),
                "rules[0].apiGroups: Invalid value: [\"\",\"*\"]: if '*' is present, must not specify other API groups",
            ),
            (rule(json!({"resources": []})), "rules[0].resources: Required value"),
        ] {
            assert_eq!(errors(change), [format!("webhooks[0].{expected}")]);
        }
        let wrong = json!({"matchConditions": [{"name": "a", "expression": "params.x"}]});
        let found = errors(wrong);
        assert!(found[0].contains("which is not in scope"), "{found:?}");
    }
}
