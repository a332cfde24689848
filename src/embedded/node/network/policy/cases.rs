//! What policies mean, as a table: worlds with their policies, and who reaches whom in them. The core is asked, and
//! then real pods.
//!
//! | pod | namespace | labels | listens on |
//! |---|---|---|---|
//! | `front` | `shop` | `app: front`, `tier: edge` | 8080 |
//! | `api` | `shop` | `app: api`, `tier: core` | 8080 (`http`), 9090 (`metrics`), 9091, 9092; UDP 8081 (`talk`), 8082 |
//! | `db` | `shop` | `app: db`, `tier: core` | 5432 (`sql`) |
//! | `guest` | `guests` (`team: red`) | `app: front` | 8080 |
//! | `prober` | `guests` | `app: prober` | 8080 |
//!
//! `svc` is the Service of `api` (80 to `http`, UDP 81 to `talk`), `node` the node's address with its node port, `door`
//! a front door to `svc`, `dns` and `kube` the cluster's own Services; everything else is an address.

use std::net::{Ipv4Addr, SocketAddrV4};

use serde_json::{Value, json};

use crate::node::network::index::Protocol;

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node::network) enum Want {
    /// It arrives.
    Through,
    /// The source is not let out.
    NotOut,
    /// The destination does not let it in.
    NotIn,
}

use Want::{NotIn, NotOut, Through};

/// Who, to whom, and what becomes of it.
pub(in crate::node::network) type Case = (&'static str, &'static str, Want);

/// Policies, and what is so with them.
pub(in crate::node::network) struct World {
    pub(in crate::node::network) name: &'static str,
    pub(in crate::node::network) policies: Vec<Value>,
    pub(in crate::node::network) cases: &'static [Case],
}

