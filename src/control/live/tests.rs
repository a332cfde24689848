//! Live views of a binding whose objects are in a cluster with a node that has logs.

use std::{io, sync::Arc};

use bytes::Bytes;
use curtain_embedded::apiserver::{
    LogError, LogOptions, NodeBackend, Page, PageError, PageRequest, PodRef,
};
use futures::{StreamExt as _, future::BoxFuture, stream, stream::BoxStream};
use http::Method;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::testing::Platform;

const BINDING: &str = "/api/v1/namespaces/team/releasebindings/web-development/k8sresources";

/// Two lines for every container; one more for a follower.
struct Node;

impl NodeBackend for Node {
    fn name(&self) -> &str {
        "node"
    }

    fn page(&self, _: PageRequest) -> BoxFuture<'_, Result<Page, PageError>> {
        Box::pin(async { Err(PageError::NotFound) })
    }

    fn logs(
        &self,
        pod: PodRef,
        options: LogOptions,
    ) -> BoxFuture<'_, Result<BoxStream<'static, io::Result<Bytes>>, LogError>> {
        Box::pin(async move {
            assert!(options.timestamps, "lines are sorted by their times");
            let second = if options.container == "main" { 1 } else { 2 };
            let mut text = format!(
                "2026-11-22T13:00:0{second}Z {} of {}\nwithout a time\n",
                options.container, pod.name
            );
            if options.follow {
                text.push_str("2026-11-22T13:00:09Z later\n");
            }
            Ok(stream::iter([Ok(Bytes::from(text))]).boxed())
        })
    }
}

fn platform_object(kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "openchoreo.dev/v1alpha1", "kind": kind,
        "metadata": {"name": name, "namespace": "team"}, "spec": spec,
    })
}

/// A binding `web-development` with a Deployment, its pod, and a pod of somebody else.
async fn deployed() -> Platform {
    let platform = Platform::start().await;
    platform.cluster.set_node(Arc::new(Node));
    let owner = json!({"projectName": "shop", "componentName": "web"});
    let binding = json!({"owner": owner, "environment": "development", "releaseName": "web-1"});
    let binding =
        platform.apply(platform_object("ReleaseBinding", "web-development", binding)).await;

    let labels = json!({"app": "web"});
    let container = |name: &str| json!({"name": name, "image": "web:1"});
    let pod = json!({"containers": [container("main"), container("side")]});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "team"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    });
    platform.apply(deployment.clone()).await;
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "default", "namespace": "team"}});
    platform.apply(account).await;
    for (name, labels) in [("web-abc", &labels), ("other", &json!({"app": "other"}))] {
        platform
            .apply(json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": name, "namespace": "team", "labels": labels},
                "spec": {"containers": pod["containers"], "nodeName": "node"},
                "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
            }))
            .await;
    }
    let mut release = platform_object(
        "RenderedRelease",
        "web-development",
        json!({
            "owner": owner, "environmentName": "development",
            "resources": [{"id": "deployment", "object": deployment}],
        }),
    );
    release["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "openchoreo.dev/v1alpha1", "kind": "ReleaseBinding", "name": "web-development",
        "uid": binding.metadata.uid, "controller": true,
    }]);
    release["status"] = json!({"resources": [{
        "id": "deployment", "group": "apps", "version": "v1", "kind": "Deployment",
        "name": "web", "namespace": "team", "healthStatus": "Healthy",
    }]});
    platform.apply(release).await;
    platform
}

#[tokio::test]
async fn the_tree_has_the_rendered_objects_and_their_pods() {
    let platform = deployed().await;
    let token = platform.token("one").await;
    let (status, tree) = platform.send(&token, Method::GET, &format!("{BINDING}/tree"), None).await;
    assert_eq!(status, 200, "{tree}");
    let nodes = tree["renderedReleases"][0]["nodes"].as_array().expect("nodes");
    let shown: Vec<_> = nodes
        .iter()
        .map(|node| {
            (node["kind"].as_str(), node["name"].as_str(), node["health"]["status"].as_str())
        })
        .collect();
    assert_eq!(
        shown,
        [
            (Some("Deployment"), Some("web"), Some("Healthy")),
            (Some("Pod"), Some("web-abc"), Some("Healthy")),
        ]
    );
    assert_eq!(nodes[1]["parentRefs"][0]["kind"], "Deployment");
}

#[tokio::test]
async fn logs_are_those_of_the_bindings_own_pods() {
    let platform = deployed().await;
    let token = platform.token("one").await;
    let get = async |query: &str| {
        platform.send(&token, Method::GET, &format!("{BINDING}/logs?{query}"), None).await
    };
    let (status, body) = get("podName=web-abc").await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(
        body["logEntries"],
        json!([
            {"timestamp": "2026-11-22T13:00:01Z", "log": "main of web-abc", "container": "main"},
            {"timestamp": "2026-11-22T13:00:02Z", "log": "side of web-abc", "container": "side"},
        ])
    );
    let (_, one) = get("podName=web-abc&container=side").await;
    assert_eq!(one["logEntries"].as_array().map(Vec::len), Some(1));
    let (status, body) = get("podName=web-abc&container=gone").await;
    assert_eq!(status, 400, "{body}");
    assert!(
        body["error"].as_str().is_some_and(|error| error.contains("it has main, side")),
        "{body}"
    );
    let (status, body) = get("podName=other").await;
    assert_eq!(status, 404, "a pod of somebody else");
    assert!(body["error"].as_str().is_some_and(|error| error.contains("web-abc")), "{body}");
    assert_eq!(get("container=main").await.0, 400);
}

#[tokio::test]
async fn a_follower_gets_lines_as_events_until_the_end() {
    let platform = deployed().await;
    let token = platform.token("one").await;
    let path = format!("{BINDING}/logs?podName=web-abc&container=main&follow=true");
    let response = platform.raw(&token, Method::GET, &path, None, &[]).await;
    let body = response.into_body().collect().await.expect("body").to_bytes();
    let text = String::from_utf8_lossy(&body);
    assert_eq!(text.matches("event: log").count(), 2, "{text}");
    assert!(text.contains("\"log\":\"later\""), "{text}");
}

#[tokio::test]
async fn who_may_not_see_logs_gets_none() {
    let platform = deployed().await;
    platform
        .apply(json!({
            "apiVersion": "openchoreo.dev/v1alpha1", "kind": "ClusterAuthzRole",
            "metadata": {"name": "logs"}, "spec": {"actions": ["logs:view"]},
        }))
        .await;
    // Only of this environment: the binding's environment is what the condition sees.
    platform.apply(json!({
        "apiVersion": "openchoreo.dev/v1alpha1", "kind": "ClusterAuthzRoleBinding",
        "metadata": {"name": "no-logs"},
        "spec": {
            "effect": "deny",
            "entitlement": {"claim": "sub", "value": "one"},
            "roleMappings": [{
                "roleRef": {"kind": "ClusterAuthzRole", "name": "logs"},
                "conditions": [{
                    "actions": ["logs:view"], "expression": "resource.environment == 'team/development'",
                }],
            }],
        },
    })).await;
    let token = platform.token("one").await;
    let path = format!("{BINDING}/logs?podName=web-abc");
    for _ in 0..200 {
        let (status, body) = platform.send(&token, Method::GET, &path, None).await;
        if status == 403 {
            assert!(
                body["error"].as_str().is_some_and(|error| error.contains("no-logs forbids")),
                "{body}"
            );
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the deny had no effect within two seconds");
}
