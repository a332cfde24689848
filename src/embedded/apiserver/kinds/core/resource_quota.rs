//! ResourceQuotas: what all objects of a namespace may use together.

use curtain_schema::FieldError;
use serde_json::{Value, json};

use super::super::columns::{Printer, name, old as age};
use super::super::meta::{immutable, is_qualified_name};
use super::super::{Strategy, ValueExt};
use crate::quantity::Quantity;

pub(super) const RESOURCE_QUOTA: Strategy = Strategy { prepare, validate, ..Strategy::PLAIN };

/// What may be limited by a name without a prefix.
const STANDARD: [&str; 19] = [
    "configmaps",
    "cpu",
    "ephemeral-storage",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "memory",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
    "requests.storage",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];
/// What only whole numbers are of.
const WHOLE: [&str; 9] = [
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];
const COMPUTE: [&str; 6] =
    ["cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory"];
/// Scopes that are there or not.
const PLAIN: [&str; 5] =
    ["BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "Terminating"];
/// Scopes that have values.
const VALUED: [&str; 2] = ["PriorityClass", "VolumeAttributesClass"];

fn prepare(quota: &mut Value, old: Option<&Value>) {
    if old.is_none() {
        quota["status"] = json!({});
    }
}

fn validate(quota: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = &quota["spec"];
    let hard = spec.at(&["hard"]).and_then(Value::as_object);
    for (name, amount) in hard.into_iter().flatten() {
        let place = format!("spec.hard[{name}]");
        validate_resource(name, &place, errors);
        let Some(quantity) = Quantity::of(amount) else { continue };
        let whole = WHOLE.contains(&name.as_str()) || name.starts_with("count/");
        if quantity.is_negative() {
            let why = "must be greater than or equal to 0";
            errors.push(FieldError::invalid(place, amount.clone(), why));
        } else if whole && !quantity.is_whole() {
            errors.push(FieldError::invalid(place, amount.clone(), "must be an integer"));
        }
    }
    let names: Vec<&str> = hard.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    validate_scopes(spec, &names, errors);
    validate_selector(spec, &names, errors);
    if let Some(old) = old
        && old["spec"].list(&["scopes"]) != spec.list(&["scopes"])
    {
        errors.push(immutable("spec.scopes", spec.at(&["scopes"])));
    }
}

fn validate_resource(name: &str, place: &str, errors: &mut Vec<FieldError>) {
    let sized = ["hugepages-", "requests.hugepages-", "limits.hugepages-"];
    let known = STANDARD.contains(&name) || sized.iter().any(|prefix| name.starts_with(prefix));
    let why = match is_qualified_name(name) {
        Some(why) => why,
        None if !name.contains('/') && !known => "must be a standard resource for quota".into(),
        None => return,
    };
    errors.push(FieldError::invalid(place, name.into(), why));
}

/// Can the scope tell objects apart that count for this?
fn fits(scope: &str, resource: &str) -> bool {
    match scope {
        "BestEffort" => resource == "pods",
        "VolumeAttributesClass" => {
            matches!(resource, "persistentvolumeclaims" | "requests.storage")
        }
        _ => resource == "pods" || COMPUTE.contains(&resource),
    }
}

fn validate_scope(scope: &str, resources: &[&str], mut wrong: impl FnMut(&'static str)) {
    if !PLAIN.contains(&scope) && !VALUED.contains(&scope) {
        wrong("unsupported scope");
        return;
    }
    for resource in resources {
        if STANDARD.contains(resource) && !fits(scope, resource) {
            wrong("unsupported scope applied to resource");
        }
    }
}

fn validate_scopes(spec: &Value, resources: &[&str], errors: &mut Vec<FieldError>) {
    let scopes = spec.list(&["scopes"]);
    let mut wrong = |why: &'static str| {
        errors.push(FieldError::invalid("spec.scopes", spec["scopes"].clone(), why));
    };
    for scope in scopes.iter().filter_map(Value::as_str) {
        validate_scope(scope, resources, &mut wrong);
    }
    let has = |name: &str| scopes.iter().any(|scope| scope == name);
    for (one, other) in [("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")] {
        if has(one) && has(other) {
            wrong("conflicting scopes");
        }
    }
}

fn validate_selector(spec: &Value, resources: &[&str], errors: &mut Vec<FieldError>) {
    let at = |field: &str| format!("spec.scopeSelector.{field}");
    for requirement in spec.list(&["scopeSelector", "matchExpressions"]) {
        let (scope, operator) = (requirement.text(&["scopeName"]), requirement.text(&["operator"]));
        validate_scope(scope, resources, |why| {
            errors.push(FieldError::invalid(at("scopeName"), scope.into(), why));
        });
        if PLAIN.contains(&scope) && operator != "Exists" {
            let why = "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
            errors.push(FieldError::invalid(at("operator"), operator.into(), why));
        }
        let values = requirement.list(&["values"]);
        match operator {
            "In" | "NotIn" if values.is_empty() => errors.push(FieldError::required(
                at("values"),
                "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
            )),
            "In" | "NotIn" => {}
            "Exists" | "DoesNotExist" if !values.is_empty() => errors.push(FieldError::invalid(
                at("values"),
                requirement["values"].clone(),
                "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
            )),
            "Exists" | "DoesNotExist" => {}
            other => errors.push(FieldError::invalid(
                at("operator"),
                other.into(),
                "not a valid selector operator",
            )),
        }
    }
}

pub(super) const COLUMNS: Printer = Printer(
    &[
        ("Name", "string", 0),
        ("Request", "string", 0),
        ("Limit", "string", 0),
        ("Age", "string", 0),
    ],
    |o, now| {
        let hard = o.at(&["status", "hard"]).and_then(Value::as_object);
        let told = |limits: bool| {
            let chosen = hard.into_iter().flatten();
            let chosen = chosen.filter(|(name, _)| name.starts_with("limits.") == limits);
            let amount = |value: Option<&Value>| {
                value.and_then(Quantity::of).unwrap_or(Quantity::ZERO).to_string()
            };
            let each = chosen.map(|(name, hard)| {
                let used = amount(o.at(&["status", "used", name]));
                format!("{name}: {used}/{}", amount(Some(hard)))
            });
            each.collect::<Vec<_>>().join(", ")
        };
        vec![name(o), told(false).into(), told(true).into(), age(o, now)]
    },
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named_where_it_is() {
        let selector =
            |requirement: Value| json!({"scopeSelector": {"matchExpressions": [requirement]}});
        for (spec, expected) in [
            (
                json!({"hard": {"pots": "1"}}),
                "spec.hard[pots]: Invalid value: \"pots\": must be a standard resource for quota",
            ),
            (
                json!({"hard": {"cpu": "-1"}}),
                "spec.hard[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
            ),
            (
                json!({"hard": {"pods": "1500m"}}),
                "spec.hard[pods]: Invalid value: \"1500m\": must be an integer",
            ),
            (
                json!({"scopes": ["Sometimes"]}),
                "spec.scopes: Invalid value: [\"Sometimes\"]: unsupported scope",
            ),
            (
                json!({"scopes": ["BestEffort"], "hard": {"cpu": "1"}}),
                "spec.scopes: Invalid value: [\"BestEffort\"]: unsupported scope applied to resource",
            ),
            (
                json!({"scopes": ["Terminating", "NotTerminating"]}),
                "spec.scopes: Invalid value: [\"Terminating\",\"NotTerminating\"]: conflicting scopes",
            ),
            (
                selector(json!({"scopeName": "PriorityClass", "operator": "In"})),
                "spec.scopeSelector.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
            ),
        ] {
            let mut errors = Vec::new();
            validate(&json!({"spec": spec}), None, &mut errors);
            assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
        }
        let fine = json!({"hard": {"pods": "3", "count/widgets.a.com": "1", "requests.a.com/gpu": "1",
            "fast.storageclass.storage.k8s.io/requests.storage": "1Gi", "hugepages-2Mi": "1"}});
        let mut errors = Vec::new();
        validate(&json!({"spec": fine}), None, &mut errors);
        assert_eq!(errors, []);
    }

    #[test]
    fn quotas_print_as_kubectl_prints_them() {
        let quota = json!({"metadata": {"name": "q"}, "status": {
            "hard": {"requests.cpu": "1", "pods": "2", "limits.memory": "1024Mi"}, "used": {"pods": "1"}}});
        let cells = (COLUMNS.1)(&quota, jiff::Timestamp::UNIX_EPOCH);
        let expected = json!(["q", "pods: 1/2, requests.cpu: 0/1", "limits.memory: 0/1Gi"]);
        assert_eq!(json!(cells[..3]), expected);
    }
}