/// Name, namespace, last part of the address, labels, ports of TCP and UDP.
pub(in crate::node::network) type Who =
    (&'static str, &'static str, u8, &'static str, &'static [u16], &'static [u16]);

pub(in crate::node::network) const PODS: [Who; 5] = [
    ("front", "shop", 9, r#"{"app":"front","tier":"edge"}"#, &[8080], &[]),
    ("api", "shop", 5, r#"{"app":"api","tier":"core"}"#, &[8080, 9090, 9091, 9092], &[8081, 8082]),
    ("db", "shop", 6, r#"{"app":"db","tier":"core"}"#, &[5432], &[]),
    ("guest", "guests", 21, r#"{"app":"front"}"#, &[8080], &[]),
    ("prober", "guests", 22, r#"{"app":"prober"}"#, &[8080], &[]),
];

/// The pod's object.
pub(in crate::node::network) fn pod(who: &Who) -> Value {
    let (name, namespace, _, labels, _, _) = *who;
    let labels: Value = serde_json::from_str(labels).unwrap();
    let ports = match name {
        "api" => json!([{"name": "http", "containerPort": 8080},
            {"name": "metrics", "containerPort": 9090, "protocol": "TCP"},
            {"name": "talk", "containerPort": 8081, "protocol": "UDP"}]),
        "db" => json!([{"name": "sql", "containerPort": 5432}]),
        _ => json!([]),
    };
    json!({"metadata": {"name": name, "namespace": namespace, "uid": name, "labels": labels},
        "spec": {"containers": [{"name": "main", "ports": ports}]}})
}

/// The labels that the namespaces have beside their names.
pub(in crate::node::network) const NAMESPACES: [(&str, &str, &str); 3] =
    [("shop", "team", "blue"), ("guests", "team", "red"), ("kube-system", "team", "none")];

/// Where a case's connection goes.
pub(in crate::node::network) fn target(to: &str) -> (Protocol, SocketAddrV4) {
    let (protocol, to) = match to.strip_prefix("udp ") {
        Some(to) => (Protocol::Udp, to),
        None => (Protocol::Tcp, to),
    };
    let (name, port) = to.split_once(':').unwrap();
    let pod = PODS.iter().find(|who| who.0 == name).map(|who| Ipv4Addr::new(10, 244, 0, who.2));
    let address = pod.unwrap_or_else(|| match name {
        "svc" => Ipv4Addr::new(10, 96, 0, 20),
        "dns" => Ipv4Addr::new(10, 96, 0, 10),
        "kube" => Ipv4Addr::new(10, 96, 0, 1),
        "node" => Ipv4Addr::new(10, 244, 0, 1),
        address => address.parse().unwrap(),
    });
    (protocol, SocketAddrV4::new(address, port.parse().unwrap()))
}

/// A policy of `shop` for the pods of `app`, or for all without one, with the rest of its spec.
fn policy(app: &str, rest: Value) -> Value {
    in_namespace("shop", app, rest)
}

fn in_namespace(namespace: &str, app: &str, rest: Value) -> Value {
    let pods = if app.is_empty() { json!({}) } else { json!({"matchLabels": {"app": app}}) };
    let mut spec = rest;
    spec["podSelector"] = pods;
    json!({"metadata": {"namespace": namespace}, "spec": spec})
}

/// Only these may come in to `app`.
fn from(app: &str, peers: Value) -> Value {
    policy(app, json!({"policyTypes": ["Ingress"], "ingress": [{"from": peers}]}))
}

/// `app` may only go out to these.
fn to(app: &str, peers: Value) -> Value {
    policy(app, json!({"policyTypes": ["Egress"], "egress": [{"to": peers}]}))
}

fn labels(labels: Value) -> Value {
    json!({"matchLabels": labels})
}

fn expression(key: &str, operator: &str, values: Value) -> Value {
    json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]})
}

/// All worlds.
pub(in crate::node::network) fn worlds() -> Vec<World> {
    let world = |name, policies: Value, cases| {
        let Value::Array(policies) = policies else { panic!("policies are a list") };
        World { name, policies, cases }
    };
    let deny_in = || policy("", json!({"policyTypes": ["Ingress"]}));
    let deny_out = |app: &str| policy(app, json!({"policyTypes": ["Egress"]}));
    let app = |name: &str| json!({"podSelector": labels(json!({"app": name}))});
    let red = || labels(json!({"team": "red"}));
    let named = |name: &str| labels(json!({"kubernetes.io/metadata.name": name}));
    let block = |cidr: &str, except: Value| json!({"ipBlock": {"cidr": cidr, "except": except}});
    let ports = |ports: Value| policy("api", json!({"ingress": [{"ports": ports}]}));
    vec![
        world(
            "without a policy",
            json!([]),
            &[
                ("front", "api:8080", Through),
                ("guest", "db:5432", Through),
                ("front", "udp api:8081", Through),
                ("front", "9.9.9.9:443", Through),
                ("front", "udp dns:53", Through),
                ("front", "kube:443", Through),
                ("host", "door", Through),
            ],
        ),
        world(
            "nobody is let in",
            json!([deny_in()]),
            &[
                ("front", "api:8080", NotIn),
                ("front", "svc:80", NotIn),
                ("front", "node:30080", NotIn),
                ("guest", "api:8080", NotIn),
                ("front", "udp api:8081", NotIn),
                ("front", "udp svc:81", NotIn),
                ("front", "guest:8080", Through),
                ("front", "udp dns:53", Through),
                ("front", "kube:443", Through),
                ("front", "9.9.9.9:443", Through),
                // A pod reaches itself, and the node reaches everybody.
                ("api", "svc:80", Through),
                ("host", "door", Through),
                ("host", "nodeport", Through),
                ("host", "api:8080", Through),
            ],
        ),
        world(
            "one pod is not let out",
            json!([deny_out("front")]),
            &[
                ("front", "api:8080", NotOut),
                ("front", "svc:80", NotOut),
                ("front", "node:30080", NotOut),
                ("front", "udp api:8081", NotOut),
                ("front", "udp dns:53", NotOut),
                ("front", "dns:53", NotOut),
                ("front", "kube:443", NotOut),
                ("front", "9.9.9.9:443", NotOut),
                ("front", "udp 9.9.9.9:99", NotOut),
                ("api", "front:8080", Through),
                ("api", "db:5432", Through),
                ("host", "front:8080", Through),
            ],
        ),
        world(
            "what is not said is not forbidden, and egress rules speak of egress",
            json!([policy("front", json!({"egress": [{"to": [app("db")]}]}))]),
            &[
                // Without types it is about both directions, as it has egress rules: nobody is let in.
                ("front", "db:5432", Through),
                ("front", "api:8080", NotOut),
                ("api", "front:8080", NotIn),
            ],
        ),
        world(
            "everybody is let in after all",
            json!([deny_in(), policy("api", json!({"ingress": [{}]}))]),
            &[
                ("front", "api:8080", Through),
                ("guest", "udp api:8082", Through),
                ("front", "db:5432", NotIn),
            ],
        ),
        world(
            "pods of the namespace",
            json!([from("api", json!([app("front")]))]),
            &[
                ("front", "api:8080", Through),
                ("front", "svc:80", Through),
                ("db", "api:8080", NotIn),
                ("guest", "api:8080", NotIn),
                ("front", "db:5432", Through),
            ],
        ),
        world(
            "all pods of the namespace",
            json!([from("api", json!([{"podSelector": {}}]))]),
            &[("db", "api:9092", Through), ("guest", "api:9092", NotIn)],
        ),
        world(
            "pods of namespaces with labels",
            json!([from("api", json!([{"namespaceSelector": red()}]))]),
            &[
                ("guest", "api:8080", Through),
                ("prober", "svc:80", Through),
                ("front", "api:8080", NotIn),
            ],
        ),
        world(
            "a namespace by its name, and all",
            json!([
                from("api", json!([{"namespaceSelector": named("guests")}])),
                from("db", json!([{"namespaceSelector": {}}])),
            ]),
            &[
                ("guest", "api:8080", Through),
                ("front", "api:8080", NotIn),
                ("guest", "db:5432", Through),
                ("front", "db:5432", Through),
            ],
        ),
        world(
            "both selectors in one peer",
            json!([from(
                "api",
                json!([{"namespaceSelector": red(), "podSelector": app("front")["podSelector"]}])
            )]),
            &[
                ("guest", "api:8080", Through),
                ("prober", "api:8080", NotIn),
                ("front", "api:8080", NotIn),
            ],
        ),
        world(
            "both selectors in two peers",
            json!([from("api", json!([{"namespaceSelector": red()}, app("db")]))]),
            &[
                ("prober", "api:8080", Through),
                ("db", "api:8080", Through),
                ("front", "api:8080", NotIn),
            ],
        ),
        world(
            "expressions",
            json!([
                from("api", json!([{"podSelector": expression("app", "In", json!(["db", "x"]))}])),
                from("db", json!([{"podSelector": expression("tier", "NotIn", json!(["edge"]))}])),
                from(
                    "front",
                    json!([{"namespaceSelector": expression("team", "Exists", json!([])),
                        "podSelector": expression("tier", "DoesNotExist", json!([]))}])
                ),
            ]),
            &[
                ("db", "api:8080", Through),
                ("front", "api:8080", NotIn),
                ("api", "db:5432", Through),
                ("front", "db:5432", NotIn),
                ("guest", "front:8080", Through),
                ("api", "front:8080", NotIn),
            ],
        ),
        world(
            "a port",
            json!([ports(json!([{"port": 8080}]))]),
            &[
                ("front", "api:8080", Through),
                // What counts is the pod's port, not its Service's.
                ("front", "svc:80", Through),
                ("front", "api:9090", NotIn),
                ("front", "udp api:8081", NotIn),
            ],
        ),
        world(
            "a Service's port is nobody's",
            json!([ports(json!([{"port": 80}, {"port": 81, "protocol": "UDP"}]))]),
            &[("front", "svc:80", NotIn), ("front", "udp svc:81", NotIn)],
        ),
        world(
            "a range of ports",
            json!([ports(json!([{"port": 9090, "endPort": 9091}]))]),
            &[
                ("front", "api:9090", Through),
                ("front", "api:9091", Through),
                ("front", "api:9092", NotIn),
                ("front", "api:8080", NotIn),
            ],
        ),
        world(
            "ports by name, of the destination",
            json!([
                ports(json!([{"port": "http"}, {"port": "talk", "protocol": "UDP"}])),
                policy(
                    "front",
                    json!({"policyTypes": ["Egress"],
                    "egress": [{"ports": [{"port": "sql"}, {"port": "http"}, {"port": "dns-tcp"}]}]})
                ),
            ]),
            &[
                ("front", "svc:80", Through),
                ("front", "db:5432", Through),
                ("front", "api:9090", NotOut),
                ("front", "dns:53", Through),
                ("front", "udp dns:53", NotOut),
                ("front", "9.9.9.9:8080", NotOut),
                ("db", "udp svc:81", Through),
                ("db", "udp api:8082", NotIn),
                ("db", "api:9090", NotIn),
            ],
        ),
        world(
            "all ports of a protocol",
            json!([ports(json!([{"protocol": "UDP"}]))]),
            &[
                ("front", "udp api:8081", Through),
                ("front", "udp api:8082", Through),
                ("front", "api:8080", NotIn),
            ],
        ),
        world(
            "what is not spoken here lets nothing through",
            json!([
                ports(json!([{"port": 8080, "protocol": "SCTP"}])),
                from("db", json!([block("2001:db8::/32", json!([]))])),
            ]),
            &[("front", "api:8080", NotIn), ("front", "db:5432", NotIn)],
        ),
        world(
            "a rule needs both of its parts",
            json!([policy(
                "api",
                json!({"ingress": [
                {"from": [app("front")], "ports": [{"port": 8080}]},
                {"from": [app("db")], "ports": [{"port": 9090}]}]})
            )]),
            &[
                ("front", "api:8080", Through),
                ("front", "api:9090", NotIn),
                ("db", "api:8080", NotIn),
                ("db", "api:9090", Through),
            ],
        ),
        world(
            "policies add up",
            json!([
                from("api", json!([app("front")])),
                from("api", json!([{"namespaceSelector": red()}])),
                policy("", json!({"policyTypes": ["Ingress", "Egress"], "egress": [{}]})),
            ]),
            &[
                ("front", "api:8080", Through),
                ("guest", "api:8080", Through),
                ("db", "api:8080", NotIn),
                ("db", "9.9.9.9:443", Through),
            ],
        ),
        world(
            "both ends have a say",
            json!([
                to("front", json!([app("api"), app("db")])),
                from("db", json!([app("api")])),
                in_namespace("guests", "", json!({"ingress": [{"from": [app("prober")]}]})),
            ]),
            &[
                ("front", "api:8080", Through),
                ("front", "db:5432", NotIn),
                ("front", "guest:8080", NotOut),
                ("api", "guest:8080", NotIn),
                ("prober", "guest:8080", Through),
            ],
        ),
        world(
            "addresses of pods",
            json!([
                from("api", json!([block("10.244.0.0/16", json!(["10.244.0.9/32"]))])),
                to("db", json!([block("10.244.0.5/32", json!([]))])),
            ]),
            &[
                ("front", "api:8080", NotIn),
                ("guest", "svc:80", Through),
                ("db", "svc:80", Through),
                ("db", "guest:8080", NotOut),
                ("host", "door", Through),
            ],
        ),
        world(
            "the world outside, and nothing of the cluster",
            json!([to("front", json!([block("0.0.0.0/0", json!(["10.0.0.0/8", "9.9.9.0/24"]))]))]),
            &[
                ("front", "9.9.8.9:443", Through),
                ("front", "9.9.9.9:443", NotOut),
                ("front", "udp 9.9.8.9:99", Through),
                ("front", "api:8080", NotOut),
                ("front", "kube:443", NotOut),
                ("front", "udp dns:53", NotOut),
            ],
        ),
        world(
            "a block's port",
            json!([policy(
                "front",
                json!({"policyTypes": ["Egress"], "egress":
                [{"to": [block("9.9.9.9/24", json!([]))], "ports": [{"port": 443}]}]})
            )]),
            &[("front", "9.9.9.7:443", Through), ("front", "9.9.9.7:8080", NotOut)],
        ),
        world(
            "all pods are not the world, nor the API server",
            json!([to("front", json!([{"namespaceSelector": {}}]))]),
            &[
                ("front", "guest:8080", Through),
                ("front", "udp dns:53", Through),
                ("front", "9.9.9.9:443", NotOut),
                ("front", "kube:443", NotOut),
            ],
        ),
        world(
            "names are asked for by who is selected to answer",
            json!([policy(
                "front",
                json!({"policyTypes": ["Egress"], "egress": [{
                "to": [{"namespaceSelector": named("kube-system"),
                    "podSelector": labels(json!({"k8s-app": "kube-dns"}))}],
                "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53}]}]})
            )]),
            &[
                ("front", "udp dns:53", Through),
                ("front", "dns:53", Through),
                ("front", "api:8080", NotOut),
                ("front", "udp 9.9.9.9:53", NotOut),
            ],
        ),
        world(
            "names are asked for by port, by address, by namespace",
            json!([
                policy(
                    "front",
                    json!({"policyTypes": ["Egress"],
                    "egress": [{"ports": [{"port": 53, "protocol": "UDP"}]}]})
                ),
                to("api", json!([block("10.96.0.10/32", json!([]))])),
                to("db", json!([{"namespaceSelector": labels(json!({"team": "none"}))}])),
                in_namespace("kube-system", "", json!({"policyTypes": ["Ingress", "Egress"]})),
            ]),
            &[
                ("front", "udp dns:53", Through),
                ("front", "dns:53", NotOut),
                ("api", "udp dns:53", Through),
                ("api", "db:5432", NotOut),
                ("db", "udp dns:53", Through),
            ],
        ),
        world(
            "the API server by its Service, by its endpoint, by port",
            json!([
                policy(
                    "front",
                    json!({"policyTypes": ["Egress"], "egress":
                    [{"to": [block("10.96.0.1/32", json!([]))], "ports": [{"port": 443}]}]})
                ),
                policy(
                    "api",
                    json!({"policyTypes": ["Egress"], "egress":
                    [{"to": [block("127.0.0.1/32", json!([]))], "ports": [{"port": 6443}]}]})
                ),
                policy(
                    "db",
                    json!({"policyTypes": ["Egress"], "egress": [{"ports": [{"port": 443}]}]})
                ),
            ]),
            &[
                ("front", "kube:443", Through),
                ("api", "kube:443", Through),
                ("db", "kube:443", Through),
                ("db", "9.9.9.9:443", Through),
                ("db", "9.9.9.9:8080", NotOut),
                ("front", "9.9.9.9:443", NotOut),
            ],
        ),
        world(
            "policies of others",
            json!([
                in_namespace("guests", "", json!({"policyTypes": ["Ingress", "Egress"]})),
                policy("nobody", json!({"policyTypes": ["Ingress", "Egress"]})),
            ]),
            &[
                ("front", "api:8080", Through),
                ("front", "guest:8080", NotIn),
                ("guest", "prober:8080", NotOut),
                ("guest", "9.9.9.9:443", NotOut),
            ],
        ),
    ]
}
