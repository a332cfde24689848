//! Webhooks of a server that is offline: whoever is beyond the machine is not asked, whatever leads there.

use serde_json::{Value, json};

use super::harness::Cluster;
use super::hooks::{Hooks, register};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const SERVICES: &str = "/api/v1/namespaces/default/services";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
const BEYOND: &str =
    "the instance is offline: only loopback, the node and its pods are connected to";

fn map(name: &str) -> Value {
    json!({"metadata": {"name": name}})
}

/// A hook at a path of the Service `localhost`.
fn behind_service(hooks: &Hooks, path: &str) -> Value {
    let service = json!({"namespace": "default", "name": "localhost", "path": path});
    hooks.hook(path, "configmaps", json!({"clientConfig": {"url": null, "service": service}}))
}

fn slice(address: &str, port: u16) -> Value {
    json!({"metadata": {"name": "s", "labels": {"kubernetes.io/service-name": "localhost"}},
        "addressType": "IPv4", "ports": [{"port": port}], "endpoints": [{"addresses": [address]}]})
}

/// What becomes of a write that the hooks are asked about, and why.
async fn refusal(cluster: &Cluster) -> String {
    let (code, status) = cluster.post(MAPS, map("refused")).await;
    assert_eq!(code, 500, "{status}");
    status["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_address_beyond_the_machine_is_not_connected_to_and_a_name_not_asked_for() {
    let (cluster, hooks) = (Cluster::offline().await, Hooks::start().await);
    let at = |url: &str| hooks.hook("/deny", "configmaps", json!({"clientConfig": {"url": url}}));
    for (name, url, why) in [
        ("v4", "https://192.0.2.1/deny", format!("dial tcp 192.0.2.1:443: {BEYOND}")),
        ("v6", "https://[2001:db8::1]:8443/deny", format!("dial tcp [2001:db8::1]:8443: {BEYOND}")),
        (
            "name",
            "https://hook.example.com/deny",
            "lookup hook.example.com: the instance is offline: no name is asked for but localhost"
                .into(),
        ),
    ] {
        register(&cluster, "Validating", name, json!([at(url)])).await;
        let said = refusal(&cluster).await;
        assert!(said.contains(&why), "{said}");
        let path = format!("{}/validatingwebhookconfigurations/{name}", super::hooks::HOOKS);
        assert_eq!(cluster.call("DELETE", &path, "application/json", "").await.0, 200);
    }
    // What is on the machine itself is asked.
    register(&cluster, "Validating", "near", json!([at(&format!("{}/deny", hooks.url))])).await;
    assert_eq!(cluster.post(MAPS, map("a")).await.0, 403);
    assert_eq!(hooks.seen().len(), 1);
}

#[tokio::test]
async fn a_service_that_is_a_name_elsewhere_is_not_looked_up() {
    let (cluster, hooks) = (Cluster::offline().await, Hooks::start().await);
    let service = json!({"metadata": {"name": "localhost"},
        "spec": {"type": "ExternalName", "externalName": "hook.example.com"}});
    assert_eq!(cluster.post(SERVICES, service).await.0, 201);
    register(&cluster, "Mutating", "m", json!([behind_service(&hooks, "/label")])).await;
    let said = refusal(&cluster).await;
    assert!(said.contains("lookup hook.example.com: the instance is offline"), "{said}");
}

#[tokio::test]
async fn an_endpoint_beyond_the_machine_is_not_connected_to() {
    let (cluster, hooks) = (Cluster::offline().await, Hooks::start().await);
    let service = json!({"metadata": {"name": "localhost"}, "spec": {"ports": [{"port": 443}]}});
    assert_eq!(cluster.post(SERVICES, service).await.0, 201);
    assert_eq!(cluster.post(SLICES, slice("192.0.2.1", 9443)).await.0, 201);
    register(&cluster, "Validating", "v", json!([behind_service(&hooks, "/deny")])).await;
    let said = refusal(&cluster).await;
    assert!(said.contains(&format!("dial tcp 192.0.2.1:9443: {BEYOND}")), "{said}");

    // One that is near is asked, of the same Service.
    let path = format!("{SLICES}/s");
    assert_eq!(cluster.call("DELETE", &path, "application/json", "").await.0, 200);
    let port = hooks.url.rsplit(':').next().unwrap().parse().unwrap();
    assert_eq!(cluster.post(SLICES, slice("127.0.0.1", port)).await.0, 201);
    assert_eq!(cluster.post(MAPS, map("a")).await.0, 403);
}
