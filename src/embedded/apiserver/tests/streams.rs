//! What is wrong with a request for a stream is told before its connection changes; who may make one.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde_json::json;

use super::harness::Cluster;
use crate::apiserver::auth::User;
use crate::apiserver::{LogError, LogOptions, NodeBackend, Page, PageError, PageRequest, PodRef};

/// A node in whose pods `main` runs and nothing else.
struct One;

impl NodeBackend for One {
    fn name(&self) -> &str {
        "one"
    }

    fn page(&self, _: PageRequest) -> BoxFuture<'_, Result<Page, PageError>> {
        Box::pin(async { Err(PageError::NotFound) })
    }

    fn logs(
        &self,
        _: PodRef,
        _: LogOptions,
    ) -> BoxFuture<'_, Result<BoxStream<'static, io::Result<Bytes>>, LogError>> {
        Box::pin(async { Err(LogError::NotAvailable("no logs here".into())) })
    }

    fn runs(&self, _: &PodRef, container: &str) -> bool {
        container == "main"
    }
}

const PODS: &str = "/api/v1/namespaces/default/pods";

async fn cluster() -> Cluster {
    let cluster = Cluster::start().await;
    cluster.server.set_node(Arc::new(One));
    let account = json!({"metadata": {"name": "default"}});
    cluster.post("/api/v1/namespaces/default/serviceaccounts", account).await;
    for (name, node) in [("web", Some("one")), ("new", None), ("lost", Some("gone"))] {
        let containers = json!([{"name": "main", "image": "a"}, {"name": "side", "image": "b"}]);
        let pod = json!({"metadata": {"name": name},
            "spec": {"nodeName": node, "containers": containers}});
        let (code, answer) = cluster.post(PODS, pod).await;
        assert_eq!(code, 201, "{answer}");
    }
    cluster
}

#[tokio::test]
async fn what_is_wrong_is_told_as_a_status() {
    let cluster = cluster().await;
    let run = "container=main&command=x&stdout=true";
    for (path, code, message) in [
        (format!("none/exec?{run}"), 404, "pods \"none\" not found"),
        (format!("new/exec?{run}"), 400, "pod new does not have a host assigned"),
        (format!("lost/exec?{run}"), 503, "the node \"gone\" is not running"),
        (
            "web/exec?command=x&stdout=1".to_owned(),
            400,
            "a container name must be specified for pod web, choose one of: [main side]",
        ),
        (
            "web/exec?command=x&stdout=1&container=x".to_owned(),
            400,
            "container x is not valid for pod web",
        ),
        ("web/attach?stdout=1&container=side".to_owned(), 400, "container not found (\"side\")"),
        ("web/attach?container=main".to_owned(), 400, "at least 1 of stdin, stdout, stderr"),
        ("web/exec?stdout=1&container=main".to_owned(), 400, "at least one command"),
        (format!("web/exec?{run}"), 400, "Upgrade request required"),
        ("web/portforward?ports=80".to_owned(), 400, "pod is not running. Current status=Pending"),
    ] {
        for method in ["GET", "POST"] {
            let path = format!("{PODS}/{path}");
            let (found, status) = cluster.call(method, &path, "", "").await;
            let text = status["message"].as_str().unwrap_or_default();
            assert!(found == code && text.contains(message), "{method} {path}: {status}");
        }
    }
    assert_eq!(cluster.call("PUT", &format!("{PODS}/web/exec?{run}"), "", "").await.0, 405);
    let (_, status) = cluster.call("POST", &format!("{PODS}/web/exec?{run}"), "", "").await;
    assert!(status["message"].as_str().unwrap().contains("WebSocket"), "{status}");
}

#[tokio::test]
async fn who_may_only_look_runs_nothing() {
    let cluster = cluster().await;
    let base = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    for (name, verbs) in [("looks", json!(["get"])), ("runs", json!(["get", "create"]))] {
        let meta = json!({"name": name});
        let rules = json!([{"apiGroups": [""], "verbs": verbs,
            "resources": ["pods/exec", "pods/attach", "pods/portforward"]}]);
        let role = json!({"metadata": meta, "rules": rules});
        assert_eq!(cluster.post(&format!("{base}/roles"), role).await.0, 201);
        let group = "rbac.authorization.k8s.io";
        let binding = json!({"metadata": meta,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
            "subjects": [{"apiGroup": group, "kind": "User", "name": name}]});
        assert_eq!(cluster.post(&format!("{base}/rolebindings"), binding).await.0, 201);
    }
    for what in ["exec?command=x&stdout=1&container=main", "attach?stdout=1&container=main"] {
        let path = format!("{PODS}/web/{what}");
        let get = async |name: &str| {
            cluster.call_as(User::new(name, [""; 0]), "GET", &path, "", "").await
        };
        let (code, status) = get("looks").await;
        let message = status["message"].as_str().unwrap();
        assert!(code == 403 && message.contains("cannot create resource \"pods/"), "{message}");
        assert_eq!(get("runs").await.0, 400, "it got as far as the upgrade");
    }
}
