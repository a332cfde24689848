//! Defaults, complaints and columns.

use serde_json::{Value, json};

use super::*;

fn scaler(spec: Value) -> Value {
    let mut whole = json!({"metadata": {"name": "web"}, "spec": {"maxReplicas": 5,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}});
    for (name, value) in spec.as_object().into_iter().flatten() {
        whole["spec"][name] = value.clone();
    }
    default(&mut whole);
    whole
}

fn complaints(spec: Value) -> Vec<String> {
    let mut errors = Vec::new();
    validate(&scaler(spec), None, &mut errors);
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_left_out_is_filled_in() {
    let spec = scaler(json!({"behavior": {"scaleDown": {"stabilizationWindowSeconds": 5}}}));
    let spec = &spec["spec"];
    assert_eq!((&spec["minReplicas"], &spec["metrics"]), (&json!(1), &json!([usual()])));
    let doubled = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
    let four = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
    let up = json!({"selectPolicy": "Max", "stabilizationWindowSeconds": 0, "policies": [four, doubled]});
    assert_eq!(spec["behavior"]["scaleUp"], up);
    let down =
        json!({"selectPolicy": "Max", "stabilizationWindowSeconds": 5, "policies": [doubled]});
    assert_eq!(spec["behavior"]["scaleDown"], down);
    assert_eq!(scaler(json!({}))["spec"].get("behavior"), None);
}

#[test]
fn what_is_wrong_is_named_where_it_is() {
    let resource = |target: Value| json!({"metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]});
    let up = |rules: Value| json!({"behavior": {"scaleUp": rules}});
    for (spec, expected) in [
        (json!({}), vec![]),
        (
            json!({"minReplicas": 0}),
            vec!["spec.minReplicas: Invalid value: 0: must be greater than or equal to 1"],
        ),
        (
            json!({"minReplicas": 6}),
            vec![
                "spec.maxReplicas: Invalid value: 5: must be greater than or equal to `minReplicas`",
            ],
        ),
        (
            json!({"scaleTargetRef": {"kind": "", "name": "a/b"}}),
            vec![
                "spec.scaleTargetRef.kind: Required value",
                "spec.scaleTargetRef.name: Invalid value: \"a/b\": may not contain '/'",
            ],
        ),
        (
            resource(json!({"type": "Utilization"})),
            vec![
                "spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization",
            ],
        ),
        (
            resource(json!({"type": "Odd", "averageUtilization": 0})),
            vec![
                "spec.metrics[0].resource.target.type: Invalid value: \"Odd\": must be either Utilization, Value, or AverageValue",
                "spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0",
            ],
        ),
        (
            json!({"metrics": [{"type": "Pods"}]}),
            vec![
                "spec.metrics[0].pods: Required value: must populate information for the given metric source",
            ],
        ),
        (
            up(
                json!({"stabilizationWindowSeconds": 3601, "selectPolicy": "Most", "policies": [{"type": "Pods", "value": 0, "periodSeconds": 1801}]}),
            ),
            vec![
                "spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600",
                "spec.behavior.scaleUp.selectPolicy: Unsupported value: \"Most\": supported values: \"Disabled\", \"Max\", \"Min\"",
                "spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero",
                "spec.behavior.scaleUp.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800",
            ],
        ),
        (
            up(json!({"policies": []})),
            vec![
                "spec.behavior.scaleUp.policies: Required value: must specify at least one Policy",
            ],
        ),
    ] {
        assert_eq!(complaints(spec), expected);
    }
}

#[test]
fn autoscalers_print_as_kubectl_prints_them() {
    let mut web = scaler(json!({"metrics": [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}},
        {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "64Mi"}}},
        {"type": "Pods", "pods": {"metric": {"name": "q"}, "target": {"type": "AverageValue", "averageValue": "5"}}}]}));
    web["status"] = json!({"currentReplicas": 2, "currentMetrics": [
        {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 70, "averageValue": "70m"}}}]});
    let cells = (columns::COLUMNS.1)(&web, jiff::Timestamp::UNIX_EPOCH);
    let targets = "cpu: 70%/50%, memory: <unknown>/64Mi + 1 more...";
    assert_eq!(json!(cells[..6]), json!(["web", "Deployment/web", targets, "1", "5", "2"]));
}
