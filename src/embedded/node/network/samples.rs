//! Short ways to write objects in this room's tests.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::index::{Index, Key};
use super::object::{Service, Slice};
use super::settings::Settings;

/// A Service from the JSON of its spec.
pub(super) fn service(spec: &str) -> Service {
    let spec: Value = serde_json::from_str(spec).unwrap();
    Service::from(&serde_json::from_value(json!({ "spec": spec })).unwrap())
}

/// A slice of Service `name` in namespace `shop`, from the JSON of its ports and endpoints.
pub(super) fn slice(name: &str, ports: &str, endpoints: &str) -> Slice {
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let slice = json!({
        "addressType": "IPv4",
        "metadata": {"namespace": "shop", "labels": {"kubernetes.io/service-name": name}},
        "ports": parse(ports),
        "endpoints": parse(endpoints),
    });
    Slice::of(&serde_json::from_value(slice).unwrap()).unwrap()
}

/// `shop/web` (10.96.0.20:80 → 10.244.0.5:8080, node port 30080), headless
/// `shop/db` with a named endpoint, and `shop/out`, a name for elsewhere.
pub(super) fn index() -> Index {
    let mut index = Index::default();
    let web = service(
        r#"{"clusterIP":"10.96.0.20","ports":[{"name":"http","port":80,"nodePort":30080},
            {"name":"talk","port":81,"protocol":"UDP"}]}"#,
    );
    index.put_service(Key::new("shop", "web"), web);
    let ports = r#"[{"name":"http","port":8080},{"name":"talk","port":8081,"protocol":"UDP"}]"#;
    index.put_slice(
        Key::new("shop", "web-1"),
        slice("web", ports, r#"[{"addresses":["10.244.0.5"]}]"#),
    );
    let db = service(r#"{"clusterIP":"None","ports":[{"name":"sql","port":5432}]}"#);
    index.put_service(Key::new("shop", "db"), db);
    let endpoints = r#"[{"addresses":["10.244.0.6"],"hostname":"db-0"},
        {"addresses":["10.244.0.7"]},{"addresses":["10.244.0.8"],"conditions":{"ready":false}}]"#;
    index.put_slice(
        Key::new("shop", "db-1"),
        slice("db", r#"[{"name":"sql","port":5432}]"#, endpoints),
    );
    let out = service(r#"{"type":"ExternalName","externalName":"example.org"}"#);
    index.put_service(Key::new("shop", "out"), out);
    let empty = service(r#"{"clusterIP":"10.96.0.30","ports":[{"port":80}]}"#);
    index.put_service(Key::new("shop", "empty"), empty);
    index
}

/// The usual ranges, with an API server at `api`.
pub(super) fn settings() -> Settings {
    Settings {
        pods: "10.244.0.0/16".parse().unwrap(),
        services: "10.96.0.0/16".parse().unwrap(),
        node: Ipv4Addr::new(10, 244, 0, 1),
        api_service: "10.96.0.1:443".parse().unwrap(),
        api_server: "127.0.0.1:6443".parse().unwrap(),
        dns_service: "10.96.0.10:53".parse().unwrap(),
        node_port_addresses: vec!["127.0.0.0/8".parse().unwrap()],
        resolv_conf: "/nonexistent/resolv.conf".into(),
        sight: true,
        offline: false,
    }
}
