//! What metrics make of pods.

use std::collections::HashMap;

use jiff::SignedDuration;
use serde_json::json;

use super::*;

fn pods(requests: serde_json::Value) -> Pods {
    let at = Timestamp::now().to_string();
    let pod = serde_json::from_value(json!({"metadata": {"name": "a"},
        "spec": {"containers": [{"name": "main", "image": "i", "resources": {"requests": requests}}]},
        "status": {"phase": "Running", "startTime": "2026-01-01T00:00:00Z",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}));
    let metrics = serde_json::from_value(json!({"timestamp": at, "window": "15.02s",
        "containers": [{"name": "main", "usage": {"cpu": "150m", "memory": "64Mi"}}]}));
    let metrics = [("a".to_owned(), metrics.expect("metrics"))].into();
    Pods { pods: vec![pod.expect("a pod")], metrics, moment: false }
}

fn asked(spec: serde_json::Value, pods: &Pods) -> Result<Seen, Untold> {
    metric(&serde_json::from_value(spec).expect("a metric"), pods, 1, None)
}

fn resource(name: &str, target: serde_json::Value) -> serde_json::Value {
    json!({"type": "Resource", "resource": {"name": name, "target": target}})
}

#[test]
fn shares_are_of_requests_and_amounts_are_not() {
    let share = json!({"type": "Utilization", "averageUtilization": 50});
    let with = pods(json!({"cpu": "100m"}));
    let seen = asked(resource("cpu", share.clone()), &with).expect("a number");
    assert_eq!(
        (seen.replicas, seen.name.as_str()),
        (3, "cpu resource utilization (percentage of request)")
    );
    let current = seen.status.resource.expect("a status").current;
    assert_eq!(json!(current), json!({"averageUtilization": 150, "averageValue": "150m"}));
    let without = pods(json!({}));
    let Untold { reason, why, .. } =
        asked(resource("cpu", share.clone()), &without).expect_err("a reason");
    let words = "failed to get cpu utilization: missing request for cpu in container main of Pod a";
    assert_eq!((reason, why.as_str()), ("FailedGetResourceMetric", words));
    let amount = json!({"type": "AverageValue", "averageValue": "32Mi"});
    let seen = asked(resource("memory", amount), &without).expect("a number");
    assert_eq!((seen.replicas, seen.name.as_str()), (2, "memory resource"));
    let of = |container: &str| {
        json!({"type": "ContainerResource", "containerResource":
        {"name": "cpu", "container": container, "target": share}})
    };
    let seen = asked(of("main"), &with).expect("a number");
    assert_eq!(seen.status.container_resource.expect("a status").container, "main");
    let Untold { reason, why, .. } = asked(of("other"), &with).expect_err("a reason");
    assert_eq!(reason, "FailedGetContainerResourceMetric");
    assert!(why.ends_with("container other not present in metrics for pod a"), "{why}");
}

#[test]
fn of_apis_that_are_not_here_it_is_said_so() {
    let target = json!({"type": "AverageValue", "averageValue": "1"});
    let spec = json!({"type": "Pods", "pods": {"metric": {"name": "q"}, "target": target}});
    let Untold { reason, why, .. } = asked(spec, &pods(json!({}))).expect_err("a reason");
    assert_eq!(reason, "FailedGetPodsMetric");
    assert!(why.contains("no custom metrics API (custom.metrics.k8s.io) registered"), "{why}");
    let none = Pods { pods: Vec::new(), metrics: HashMap::new(), moment: false };
    let share = json!({"type": "Utilization", "averageUtilization": 50});
    let why = asked(resource("cpu", share), &none).expect_err("a reason").why;
    assert!(why.ends_with("no metrics returned from resource metrics API"), "{why}");
}

#[test]
fn windows_are_read() {
    assert_eq!(
        "15.02s".parse::<SignedDuration>().expect("a duration"),
        SignedDuration::from_millis(15_020)
    );
    assert_eq!(
        "1m0s".parse::<SignedDuration>().expect("a duration"),
        SignedDuration::from_secs(60)
    );
}
