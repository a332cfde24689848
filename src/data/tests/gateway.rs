//! The gateway role against a real API server: objects in, answers and statuses out.

#![allow(clippy::unwrap_used)]

mod support;

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use curtain_data::gateway::{Config, run};
use curtain_role::{Shutdown, http_client};
use http_body_util::Full;
use serde_json::{Value, json};

use support::{Cluster, LIMIT};

const GROUP: &str = "/apis/gateway.networking.k8s.io/v1";

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The CRDs that the bundle installs.
async fn install(cluster: &Cluster) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bundles/gateway-api/crds");
    let mut names = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let crd: Value = serde_saphyr::from_str(&text).unwrap();
        cluster.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &crd).await;
        let version = crd["spec"]["versions"][0]["name"].as_str().unwrap().to_owned();
        names.push(format!(
            "/apis/gateway.networking.k8s.io/{version}/{}",
            crd["spec"]["names"]["plural"].as_str().unwrap()
        ));
    }
    for path in names {
        cluster.until(&path, |_| true).await;
    }
}

fn condition<'a>(conditions: &'a Value, r#type: &str) -> &'a str {
    let all = conditions.as_array().map(Vec::as_slice).unwrap_or_default();
    let found = all.iter().find(|condition| condition["type"] == r#type);
    found.map_or("absent", |condition| condition["status"].as_str().unwrap())
}

/// Ask for `path` of `host` until the answer has `status`.
async fn until_status(port: u16, host: &str, path: &str, status: u16) -> http::HeaderMap {
    let end = Instant::now() + LIMIT;
    let client = http_client();
    loop {
        let request = http::Request::get(format!("http://127.0.0.1:{port}{path}"))
            .header("host", host)
            .body(Full::<Bytes>::default())
            .unwrap();
        let answer = client.request(request).await;
        match answer {
            Ok(answer) if answer.status() == status => return answer.headers().clone(),
            other => assert!(Instant::now() < end, "{host}{path} stayed {other:?}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn routes_are_served_and_told_about_as_they_come_and_go() {
    let cluster = Cluster::start().await;
    install(&cluster).await;
    for name in ["plane", "app"] {
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        cluster.create("/api/v1/namespaces", &namespace).await;
    }
    let (port, health) = (free_port(), free_port());
    let shutdown = Shutdown::default();
    let role = tokio::spawn(run(
        Config {
            bind: Ipv4Addr::LOCALHOST.into(),
            health_port: health,
            namespace: "plane".into(),
            name: "gateway-default".into(),
            strip_cookies: true,
            instance: curtain_role::Instance::default(),
            kube: cluster.kube.clone(),
        },
        shutdown.clone(),
    ));
    let class = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
        "metadata": {"name": "curtain"}, "spec": {"controllerName": "curtain.dev/gateway"}});
    cluster.create(&format!("{GROUP}/gatewayclasses"), &class).await;
    let gateway = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": {"name": "gateway-default"},
        "spec": {"gatewayClassName": "curtain", "listeners": [{"name": "http", "port": port,
            "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}]}});
    cluster.create(&format!("{GROUP}/namespaces/plane/gateways"), &gateway).await;
    until_status(health, "x", "/readyz", 200).await;
    until_status(port, "a.localhost", "/", 404).await;

    let route = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "r"}, "spec": {
            "parentRefs": [{"name": "gateway-default", "namespace": "plane"}],
            "hostnames": ["a.localhost"],
            "rules": [{"filters": [{"type": "RequestRedirect",
                "requestRedirect": {"hostname": "b.localhost"}}]}]}});
    let start = Instant::now();
    cluster.create(&format!("{GROUP}/namespaces/app/httproutes"), &route).await;
    let headers = until_status(port, "a.localhost", "/x", 302).await;
    println!("a route was served {:?} after it was asked for", start.elapsed());
    assert_eq!(headers["location"], "http://b.localhost/x");
    until_status(port, "localhost", "/@a/x", 302).await;

    let path = format!("{GROUP}/namespaces/app/httproutes/r");
    let told = cluster.until(&path, |route| {
        condition(&route["status"]["parents"][0]["conditions"], "Accepted") == "True"
    });
    let told = told.await;
    let parent = &told["status"]["parents"][0];
    assert_eq!(parent["controllerName"], "curtain.dev/gateway");
    assert_eq!(condition(&parent["conditions"], "ResolvedRefs"), "True");
    let path = format!("{GROUP}/namespaces/plane/gateways/gateway-default");
    let told = cluster.until(&path, |gateway| {
        gateway["status"]["listeners"][0]["attachedRoutes"] == 1
            && condition(&gateway["status"]["conditions"], "Programmed") == "True"
    });
    told.await;
    let path = format!("{GROUP}/gatewayclasses/curtain");
    let told = cluster
        .until(&path, |class| condition(&class["status"]["conditions"], "Accepted") == "True");
    told.await;

    // A backend that is not there: told in the status, 500 to clients.
    let broken = json!({"spec": {"rules": [{"backendRefs": [{"name": "nope", "port": 1}]}]}});
    let path = format!("{GROUP}/namespaces/app/httproutes/r");
    cluster.send("PATCH", &path, &broken).await.unwrap();
    until_status(port, "a.localhost", "/x", 500).await;
    let told = cluster.until(&path, |route| {
        condition(&route["status"]["parents"][0]["conditions"], "ResolvedRefs") == "False"
    });
    told.await;
    cluster.send("DELETE", &path, &Value::Null).await.unwrap();
    until_status(port, "a.localhost", "/x", 404).await;

    shutdown.trigger();
    role.await.unwrap().unwrap();
}
