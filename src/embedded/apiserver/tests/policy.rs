//! What ranks, protects and bounds pods: priority classes, disruption budgets, ranges, quotas.

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

/// A quota that holds.
async fn quota(cluster: &Cluster, name: &str, spec: Value) {
    let quotas = "/api/v1/namespaces/default/resourcequotas";
    let made = cluster.post(quotas, json!({"metadata": {"name": name}, "spec": spec})).await;
    assert_eq!(made.0, 201, "{}", made.1);
    let mut wake = cluster.server.api().store.wake(&"/resourcequotas".into());
    while cluster.get(&format!("{quotas}/{name}")).await.1["status"]["hard"] != spec["hard"] {
        let waited = tokio::time::timeout(std::time::Duration::from_secs(60), wake.changed());
        waited.await.expect("it is counted").unwrap();
    }
}

async fn used(cluster: &Cluster, name: &str) -> Value {
    let path = format!("/api/v1/namespaces/default/resourcequotas/{name}");
    cluster.get(&path).await.1["status"]["used"].clone()
}

fn measured(name: &str, cpu: &str) -> Value {
    let container = json!({"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}});
    pod(name, json!({"containers": [container]}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn however_many_write_at_a_time_a_quota_is_not_exceeded() {
    let cluster = Cluster::start().await;
    cluster.post(PODS, measured("first", "100m")).await;
    let hard = json!({"pods": "5", "requests.cpu": "1", "count/configmaps": "9"});
    quota(&cluster, "few", json!({"hard": hard})).await;
    let before = json!({"pods": "1", "requests.cpu": "100m", "count/configmaps": "1"});
    assert_eq!(used(&cluster, "few").await, before, "what was there is counted");

    let cluster = std::sync::Arc::new(cluster);
    let writers: Vec<_> = (0..24)
        .map(|number| {
            let cluster = cluster.clone();
            tokio::spawn(async move {
                cluster.post(PODS, measured(&format!("p-{number}"), "100m")).await
            })
        })
        .collect();
    let mut made = 0;
    for writer in writers {
        let (code, status) = writer.await.unwrap();
        made += usize::from(code == 201);
        let message = status["message"].as_str().unwrap_or_default();
        let told =
            "is forbidden: exceeded quota: few, requested: pods=1, used: pods=5, limited: pods=5";
        assert!(code == 201 || (code == 403 && message.ends_with(told)), "{code} {message}");
    }
    assert_eq!(made, 4);
    let full = json!({"pods": "5", "requests.cpu": "500m", "count/configmaps": "1"});
    assert_eq!(used(&cluster, "few").await, full);
    let dry = format!("{PODS}?dryRun=All");
    assert_eq!(cluster.post(&dry, measured("dry", "1m")).await.0, 403);

    let merge = "application/merge-patch+json";
    let over = r#"{"status":{"phase":"Succeeded"}}"#;
    assert_eq!(cluster.call("PATCH", &format!("{PODS}/first/status"), merge, over).await.0, 200);
    assert_eq!(used(&cluster, "few").await["pods"], "4", "what has ended uses nothing");
    assert_eq!(cluster.call("DELETE", PODS, "", "").await.0, 200);
    assert_eq!(
        used(&cluster, "few").await,
        json!({"pods": "0", "requests.cpu": "0", "count/configmaps": "1"})
    );
}

#[tokio::test]
async fn quotas_say_what_is_missing_and_follow_what_they_are_told() {
    let cluster = Cluster::start().await;
    quota(&cluster, "cpu", json!({"hard": {"requests.cpu": "1", "limits.memory": "1Gi"}})).await;
    let spec = json!({"hard": {"pods": "0"}, "scopes": ["BestEffort"]});
    quota(&cluster, "effort", spec).await;
    let (code, status) = cluster.post(PODS, measured("p", "1")).await;
    assert_eq!(
        (code, &status["message"]),
        (
            403,
            &json!("pods \"p\" is forbidden: failed quota: cpu: must specify limits.memory for: c")
        )
    );
    assert_eq!(status["details"]["kind"], "pods");
    let path = "/api/v1/namespaces/default/resourcequotas/cpu";
    let merge = "application/merge-patch+json";
    let wider = json!({"spec": {"hard": {"requests.cpu": "2", "limits.memory": null}}});
    assert_eq!(cluster.call("PATCH", path, merge, &wider.to_string()).await.0, 200);
    let mut wake = cluster.server.api().store.wake(&"/resourcequotas".into());
    while cluster.get(path).await.1["status"]["hard"] != json!({"requests.cpu": "2"}) {
        let waited = tokio::time::timeout(std::time::Duration::from_secs(60), wake.changed());
        waited.await.expect("it is counted anew").unwrap();
    }
    assert_eq!(cluster.post(PODS, measured("p", "2")).await.0, 201);
    assert_eq!(used(&cluster, "cpu").await, json!({"requests.cpu": "2"}));
    assert_eq!(cluster.call("DELETE", path, "", "").await.0, 200);
    let (code, status) = cluster.post(PODS, pod("effortless", json!({}))).await;
    assert_eq!(code, 403, "{status}");
    assert_eq!(cluster.post(PODS, measured("more", "2")).await.0, 201);
}
