//! `metrics.k8s.io`, with a node that measures what it is told.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::harness::Cluster;
use crate::apiserver::auth::User;
use crate::apiserver::{
    LogError, LogOptions, NodeBackend, Page, PageError, PageRequest, PodRef, Sample,
};

/// A node on which every pod but `new` has two containers.
struct Meter;

fn sample(nanocores: u64) -> Sample {
    let ended = Timestamp::from_second(1_700_000_000).unwrap();
    Sample { nanocores, memory: 3 << 20, window: Duration::from_millis(15_020), ended }
}

impl NodeBackend for Meter {
    fn name(&self) -> &str {
        "one"
    }

    fn page(&self, _: PageRequest) -> BoxFuture<'_, Result<Page, PageError>> {
        Box::pin(async { Err(PageError::NotFound) })
    }

    fn node_sample(&self) -> BoxFuture<'_, Option<Sample>> {
        Box::pin(async { Some(sample(250_000_000)) })
    }

    fn pod_samples<'a>(&'a self, pods: &'a [PodRef]) -> BoxFuture<'a, Vec<Vec<(String, Sample)>>> {
        let containers = |pod: &PodRef| match pod.name.as_str() {
            "new" => Vec::new(),
            _ => {
                let longer = Sample { window: Duration::from_secs(60), ..sample(1_000_000) };
                vec![("a".into(), longer), ("b".into(), sample(2_500_000))]
            }
        };
        Box::pin(async move { pods.iter().map(containers).collect() })
    }

    fn logs(
        &self,
        _: PodRef,
        _: LogOptions,
    ) -> BoxFuture<'_, Result<BoxStream<'static, io::Result<Bytes>>, LogError>> {
        Box::pin(async { Err(LogError::NotAvailable("no pods here".into())) })
    }
}

const ALL: &str = "/apis/metrics.k8s.io/v1beta1/pods";
const PODS: &str = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods";
const NODES: &str = "/apis/metrics.k8s.io/v1beta1/nodes";

