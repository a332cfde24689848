//! `nodes/proxy`: who may read what of a node.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt as _};
use serde_json::json;

use super::harness::Cluster;
use crate::apiserver::auth::User;
use crate::apiserver::{LogError, LogOptions, NodeBackend, Page, PageError, PageRequest, PodRef};

/// A node that tells what it is asked.
struct Echo;

impl NodeBackend for Echo {
    fn name(&self) -> &str {
        "one"
    }

    fn page(&self, request: PageRequest) -> BoxFuture<'_, Result<Page, PageError>> {
        Box::pin(async move {
            match request.path.as_str() {
                "stats/summary" => {
                    let text = json!({"since": request.parameter("since")}).to_string();
                    let pieces = [Bytes::from(text)];
                    Ok(Page {
                        content_type: "application/json",
                        body: stream::iter(pieces).boxed(),
                    })
                }
                "wrong" => Err(PageError::BadRequest("not like that".into())),
                _ => Err(PageError::NotFound),
            }
        })
    }

    fn logs(
        &self,
        _: PodRef,
        _: LogOptions,
    ) -> BoxFuture<'_, Result<BoxStream<'static, io::Result<Bytes>>, LogError>> {
        Box::pin(async { Err(LogError::NotAvailable("no pods here".into())) })
    }
}

const SUMMARY: &str = "/api/v1/nodes/one/proxy/stats/summary";

#[tokio::test]
async fn a_node_is_read_through_its_proxy() {
    let cluster = Cluster::start().await;
    for name in ["one", "other"] {
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}});
        assert_eq!(cluster.post("/api/v1/nodes", node).await.0, 201);
    }
    assert_eq!(cluster.get(SUMMARY).await.0, 503, "before the node runs");
    cluster.server.set_node(Arc::new(Echo));
    let (code, answer) = cluster.get(&format!("{SUMMARY}?since=7")).await;
    assert_eq!((code, &answer["since"]), (200, &"7".into()));
    let (code, answer) = cluster.get("/api/v1/nodes/one/proxy/metrics/none").await;
    assert_eq!(
        (code, answer.as_str()),
        (404, Some("404 page not found\n")),
        "as a kubelet answers"
    );
    let (code, answer) = cluster.get("/api/v1/nodes/one/proxy/wrong").await;
    assert_eq!((code, &answer["message"]), (400, &"not like that".into()));
    assert_eq!(cluster.get("/api/v1/nodes/other/proxy/stats/summary").await.0, 503);
    let (code, answer) = cluster.get("/api/v1/nodes/none/proxy/stats/summary").await;
    assert_eq!((code, &answer["reason"]), (404, &"NotFound".into()));
    assert_eq!(cluster.call("POST", SUMMARY, "application/json", "{}").await.0, 405);
}

#[tokio::test]
async fn reading_a_node_takes_a_right_of_its_own() {
    let cluster = Cluster::start().await;
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "one"}});
    cluster.post("/api/v1/nodes", node).await;
    cluster.server.set_node(Arc::new(Echo));
    let roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    for (name, resources) in [("reader", json!(["nodes"])), ("collector", json!(["nodes/proxy"]))] {
        let rules = json!([{"apiGroups": [""], "resources": resources, "verbs": ["get"]}]);
        let meta = json!({"name": name});
        assert_eq!(cluster.post(roles, json!({"metadata": meta, "rules": rules})).await.0, 201);
        let to =
            json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name});
        let subject =
            json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name});
        let binding = json!({"metadata": meta, "roleRef": to, "subjects": [subject]});
        assert_eq!(cluster.post(bindings, binding).await.0, 201);
    }
    let read = async |name: &str, path: &str| {
        cluster.call_as(User::new(name, [""; 0]), "GET", path, "", "").await
    };
    let (code, status) = read("reader", SUMMARY).await;
    assert_eq!(code, 403);
    let message = status["message"].as_str().unwrap();
    assert!(message.contains("cannot get resource \"nodes/proxy\""), "{message}");
    assert_eq!(read("collector", SUMMARY).await.0, 200);
    assert_eq!(read("collector", "/api/v1/nodes/one").await.0, 403);
}
