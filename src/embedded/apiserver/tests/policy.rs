//! What ranks, protects and bounds pods: priority classes, disruption budgets, ranges.

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

#[tokio::test]
async fn pods_are_evicted_unless_a_budget_says_no() {
    let cluster = Cluster::start().await;
    let running = async |name: &str| {
        let mut pod = pod(name, json!({"nodeName": "n", "terminationGracePeriodSeconds": 30}));
        pod["metadata"]["labels"] = json!({"app": name});
        assert_eq!(cluster.post(PODS, pod).await.0, 201);
        let status = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
        let path = format!("{PODS}/{name}/status");
        let merge = "application/merge-patch+json";
        assert_eq!(cluster.call("PATCH", &path, merge, &status.to_string()).await.0, 200);
    };
    let evict = async |name: &str, query: &str, options: Value| {
        let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name},
            "deleteOptions": options});
        cluster.post(&format!("{PODS}/{name}/eviction{query}"), eviction).await
    };
    running("free").await;
    let wrong = json!({"preconditions": {"uid": "another"}});
    assert_eq!(evict("free", "", wrong).await.0, 409);
    assert_eq!(evict("free", "?dryRun=All", json!({})).await.0, 201);
    assert!(
        cluster.get(&format!("{PODS}/free")).await.1["metadata"]["deletionTimestamp"].is_null()
    );
    let (code, status) = evict("free", "", json!({"gracePeriodSeconds": 7})).await;
    assert_eq!((code, &status["status"]), (201, &json!("Success")), "{status}");
    let (_, pod) = cluster.get(&format!("{PODS}/free")).await;
    assert_eq!(pod["metadata"]["deletionGracePeriodSeconds"], 7);
    let reasons: Vec<_> =
        pod["status"]["conditions"].as_array().unwrap().iter().map(|c| &c["type"]).collect();
    assert_eq!(reasons, ["Ready", "DisruptionTarget"]);
    assert_eq!(evict("nobody", "", json!({})).await.0, 404);

    running("kept").await;
    let budget = |name: &str| {
        json!({"metadata": {"name": name},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "kept"}}}})
    };
    let budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    let (code, made) = cluster.post(budgets, budget("one")).await;
    assert_eq!((code, &made["status"]["disruptionsAllowed"]), (201, &json!(0)), "{made}");
    let (code, status) = evict("kept", "", json!({})).await;
    assert_eq!((code, &status["details"]["retryAfterSeconds"]), (429, &json!(10)), "{status}");
    assert_eq!(cluster.post(budgets, budget("two")).await.0, 201);
    let (code, status) = evict("kept", "", json!({})).await;
    assert_eq!(code, 500);
    assert!(status["message"].as_str().unwrap().contains("more than one PodDisruptionBudget"));
}

#[tokio::test]
async fn containers_get_what_is_usual_and_no_more_than_is_allowed() {
    let cluster = Cluster::start().await;
    let limits = json!([{"type": "Container", "max": {"memory": "1Gi"}, "defaultRequest": {"cpu": "100m"}},
        {"type": "Pod", "max": {"memory": "1536Mi"}}]);
    let range = json!({"metadata": {"name": "small"}, "spec": {"limits": limits}});
    let ranges = "/api/v1/namespaces/default/limitranges";
    assert_eq!(cluster.post(ranges, range).await.0, 201);
    let (code, made) = cluster.post(PODS, pod("usual", json!({}))).await;
    assert_eq!(code, 201, "{made}");
    assert_eq!(
        made["spec"]["containers"][0]["resources"],
        json!({"limits": {"memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "1Gi"}})
    );
    assert_eq!(made["status"]["qosClass"], "Burstable");
    assert_eq!(
        made["metadata"]["annotations"]["kubernetes.io/limit-ranger"],
        "LimitRanger plugin set: cpu, memory request for container c; memory limit for container c"
    );

    let container = |name: &str, memory: &str| json!({"name": name, "image": "i", "resources": {"limits": {"memory": memory}}});
    for (containers, expected) in [
        (
            json!([container("a", "2Gi")]),
            "pods \"large\" is forbidden: [maximum memory usage per Container is 1Gi, but limit is 2Gi, maximum memory usage per Pod is 1536Mi, but limit is 2Gi]",
        ),
        (
            json!([container("a", "1Gi"), container("b", "1Gi")]),
            "pods \"large\" is forbidden: maximum memory usage per Pod is 1536Mi, but limit is 2Gi",
        ),
    ] {
        let large = pod("large", json!({"containers": containers}));
        let (code, status) = cluster.post(PODS, large).await;
        assert_eq!((code, &status["message"]), (403, &json!(expected)));
    }
    let elsewhere = "/api/v1/namespaces/kube-system/pods";
    let (_, made) = cluster.post(elsewhere, pod("free", json!({}))).await;
    assert_eq!(made["spec"]["containers"][0]["resources"], json!({}));
    assert_eq!(made["status"]["qosClass"], "BestEffort");
}
