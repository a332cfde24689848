//! Both directions.

use super::*;

#[test]
fn what_is_served_as_v1_comes_back_as_it_was() {
    let target = |kind: &str, field: &str, value: Value| json!({"type": kind, field: value});
    let metric = |name: &str| json!({"name": name});
    let whole = json!({
        "metadata": {"name": "web", "annotations": {"mine": "1"}},
        "spec": {"minReplicas": 2, "maxReplicas": 5, "scaleTargetRef": {"kind": "Deployment", "name": "web"},
            "metrics": [
                {"type": "Resource", "resource": {"name": "cpu", "target": target("Utilization", "averageUtilization", json!(60))}},
                {"type": "Resource", "resource": {"name": "memory", "target": target("AverageValue", "averageValue", json!("64Mi"))}},
                {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "a",
                    "target": target("Utilization", "averageUtilization", json!(50))}},
                {"type": "Pods", "pods": {"metric": metric("q"), "target": target("AverageValue", "averageValue", json!("5"))}},
                {"type": "Object", "object": {"describedObject": {"kind": "Service", "name": "s"}, "metric": metric("r"),
                    "target": target("Value", "value", json!("7"))}},
                {"type": "External", "external": {"metric": metric("e"), "target": target("Value", "value", json!("9"))}}],
            "behavior": {"scaleUp": {"selectPolicy": "Max", "stabilizationWindowSeconds": 0,
                    "policies": [{"type": "Pods", "value": 1, "periodSeconds": 15}]},
                "scaleDown": {"selectPolicy": "Min", "policies": [{"type": "Pods", "value": 1, "periodSeconds": 15}]}}},
        "status": {"currentReplicas": 2, "desiredReplicas": 3,
            "currentMetrics": [
                {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 90, "averageValue": "90m"}}},
                {"type": "Resource", "resource": {"name": "memory", "current": {"averageValue": "60Mi"}}}],
            "conditions": [{"type": "AbleToScale", "status": "True"}]},
    });
    let mut object = whole.clone();
    serve(&mut object);
    assert_eq!(object["spec"]["targetCPUUtilizationPercentage"], 60);
    assert_eq!(object["status"]["currentCPUUtilizationPercentage"], 90);
    let others = note(&object, METRICS).unwrap();
    assert_eq!(
        others[0],
        json!({"type": "Resource", "resource": {"name": "memory", "targetAverageValue": "64Mi"}})
    );
    assert_eq!(others[3]["object"]["target"]["name"], "s");
    store(&mut object);
    // Of the one status that has a field of its own, v1 keeps the share alone.
    let mut expected = whole;
    expected["status"]["currentMetrics"][0]["resource"]["current"].drop_field("averageValue");
    assert_eq!(object, expected);
}

#[test]
fn without_a_word_it_is_the_usual_share() {
    let mut object = json!({"metadata": {}, "spec": {"maxReplicas": 2}});
    default(&mut object);
    let spec = json!({"maxReplicas": 2, "minReplicas": 1, "targetCPUUtilizationPercentage": 80});
    assert_eq!(object["spec"], spec);
    store(&mut object);
    assert_eq!(object["spec"]["metrics"], json!([usual()]));
}

#[test]
fn what_is_of_another_type_in_an_annotation_is_forgotten() {
    let whole = |name: &str, text: &str| {
        let mut object = json!({"metadata": {"annotations": {name: text}},
            "spec": {"maxReplicas": 2, "targetCPUUtilizationPercentage": 60}, "status": {}});
        store(&mut object);
        object
    };
    let plain = whole("mine", "1");
    for (name, text) in [
        (METRICS, "no JSON"),
        (METRICS, r#"{"type":"Resource"}"#),
        (METRICS, "[5]"),
        (METRICS, r#"[{"type":"Pods","pods":{"metricName":5}}]"#),
        (METRICS, r#"[{"type":"Pods","pods":{"metricName":"q","targetAverageValue":"much"}}]"#),
        (CURRENT, r#"[{"type":5}]"#),
        (BEHAVIOR, "5"),
        (BEHAVIOR, r#"{"scaleUp":"fast"}"#),
        (CONDITIONS, r#"[{"type":"AbleToScale","lastTransitionTime":"then"}]"#),
    ] {
        let object = whole(name, text);
        let parts = (&object["spec"], &object["status"]);
        assert_eq!(parts, (&plain["spec"], &plain["status"]), "{name}: {text}");
        assert!(object["metadata"].get("annotations").is_none(), "{object}");
    }
}
