//! What ranks pods: priority classes.

use serde_json::{Value, json};

use super::harness::Cluster;

const PODS: &str = "/api/v1/namespaces/default/pods";
const CLASSES: &str = "/apis/scheduling.k8s.io/v1/priorityclasses";

fn pod(name: &str, spec: Value) -> Value {
    let mut pod =
        json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    curtain_json::merge_patch(&mut pod["spec"], &spec);
    pod
}

#[tokio::test]
async fn pods_have_the_priority_of_their_class() {
    let cluster = Cluster::start().await;
    let (_, made) = cluster.post(PODS, pod("plain", json!({}))).await;
    let spec = &made["spec"];
    assert_eq!((&spec["priority"], &spec["priorityClassName"]), (&json!(0), &Value::Null));

    let critical = json!({"priorityClassName": "system-node-critical"});
    let (_, made) = cluster.post(PODS, pod("critical", critical)).await;
    assert_eq!(made["spec"]["priority"], 2_000_001_000);
    assert_eq!(made["spec"]["preemptionPolicy"], "PreemptLowerPriority");

    let refused = async |spec: Value| {
        let (code, status) = cluster.post(PODS, pod("refused", spec)).await;
        assert_eq!(code, 403, "{status}");
        status["message"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(
        refused(json!({"priorityClassName": "none"})).await,
        "pods \"refused\" is forbidden: no PriorityClass with name none was found"
    );
    let own = refused(json!({"priority": 7})).await;
    assert!(own.contains("priority (7) must not be provided in pod spec"), "{own}");

    let class = |name: &str| json!({"metadata": {"name": name}, "value": 5, "globalDefault": true, "preemptionPolicy": "Never"});
    assert_eq!(cluster.post(CLASSES, class("usual")).await.0, 201);
    let (_, made) = cluster.post(PODS, pod("usual", json!({}))).await;
    let spec = &made["spec"];
    assert_eq!((&spec["priority"], &spec["priorityClassName"]), (&json!(5), &json!("usual")));
    assert_eq!(spec["preemptionPolicy"], "Never");
    let (code, status) = cluster.post(CLASSES, class("second")).await;
    assert_eq!(code, 403);
    let message = status["message"].as_str().unwrap_or_default();
    assert!(message.contains("PriorityClass usual is already marked as default."), "{message}");

    let system = format!("{CLASSES}/system-cluster-critical");
    let (code, status) = cluster.call("DELETE", &system, "", "").await;
    assert_eq!(code, 403);
    assert_eq!(
        status["message"],
        "priorityclasses.scheduling.k8s.io \"system-cluster-critical\" is forbidden: this is a system priority class and cannot be deleted"
    );
}
