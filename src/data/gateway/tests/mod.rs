//! From objects to answers, without a cluster: backends are real servers on
//! loopback, and their Services have 127.0.0.1 as virtual address.

mod live;
mod table;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::compile::{Compiled, compile};
use super::reconcile::{Opened, changes};
use super::world::{Key, Service, ServicePort, World};
use super::write::Change;

fn gateway_key() -> Key {
    Key::new("plane", "gateway-default")
}

/// A world with our class and a Gateway with these listeners.
fn world(listeners: Value) -> World {
    let mut world = World::default();
    let class = json!({"metadata": {"name": "curtain", "generation": 1},
        "spec": {"controllerName": "curtain.dev/gateway"}});
    world.classes.insert(Key::new("", "curtain"), serde_json::from_value(class).unwrap());
    let gateway = json!({
        "metadata": {"name": "gateway-default", "namespace": "plane", "generation": 3},
        "spec": {"gatewayClassName": "curtain", "listeners": listeners},
    });
    world.gateways.insert(gateway_key(), serde_json::from_value(gateway).unwrap());
    world
}

/// One HTTP listener that takes routes from everywhere.
fn open_listener(port: u16) -> Value {
    json!([{"name": "http", "port": port, "protocol": "HTTP",
        "allowedRoutes": {"namespaces": {"from": "All"}}}])
}

/// Add a route in namespace `app` for our Gateway.
fn add_route(world: &mut World, name: &str, mut spec: Value) {
    if spec.get("parentRefs").is_none() {
        spec["parentRefs"] = json!([{"name": "gateway-default", "namespace": "plane"}]);
    }
    let route = json!({
        "metadata": {"name": name, "namespace": "app", "generation": 1, "resourceVersion": "7"},
        "spec": spec,
    });
    world.routes.insert(Key::new("app", name), serde_json::from_value(route).unwrap());
}

fn add_service(world: &mut World, namespace: &str, name: &str, port: u16) {
    let service = Service {
        cluster_ip: Some("127.0.0.1".to_owned()),
        ports: vec![ServicePort { port, h2c: false }],
    };
    world.services.insert(Key::new(namespace, name), service);
}

fn compiled(world: &World) -> Compiled {
    compile(world, &gateway_key(), &world.gateways[&gateway_key()])
}

/// The statuses that would be written, by kind and name.
fn statuses(world: &World) -> BTreeMap<String, Value> {
    let compiled = compiled(world);
    let opened: Opened = compiled.router.ports.keys().map(|port| (*port, Ok(()))).collect();
    let all = changes(world, &gateway_key(), &compiled, &opened);
    let named = all.into_iter().map(|change| match change {
        Change::Class { name, conditions } => (format!("class {name}"), json!(conditions)),
        Change::Gateway { key, status } => (format!("gateway {}", key.name), json!(status)),
        Change::Route { key, parents, .. } => (format!("route {}", key.name), json!(parents)),
    });
    named.collect()
}

/// `status reason` of one condition in a list.
fn condition(conditions: &Value, r#type: &str) -> String {
    let found = conditions.as_array().unwrap().iter().find(|c| c["type"] == r#type).unwrap();
    format!("{} {}", found["status"].as_str().unwrap(), found["reason"].as_str().unwrap())
}
