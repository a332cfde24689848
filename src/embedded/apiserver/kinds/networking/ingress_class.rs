//! IngressClasses, and which of them is for Ingresses that name none.

use curtain_schema::FieldError;
use serde_json::Value;

use super::super::columns::{Printer, name, old as age};
use super::super::default_class;
use super::super::meta::{immutable, is_dns_label, is_dns_subdomain};
use super::super::{Strategy, ValueExt};
use super::reference;
use crate::apiserver::Api;

pub(super) const CLASS: Strategy = Strategy { default, validate, ..Strategy::PLAIN };

const DEFAULT: &str = "ingressclass.kubernetes.io/is-default-class";
const MAX_CONTROLLER: usize = 250;

/// The name of the class of Ingresses that name none.
pub(super) fn of_others(api: &Api) -> Option<String> {
    default_class::default_class(api, "networking.k8s.io/ingressclasses", &[DEFAULT])
}

fn default(class: &mut Value) {
    if class.at(&["spec", "parameters"]).is_some() {
        class["spec"]["parameters"].default_to("scope", "Cluster");
    }
}

fn validate(class: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    controller(class.text(&["spec", "controller"]), errors);
    if let Some(parameters) = class.at(&["spec", "parameters"]) {
        self::parameters(parameters, errors);
    }
    let path = ["spec", "controller"];
    if old.is_some_and(|old| old.at(&path) != class.at(&path)) {
        errors.push(immutable("spec.controller", class.at(&path)));
    }
}

fn controller(name: &str, errors: &mut Vec<FieldError>) {
    const PATH: &str = "spec.controller";
    if name.len() > MAX_CONTROLLER {
        errors.push(FieldError::too_long(PATH, MAX_CONTROLLER as u64));
    }
    if name.is_empty() {
        return errors.push(FieldError::required(PATH, ""));
    }
    let Some((domain, path)) = name.split_once('/').filter(|(d, p)| !d.is_empty() && !p.is_empty())
    else {
        let why = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        return errors.push(FieldError::invalid(PATH, name.into(), why));
    };
    if let Some(why) = is_dns_subdomain(domain) {
        errors.push(FieldError::invalid(PATH, domain.into(), why));
    }
    let of_paths = |c: char| c.is_ascii_alphanumeric() || "/-._~%!$&'()*+,;=:".contains(c);
    if !path.chars().all(of_paths) {
        let why = "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";
        errors.push(FieldError::invalid(PATH, path.into(), why));
    }
}

fn parameters(parameters: &Value, errors: &mut Vec<FieldError>) {
    const PATH: &str = "spec.parameters";
    reference::validate(parameters, PATH, errors);
    let place = format!("{PATH}.namespace");
    let namespace = parameters.at(&["namespace"]).and_then(Value::as_str);
    match (parameters.text(&["scope"]), namespace) {
        ("Cluster", None) => {}
        ("Cluster", Some(_)) => {
            errors.push(FieldError::forbidden(place, "`parameters.scope` is set to 'Cluster'"));
        }
        ("Namespace", None) => {
            errors.push(FieldError::required(place, "`parameters.scope` is set to 'Namespace'"));
        }
        ("Namespace", Some(namespace)) => {
            if let Some(why) = is_dns_label(namespace) {
                errors.push(FieldError::invalid(place, namespace.into(), why));
            }
        }
        (other, _) => {
            let place = format!("{PATH}.scope");
            errors.push(FieldError::not_supported(place, other.into(), &["Cluster", "Namespace"]));
        }
    }
}

pub(super) const COLUMNS: Printer = Printer(
    &[
        ("Name", "string", 0),
        ("Controller", "string", 0),
        ("Parameters", "string", 0),
        ("Age", "string", 0),
    ],
    |o, now| {
        let parameters = match o.at(&["spec", "parameters"]) {
            None => "<none>".to_owned(),
            Some(given) => {
                let group = given.at(&["apiGroup"]).and_then(Value::as_str);
                let group = group.map(|group| format!(".{group}")).unwrap_or_default();
                format!("{}{group}/{}", given.text(&["kind"]), given.text(&["name"]))
            }
        };
        vec![name(o), o["spec"]["controller"].clone(), parameters.into(), age(o, now)]
    },
);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn errors(spec: Value, old: Option<&Value>) -> Vec<String> {
        let mut class = json!({"spec": spec});
        default(&mut class);
        let mut errors = Vec::new();
        validate(&class, old, &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_class_names_its_controller_for_ever_and_where_its_parameters_are() {
        let of =
            |parameters: Value| json!({"controller": "example.com/c", "parameters": parameters});
        let fine = json!({"apiGroup": "example.com", "kind": "Tuning", "name": "a"});
        assert_eq!(errors(of(fine), None), Vec::<String>::new());
        for (spec, expected) in [
            (json!({}), "spec.controller: Required value"),
            (
                json!({"controller": "nginx"}),
                "spec.controller: Invalid value: \"nginx\": must be a domain-prefixed path (such as \"acme.io/foo\")",
            ),
            (of(json!({"kind": "A"})), "spec.parameters.name: Required value: name is required"),
            (
                of(json!({"kind": "A", "name": "a", "scope": "Namespace"})),
                "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
            ),
            (
                of(json!({"kind": "A", "name": "a", "namespace": "n"})),
                "spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'",
            ),
            (
                of(json!({"kind": "A", "name": "a", "scope": "World"})),
                "spec.parameters.scope: Unsupported value: \"World\": supported values: \"Cluster\", \"Namespace\"",
            ),
        ] {
            assert_eq!(errors(spec, None), [expected]);
        }
        let old = json!({"spec": {"controller": "example.com/b"}});
        let found = errors(json!({"controller": "example.com/c"}), Some(&old));
        let why = "spec.controller: Invalid value: \"example.com/c\": field is immutable";
        assert_eq!(found, [why]);
    }
}
