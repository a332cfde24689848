//! Ingresses and their classes, as clients make them.

use serde_json::{Value, json};

use super::harness::Cluster;

const INGRESSES: &str = "/apis/networking.k8s.io/v1/namespaces/default/ingresses";
const CLASSES: &str = "/apis/networking.k8s.io/v1/ingressclasses";
const MERGE: &str = "application/merge-patch+json";

fn ingress(name: &str) -> Value {
    json!({"metadata": {"name": name}, "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}},
        "spec": {"rules": [{"host": "a.example", "http": {"paths": [{"path": "/", "pathType": "Prefix",
            "backend": {"service": {"name": "web", "port": {"number": 80}}}}]}}]}})
}

#[tokio::test]
async fn ingresses_get_the_default_class_and_an_address_through_their_status() {
    let cluster = Cluster::start().await;
    let (code, made) = cluster.post(INGRESSES, ingress("none")).await;
    assert_eq!((code, &made["metadata"]["generation"]), (201, &json!(1)), "{made}");
    assert!(made["spec"].get("ingressClassName").is_none(), "there is no class yet");
    assert!(made["status"].is_null(), "only the status subresource writes it");

    let class = json!({"metadata": {"name": "front", "annotations": {
        "ingressclass.kubernetes.io/is-default-class": "true"}},
        "spec": {"controller": "example.com/front"}});
    assert_eq!(cluster.post(CLASSES, class).await.0, 201);
    let (_, made) = cluster.post(INGRESSES, ingress("usual")).await;
    assert_eq!(made["spec"]["ingressClassName"], "front");
    let mut former = ingress("former");
    former["metadata"]["annotations"] = json!({"kubernetes.io/ingress.class": "other"});
    let (_, made) = cluster.post(INGRESSES, former).await;
    assert!(made["spec"].get("ingressClassName").is_none(), "it names one as was usual once");

    let status = r#"{"status":{"loadBalancer":{"ingress":[{"ip":"10.0.0.1"}]}}}"#;
    let path = format!("{INGRESSES}/usual/status");
    let (code, seen) = cluster.call("PATCH", &path, MERGE, status).await;
    assert_eq!((code, &seen["metadata"]["generation"]), (200, &json!(1)), "{seen}");
    assert_eq!(seen["status"]["loadBalancer"]["ingress"], json!([{"ip": "10.0.0.1"}]));

    let (code, refused) = cluster.post(INGRESSES, json!({"metadata": {"name": "x"}})).await;
    let words = "Ingress.networking.k8s.io \"x\" is invalid: spec: Invalid value: null: either `defaultBackend` or `rules` must be specified";
    assert_eq!((code, &refused["message"]), (422, &json!(words)));
}
