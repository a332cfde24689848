//! Workloads as clients make, scale and delete them.

use http_body_util::Full;
use serde_json::{Value, json};

use super::harness::Cluster;
use crate::apiserver::auth::User;
use crate::apiserver::route;

const APPS: &str = "/apis/apps/v1/namespaces/default";
const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";

fn template(policy: &str) -> Value {
    json!({"metadata": {"labels": {"app": "x"}},
        "spec": {"restartPolicy": policy, "containers": [{"name": "c", "image": "i:1"}]}})
}

#[tokio::test]
async fn stateful_sets_are_scaled_and_daemon_sets_are_not() {
    let cluster = Cluster::start().await;
    let spec = json!({"serviceName": "db", "selector": {"matchLabels": {"app": "x"}},
        "template": template("Always")});
    let set = json!({"metadata": {"name": "db"}, "spec": spec});
    let (code, made) = cluster.post(&format!("{APPS}/statefulsets"), set).await;
    assert_eq!((code, &made["status"]), (201, &json!({"replicas": 0, "availableReplicas": 0})));
    let path = format!("{APPS}/statefulsets/db/scale");
    let merge = "application/merge-patch+json";
    let (code, scale) = cluster.call("PATCH", &path, merge, r#"{"spec":{"replicas":3}}"#).await;
    assert_eq!((code, &scale["spec"]["replicas"]), (200, &json!(3)), "{scale}");
    let (_, set) = cluster.get(&format!("{APPS}/statefulsets/db")).await;
    assert_eq!((&set["spec"]["replicas"], &set["metadata"]["generation"]), (&json!(3), &json!(2)));

    let spec = json!({"selector": {"matchLabels": {"app": "x"}}, "template": template("Always")});
    let set = json!({"metadata": {"name": "agent"}, "spec": spec});
    let (code, made) = cluster.post(&format!("{APPS}/daemonsets"), set).await;
    assert_eq!((code, &made["status"]["desiredNumberScheduled"]), (201, &json!(0)), "{made}");
    assert_eq!(cluster.get(&format!("{APPS}/daemonsets/agent/scale")).await.0, 404);
    let revision =
        json!({"metadata": {"name": "agent-1"}, "revision": 1, "data": {"spec": {"any": [1]}}});
    let (code, made) = cluster.post(&format!("{APPS}/controllerrevisions"), revision).await;
    assert_eq!((code, &made["data"]), (201, &json!({"spec": {"any": [1]}})), "{made}");
}

#[tokio::test]
async fn jobs_select_their_pods_by_the_name_and_uid_that_they_get() {
    let cluster = Cluster::start().await;
    let job =
        json!({"metadata": {"generateName": "once-"}, "spec": {"template": template("Never")}});
    let (code, made) = cluster.post(JOBS, job).await;
    assert_eq!(code, 201, "{made}");
    let (name, uid) = (&made["metadata"]["name"], &made["metadata"]["uid"]);
    assert!(name.as_str().unwrap().starts_with("once-"));
    let selector = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
    assert_eq!(made["spec"]["selector"], selector);
    let labels = json!({"app": "x", "job-name": name, "controller-uid": uid,
        "batch.kubernetes.io/job-name": name, "batch.kubernetes.io/controller-uid": uid});
    assert_eq!(made["spec"]["template"]["metadata"]["labels"], labels);

    let cron = json!({"metadata": {"name": "nightly"}, "spec": {"schedule": "@daily",
        "jobTemplate": {"spec": {"template": template("OnFailure")}}}});
    let (code, made) = cluster.post(&JOBS.replace("jobs", "cronjobs"), cron).await;
    assert_eq!((code, &made["spec"]["concurrencyPolicy"]), (201, &json!("Allow")), "{made}");
    assert!(made["spec"]["jobTemplate"]["spec"]["selector"].is_null(), "each Job makes its own");
}

#[tokio::test]
async fn jobs_leave_their_pods_unless_told_otherwise() {
    let cluster = Cluster::start().await;
    let delete = async |query: &str| {
        let job = json!({"metadata": {"name": "once"}, "spec": {"template": template("Never")}});
        cluster.post(JOBS, job).await;
        let request = http::Request::delete(format!("{JOBS}/once{query}"))
            .body(Full::new(bytes::Bytes::new()))
            .unwrap();
        let admin = User::new("admin", ["system:masters"]);
        let reply = route::answer(cluster.server.api(), Some(admin), request).await;
        assert_eq!(reply.status(), 200);
        let warned = reply.headers().get("warning").is_some();
        let (_, left) = cluster.get(&format!("{JOBS}/once")).await;
        (warned, left["metadata"]["finalizers"].clone())
    };
    assert_eq!(delete("?propagationPolicy=Background").await, (false, Value::Null), "it is gone");
    assert_eq!(delete("").await, (true, json!(["orphan"])));
}

#[tokio::test]
async fn editors_edit_workloads_and_viewers_view_them() {
    let cluster = Cluster::start().await;
    for role in ["edit", "view"] {
        let binding = json!({"metadata": {"name": role},
            "roleRef": {"kind": "ClusterRole", "name": role}, "subjects": [{"kind": "User", "name": role}]});
        let bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";
        assert_eq!(cluster.post(bindings, binding).await.0, 201);
    }
    let may = async |user: &str, verb: &str, group: &str, resource: &str| {
        let attributes =
            json!({"verb": verb, "group": group, "resource": resource, "namespace": "default"});
        let review = json!({"spec": {"user": user, "resourceAttributes": attributes}});
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        cluster.post(path, review).await.1["status"]["allowed"] == true
    };
    for (group, resource) in
        [("apps", "statefulsets"), ("apps", "daemonsets"), ("batch", "jobs"), ("batch", "cronjobs")]
    {
        assert!(may("edit", "create", group, resource).await, "{resource}");
        assert!(may("view", "watch", group, resource).await, "{resource}");
        assert!(!may("view", "create", group, resource).await, "{resource}");
    }
    assert!(may("view", "get", "apps", "controllerrevisions").await);
    assert!(!may("edit", "update", "apps", "controllerrevisions").await);
}
