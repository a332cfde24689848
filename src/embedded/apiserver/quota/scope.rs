//! Which objects a quota is for.

use serde_json::Value;

use super::super::kinds::ValueExt;

/// Does the quota count the object? All of its scopes must hold; only pods have any, and claims one.
pub(super) fn covers(quota: &Value, table: &str, object: &Value) -> bool {
    let mut plain = quota.list(&["spec", "scopes"]).iter().filter_map(Value::as_str);
    let selected = quota.list(&["spec", "scopeSelector", "matchExpressions"]);
    plain.all(|scope| holds(scope, "Exists", &[], table, object))
        && selected.iter().all(|it| {
            holds(
                it.text(&["scopeName"]),
                it.text(&["operator"]),
                it.list(&["values"]),
                table,
                object,
            )
        })
}

fn holds(scope: &str, operator: &str, values: &[Value], table: &str, object: &Value) -> bool {
    let spec = &object["spec"];
    let class = match (scope, table) {
        ("PriorityClass", "/pods") => spec.text(&["priorityClassName"]),
        ("VolumeAttributesClass", "/persistentvolumeclaims") => {
            spec.text(&["volumeAttributesClassName"])
        }
        (_, "/pods") => return is(scope, object),
        _ => return false,
    };
    let listed = values.iter().any(|value| value == class);
    match operator {
        "In" => listed,
        "NotIn" => !listed,
        "DoesNotExist" => class.is_empty(),
        _ => !class.is_empty(),
    }
}

fn is(scope: &str, pod: &Value) -> bool {
    let ends = pod.int(&["spec", "activeDeadlineSeconds"]).is_some_and(|seconds| seconds >= 0);
    let best_effort = pod.text(&["status", "qosClass"]) == "BestEffort";
    match scope {
        "Terminating" => ends,
        "NotTerminating" => !ends,
        "BestEffort" => best_effort,
        "NotBestEffort" => !best_effort,
        "CrossNamespacePodAffinity" => looks_elsewhere(pod),
        _ => false,
    }
}

/// Has it affinity terms that name namespaces?
fn looks_elsewhere(pod: &Value) -> bool {
    let names = |term: &Value| {
        !term.list(&["namespaces"]).is_empty() || term.at(&["namespaceSelector"]).is_some()
    };
    ["podAffinity", "podAntiAffinity"].iter().any(|kind| {
        let Some(affinity) = pod.at(&["spec", "affinity", kind]) else { return false };
        let required = affinity.list(&["requiredDuringSchedulingIgnoredDuringExecution"]);
        let preferred = affinity.list(&["preferredDuringSchedulingIgnoredDuringExecution"]);
        required.iter().any(names)
            || preferred.iter().any(|term| term.at(&["podAffinityTerm"]).is_some_and(names))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scopes_tell_pods_apart() {
        let pod = json!({"spec": {"activeDeadlineSeconds": 5, "priorityClassName": "high",
                "affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"namespaces": ["x"]}]}}},
            "status": {"qosClass": "BestEffort"}});
        let scopes = |scopes: Value| json!({"spec": {"scopes": scopes}});
        let class = |operator: &str, values: Value| {
            json!({"spec": {"scopeSelector": {"matchExpressions": [
            {"scopeName": "PriorityClass", "operator": operator, "values": values}]}}})
        };
        for (quota, expected) in [
            (scopes(json!([])), true),
            (scopes(json!(["Terminating", "BestEffort"])), true),
            (scopes(json!(["Terminating", "NotBestEffort"])), false),
            (scopes(json!(["NotTerminating"])), false),
            (scopes(json!(["CrossNamespacePodAffinity"])), true),
            (class("In", json!(["high", "low"])), true),
            (class("In", json!(["low"])), false),
            (class("NotIn", json!(["low"])), true),
            (class("Exists", json!([])), true),
            (class("DoesNotExist", json!([])), false),
        ] {
            assert_eq!(covers(&quota, "/pods", &pod), expected, "{quota}");
        }
        assert!(covers(&scopes(json!([])), "/services", &json!({})));
        assert!(!covers(&scopes(json!(["NotTerminating"])), "/services", &json!({})));
    }
}