async fn cluster() -> Cluster {
    let cluster = Cluster::start().await;
    for name in ["one", "other"] {
        let node = json!({"metadata": {"name": name, "labels": {"is": name}}});
        assert_eq!(cluster.post("/api/v1/nodes", node).await.0, 201);
    }
    let namespace = json!({"metadata": {"name": "far"}});
    assert_eq!(cluster.post("/api/v1/namespaces", namespace).await.0, 201);
    for (namespace, name) in [("default", "web"), ("default", "new"), ("far", "db")] {
        let account = json!({"metadata": {"name": "default"}});
        cluster.post(&format!("/api/v1/namespaces/{namespace}/serviceaccounts"), account).await;
        let spec =
            json!({"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]});
        let pod = json!({"metadata": {"name": name, "labels": {"app": name}}, "spec": spec});
        let (code, made) = cluster.post(&format!("/api/v1/namespaces/{namespace}/pods"), pod).await;
        assert_eq!(code, 201, "{made}");
    }
    cluster
}

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap().iter();
    items.map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_pods_and_nodes_use_is_measured_when_it_is_read() {
    let cluster = cluster().await;
    assert_eq!(cluster.get(PODS).await.0, 503, "before the node runs");
    cluster.server.set_node(Arc::new(Meter));
    let (code, list) = cluster.get(PODS).await;
    assert_eq!((code, &list["kind"]), (200, &"PodMetricsList".into()));
    assert_eq!(names(&list), ["web"], "one that cannot be measured is not there");
    let web = &list["items"][0];
    let usage = |cpu: &str| json!({"cpu": cpu, "memory": "3Mi"});
    let containers =
        json!([{"name": "a", "usage": usage("1m")}, {"name": "b", "usage": usage("2500u")}]);
    assert_eq!(web["containers"], containers);
    assert_eq!(web["metadata"]["labels"], json!({"app": "web"}));
    let when = (&web["timestamp"], &web["window"]);
    assert_eq!(when, (&"2023-11-14T22:13:20Z".into(), &"15.02s".into()));
    assert_eq!(names(&cluster.get(ALL).await.1), ["web", "db"]);
    assert_eq!(names(&cluster.get(&format!("{ALL}?labelSelector=app%3Ddb")).await.1), ["db"]);
    let field = format!("{ALL}?fieldSelector=metadata.name%3Dweb");
    assert_eq!(names(&cluster.get(&field).await.1), ["web"]);
    let (code, one) = cluster.get(&format!("{PODS}/web")).await;
    assert_eq!((code, &one["kind"]), (200, &"PodMetrics".into()));
    let missing = async |path: String| {
        let (code, status) = cluster.get(&path).await;
        (code, status["message"].as_str().unwrap().to_owned())
    };
    let message = "podmetrics.metrics.k8s.io \"default/new\" not found";
    assert_eq!(missing(format!("{PODS}/new")).await, (404, message.into()), "is not measured yet");
    let message = "pods \"none\" not found";
    assert_eq!(missing(format!("{PODS}/none")).await, (404, message.into()));

    let (_, list) = cluster.get(NODES).await;
    assert_eq!(names(&list), ["one"]);
    assert_eq!(list["items"][0]["usage"], usage("250m"));
    assert_eq!(names(&cluster.get(&format!("{NODES}?labelSelector=is%3Dother")).await.1), [""; 0]);
    assert_eq!(cluster.get(&format!("{NODES}/one")).await.1["metadata"]["labels"]["is"], "one");
    let message = "nodemetrics.metrics.k8s.io \"other\" not found";
    assert_eq!(missing(format!("{NODES}/other")).await, (404, message.into()));
    for path in [format!("{PODS}?watch=1"), format!("{PODS}/web?watch=1")] {
        assert_eq!(cluster.get(&path).await.0, 405);
    }
    assert_eq!(cluster.get(&format!("{PODS}/web/status")).await.0, 404);
    assert_eq!(cluster.post(PODS, json!({"metadata": {"name": "x"}})).await.0, 405);
}

#[tokio::test]
async fn measurements_are_listed_where_other_kinds_are_and_guarded_like_them() {
    let cluster = cluster().await;
    cluster.server.set_node(Arc::new(Meter));
    let (_, resources) = cluster.get("/apis/metrics.k8s.io/v1beta1").await;
    let node = json!({"name": "nodes", "singularName": "nodemetrics", "namespaced": false,
        "kind": "NodeMetrics", "verbs": ["get", "list"]});
    assert_eq!(resources["resources"][0], node);
    let (_, document) = cluster.get("/openapi/v3/apis/metrics.k8s.io/v1beta1").await;
    let path = "/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods/{name}";
    let verbs: Vec<&String> = document["paths"][path].as_object().unwrap().keys().collect();
    assert_eq!(verbs, ["get", "parameters"]);
    let schema = "io.k8s.metrics.pkg.apis.metrics.v1beta1.PodMetrics";
    assert!(document["components"]["schemas"][schema]["properties"]["containers"].is_object());

    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";
    let role =
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"});
    let subject = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "eve"});
    let binding = json!({"metadata": {"name": "eve"}, "roleRef": role, "subjects": [subject]});
    assert_eq!(cluster.post(roles, binding).await.0, 201);
    let read =
        async |path: &str| cluster.call_as(User::new("eve", [""; 0]), "GET", path, "", "").await;
    let (code, list) = read(PODS).await;
    assert_eq!((code, names(&list)), (200, vec!["web"]));
    let (code, status) = read(NODES).await;
    let words =
        "cannot list resource \"nodes\" in API group \"metrics.k8s.io\" at the cluster scope";
    assert_eq!(code, 403);
    assert!(status["message"].as_str().unwrap().contains(words), "{status}");
}
