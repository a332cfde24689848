//! What is known of requests where nodes see all of it, a part of it, and nothing.

use curtain_control::mcp::economy::TYPICAL;
use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use super::*;
use crate::database::Retention;
use crate::metrics::names::*;
use crate::metrics::wire::{Batch, INTERVAL, Part, Requests, Sample, Value};
use crate::metrics::{answer, drawn};
use crate::owner::Owner;
use crate::traces::wire::{self, Kind, Span, Status};

/// 2026-01-01T00:00:00Z.
const BEGIN: i64 = 1_767_225_600;
const MS: i64 = 1_000_000;

struct World {
    kept: Joined,
    spans: std::cell::Cell<u64>,
    _directory: tempfile::TempDir,
}

fn world() -> World {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let samples = Store::open(&path("metrics.db"), Retention::default()).expect("opens");
    let spans = traces::Store::open(&path("traces.db"), Retention::default()).expect("opens");
    World { kept: Joined { samples, spans }, spans: 0.into(), _directory: directory }
}

fn owner(component: &str) -> Owner {
    Owner {
        namespace: "default".into(),
        project: "shop".into(),
        component: component.into(),
        environment: "development".into(),
        component_uid: format!("{component}-uid"),
        ..Owner::default()
    }
}

fn place(component: &str) -> Place {
    Place {
        namespace: "default".into(),
        project: "shop".into(),
        component: component.into(),
        environment: "development".into(),
    }
}

/// Two minutes.
fn window(component: &str) -> Window {
    Window { place: place(component), between: (BEGIN, BEGIN + 119), step: 60 }
}

impl World {
    /// A pod of `component` is measured in the first minute, with what was seen of it: the name of a series, the kind and
    /// name of who is at the other end, and what came.
    fn measure(&self, component: &str, seen: &[(&str, &str, &str, Value)]) {
        self.measure_at(INTERVAL, "200", component, seen);
    }

    /// The same in another second, with that status.
    fn measure_at(
        &self,
        second: i64,
        status: &str,
        component: &str,
        seen: &[(&str, &str, &str, Value)],
    ) {
        let label = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let ready =
            Sample { name: READY.into(), labels: label(&[(POD, "one")]), value: Value::Gauge(1.0) };
        let seen = seen.iter().map(|(name, kind, peer, value)| Sample {
            name: (*name).into(),
            labels: label(&[
                (PEER, kind),
                (PEER_NAME, peer),
                (PEER_NAMESPACE, "default"),
                (PEER_PROJECT, "shop"),
                (PEER_ENVIRONMENT, "development"),
                (SERVICE, "it"),
                (PROTOCOL, "http1"),
                (STATUS, status),
                (VERDICT, "forwarded"),
            ]),
            value: value.clone(),
        });
        let samples = std::iter::once(ready).chain(seen).collect();
        let time = BEGIN + second;
        let batch =
            Batch { time, since: None, parts: vec![Part { owner: owner(component), samples }] };
        self.kept.samples.ingest(&batch, time).expect("stores");
    }

    /// A request from one component to another in that second; a caller named "" records nothing.
    fn call(&self, from: &str, to: &str, second: i64, took: i64, attributes: &Json) {
        let id = self.spans.get() + 2;
        self.spans.set(id);
        let number = |id: u64| format!("{id:016x}").parse().expect("an id");
        let span = |kind: Kind, id: u64, parent: Option<u64>| Span {
            trace: format!("{:032x}", self.spans.get()).parse().expect("an id"),
            span: number(id),
            parent: parent.map(number),
            name: attributes["name"].as_str().unwrap_or("GET /items/{id}").to_owned(),
            kind,
            start: (BEGIN + second) * 1000 * MS,
            duration: took * MS,
            status: if attributes["wrong"] == true { Status::ERROR } else { Status(0) },
            message: String::new(),
            attributes: RawValue::from_string(attributes.to_string()).ok(),
            events: None,
        };
        let part = |component: &str, span: Span| wire::Part {
            source: wire::Source {
                owner: owner(component),
                pod: format!("{component}-1"),
                pod_namespace: "dp".into(),
                resource: "{}".into(),
            },
            spans: vec![span],
        };
        let parent = (!from.is_empty()).then_some(id + 1);
        let mut parts = vec![part(to, span(Kind::SERVER, id, parent))];
        if !from.is_empty() {
            parts.push(part(from, span(Kind::CLIENT, id + 1, None)));
        }
        self.spans.set(id + 1);
        self.kept.spans.ingest(&wire::Batch { parts }).expect("stores");
    }

    fn rows(&self, component: &str) -> Vec<String> {
        let window = window(component);
        let topology = self.kept.topology(&window).expect("asks");
        let told = drawn::compact(&topology, &window.place, TYPICAL);
        let rows = told["calls"]["rows"].as_array().cloned().unwrap_or_default();
        let mut rows: Vec<String> = rows.iter().map(Json::to_string).collect();
        rows.sort();
        rows.extend(told["hint"].as_str().map(str::to_owned));
        rows
    }
}

/// Why a component is not well.
fn unhealthy(world: &World, component: &str) -> String {
    let window = window("");
    let topology = world.kept.topology(&window).expect("asks");
    drawn::compact(&topology, &window.place, TYPICAL)["unhealthy"][component].to_string()
}

fn requests(count: u64) -> Value {
    Value::Requests(Requests { count, micros: count * 1000, buckets: [(1, count)].into() })
}

fn ok() -> Json {
    json!({"http.request.method": "GET", "http.route": "/items/{id}", "http.response.status_code": 200})
}

#[test]
fn where_no_node_sees_spans_tell_who_calls_whom_and_how_it_went() {
    let world = world();
    world.measure("web", &[(HTTP_IN, "gateway", "gateway-default", requests(4))]);
    world.measure("cart", &[]);
    for second in [1, 2, 70, 71] {
        world.call("", "web", second, 3, &ok());
        world.call("web", "cart", second, 15, &ok());
    }
    world.call("web", "cart", 3, 15, &json!({"http.method": "GET", "http.status_code": 404}));
    world.call("web", "cart", 4, 700, &json!({"http.status_code": "503", "http.route": "/slow"}));
    let grpc = json!({"rpc.system": "grpc", "rpc.grpc.status_code": 14, "name": "Payment/Pay"});
    world.call("cart", "payment", 5, 1, &grpc);
    // Neither says a number.
    world.call("cart", "mail", 6, 1, &json!({"wrong": true, "name": "send"}));
    world.call("cart", "mail", 6, 1, &json!({"name": "send"}));
    assert_eq!(
        world.rows(""),
        [
            r#"["cart","mail","http",0.4,"50%",0.99,"by spans; error x1"]"#,
            r#"["cart","payment","grpc",0.2,"100%",0.99,"by spans; 14 x1"]"#,
            r#"["gateway:gateway-default","web","http1",0.8,"0%",1.99,""]"#,
            r#"["web","cart","http",1.2,"17%",970.0,"by spans; 404 x1, 503 x1"]"#,
            "no node here sees what goes from pod to pod: connections and policies' denials are not known; \
             the requests of 3 rows of calls are known from spans alone: nothing on the way counts them, and what is not traced is \
             missing",
        ]
    );
    let all = window("");
    let now = Timestamp::from_second(BEGIN).expect("a time");
    let topology = world.kept.topology(&all).expect("asks");
    let rest = drawn::answer(&topology, &all, (true, true), now);
    let metrics = |id: &str| {
        let edges = rest["edges"].as_array().expect("edges").iter();
        edges.clone().find(|edge| edge["id"] == id).expect(id)["metrics"].clone()
    };
    let cart = metrics("web->cart");
    assert_eq!((&cart["requestCount"], &cart["tracedRequestCount"]), (&json!(6), &json!(6)));
    assert_eq!(metrics("gateway:gateway-default->web:it")["tracedRequestCount"], Json::Null);

    let cart = window("cart");
    let found = world.kept.requests(&cart).expect("asks");
    let rest = answer::http(&found, &cart);
    let values = |name: &str| {
        let points = rest[name].as_array().expect(name).iter();
        points.map(|point| point["value"].as_f64().unwrap_or(-1.0)).collect::<Vec<_>>()
    };
    assert_eq!(values("requestCount"), [4.0, 2.0]);
    assert_eq!(values("unsuccessfulRequestCount"), [2.0, 0.0]);
    assert_eq!(values("tracedRequestCount"), [4.0, 2.0]);
    let told = answer::compact_http(&found, &cart, (false, false));
    let hint = told["hint"].as_str().unwrap_or_default();
    assert!(hint.starts_with("6 of 6 requests are known from spans alone"), "{hint}");
    assert_eq!(
        told["routes"]["rows"],
        json!([["/slow", 1, 1, 995.0, "503 x1"], ["GET /items/{id}", 5, 0, 19.9, "404 x1"]])
    );
    let answers = world.kept.answers(&place("cart"), cart.between).expect("asks").expect("asked");
    assert!((answers.failed - 100.0 / 6.0).abs() < 1e-9, "{answers:?}");
    // What the gateway has counted is not counted again from the traces of the same requests.
    let web = world.kept.requests(&window("web")).expect("asks");
    let count = |step: &Option<super::super::requests::Asked>| {
        step.as_ref().map(|asked| (asked.all.count, asked.traced))
    };
    assert_eq!(web.steps.iter().map(count).collect::<Vec<_>>(), [Some((4, 0)), None]);
}

#[test]
fn requests_inside_of_connections_that_nobody_reads_are_those_of_spans() {
    let world = world();
    let connections = Value::Increase(2.0);
    world.measure(
        "payment",
        &[
            (CONNECTIONS_IN, "component", "cart", connections.clone()),
            (CONNECTIONS_IN, "external", "203.0.113.7", Value::Increase(1.0)),
        ],
    );
    world.measure("cart", &[(HTTP_IN, "component", "web", requests(7))]);
    for second in [1, 2, 3] {
        world.call("web", "cart", second, 3, &ok());
        world.call("cart", "payment", second, 40, &ok());
    }
    // A caller that records nothing can only be the one whose connections are left.
    world.call("", "payment", 4, 1, &ok());
    let rows = world.rows("");
    assert_eq!(
        rows[..3],
        [
            r#"["cart","payment","http",0.6,"0%",49.7,"by spans"]"#,
            r#"["external:203.0.113.7","payment","http",0.2,"0%",0.99,"by spans"]"#,
            r#"["web","cart","http1",1.4,"0%",1.99,""]"#,
        ]
    );
    assert!(
        rows[3].starts_with("the requests of 2 rows of calls are known from spans alone"),
        "{rows:?}"
    );
    let topology = world.kept.topology(&window("payment")).expect("asks");
    let of_cart = topology.edges.iter().find(|edge| edge.source == Node::of(&owner("cart")));
    let of_cart = of_cart.map(|edge| (edge.service.as_str(), edge.connections.forwarded));
    assert_eq!(of_cart, None, "uids are of the series");
    assert!(topology.edges.iter().any(|edge| edge.connections.forwarded == 2.0
        && edge.asked.all.count == 3
        && edge.service == "it"));
}

#[test]
fn a_caller_without_a_trace_is_unknown_and_counts_only_where_nobody_was_counted() {
    let world = world();
    world.call("", "cart", 1, 3, &ok());
    assert!(world.rows("")[0].starts_with(r#"["external:unknown","cart","http""#));
    world.measure("cart", &[(HTTP_IN, "component", "web", requests(7))]);
    assert_eq!(world.rows("").len(), 2, "the caller may be web, whose requests were counted");
    let found = world.kept.requests(&window("cart")).expect("asks");
    let all: Vec<_> = found.steps.iter().flatten().map(|asked| asked.all.count).collect();
    assert_eq!(all, [7]);
    // Of what web was seen to ask, spans may lack the caller even if they name it elsewhere.
    world.call("web", "cart", 1, 3, &ok());
    let rows = world.rows("");
    assert!(rows.len() == 2 && rows[0].starts_with(r#"["web","cart","http1",1.4"#), "{rows:?}");
    let found = world.kept.requests(&window("cart")).expect("asks");
    let all: Vec<_> = found.steps.iter().flatten().map(|asked| asked.all.count).collect();
    assert_eq!(all, [7]);
}

#[test]
fn nobody_is_drawn_who_may_be_one_that_was_seen_to_connect() {
    let world = world();
    let connects = |to: &'static str| (CONNECTIONS, "component", to, Value::Increase(2.0));
    world.measure("cart", &[connects("payment"), connects("mail")]);
    world.measure("web", &[connects("mail")]);
    world.measure("mail", &[]);
    for to in ["payment", "mail"] {
        world.call("cart", to, 1, 3, &ok());
        world.call("", to, 2, 3, &json!({"http.response.status_code": 503}));
    }
    world.call("web", "mail", 1, 3, &ok());
    let rows = world.rows("");
    assert_eq!(
        rows[..3],
        [
            r#"["cart","mail","http",0.2,"0%",4.97,"by spans"]"#,
            // Only cart was there to ask it.
            r#"["cart","payment","http",0.4,"50%",4.97,"by spans; 503 x1"]"#,
            r#"["web","mail","http",0.2,"0%",4.97,"by spans"]"#,
        ]
    );
    assert!(rows[3].starts_with("the requests of 3 rows of calls"), "{rows:?}");
    assert!(rows[3].contains("asked more than the calls to them say"), "{rows:?}");
    // Whoever asked mail, it was asked, and failed.
    let topology = world.kept.topology(&window("")).expect("asks");
    let mail = topology.asked_of(&place(""), "mail");
    assert_eq!((mail.all.count, mail.failed, mail.traced), (3, 1, 3));
    let told = unhealthy(&world, "mail");
    assert!(told.contains("33 % of 3 requests failed (503 x1)"), "{told}");
}

#[test]
fn a_caller_that_was_made_anew_is_one_caller() {
    let world = world();
    let connects = (CONNECTIONS_IN, "component", "cart", Value::Increase(2.0));
    world.measure("mail", std::slice::from_ref(&connects));
    // The one of before.
    let pairs = [
        (PEER, "component"),
        (PEER_NAME, "cart"),
        (PEER_NAMESPACE, "default"),
        (PEER_PROJECT, "shop"),
        (PEER_ENVIRONMENT, "development"),
        (PEER_UID, "another"),
        (SERVICE, "it"),
        (VERDICT, "forwarded"),
    ];
    let labels = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let sample = Sample { name: CONNECTIONS_IN.into(), labels, value: Value::Increase(1.0) };
    let parts = vec![Part { owner: owner("mail"), samples: vec![sample] }];
    let time = BEGIN + 2 * INTERVAL;
    world.kept.samples.ingest(&Batch { time, since: None, parts }, time).expect("stores");
    world.call("", "mail", 2, 3, &ok());
    let topology = world.kept.topology(&window("")).expect("asks");
    assert_eq!(topology.edges.len(), 2);
    assert!(topology.edges.iter().any(|edge| edge.asked.all.count == 1), "{topology:?}");
}

#[test]
fn failures_that_only_spans_know_are_over_when_good_answers_came_after_them() {
    let world = world();
    let failed = json!({"http.response.status_code": 503});
    world.call("web", "cart", 1, 3, &failed);
    world.measure_at(110, "200", "cart", &[]);
    assert!(!unhealthy(&world, "cart").contains("over"), "nothing good came");
    world.call("web", "cart", 30, 3, &ok());
    let end = Timestamp::from_second(BEGIN + 2).expect("a time");
    let told = unhealthy(&world, "cart");
    assert!(told.contains(&format!("none since {end}, it seems over")), "{told}");
    // What was counted of another caller is long over; what spans know of this one is not.
    let asks = [(HTTP_IN, "gateway", "gateway-default", requests(2))];
    world.measure_at(5, "503", "cart", &asks);
    world.measure_at(60, "200", "cart", &asks);
    assert!(unhealthy(&world, "cart").contains("it seems over"));
    world.call("web", "cart", 100, 3, &failed);
    let told = unhealthy(&world, "cart");
    assert!(told.contains("starts here") && !told.contains("over"), "{told}");
}

/// `web` is asked by a gateway and asks cart and mail, in that second and with that status.
fn all_answer(world: &World, second: i64, status: &str, mail: &str) {
    let asks = |kind, from| [(HTTP_IN, kind, from, requests(2))];
    world.measure_at(second, status, "web", &asks("gateway", "gateway-default"));
    world.measure_at(second, status, "cart", &asks("component", "web"));
    world.measure_at(second, mail, "mail", &asks("component", "web"));
}

#[test]
fn of_the_calls_that_failed_those_that_do_not_any_more_are_told_as_such() {
    let world = world();
    all_answer(&world, 5, "503", "503");
    all_answer(&world, 10, "503", "503");
    let told = unhealthy(&world, "web");
    assert!(told.contains("its calls to cart, mail fail, too"), "{told}");
    for second in [15, 60, 100] {
        all_answer(&world, second, "200", "503");
    }
    let end = Timestamp::from_second(BEGIN + 15).expect("a time");
    let told = unhealthy(&world, "web");
    let words =
        format!("its calls to mail fail, too, and those to cart (until {end}) did; none since");
    assert!(told.contains(&words), "{told}");
}

#[test]
fn connections_that_are_accepted_again_are_told_as_over() {
    let world = world();
    let connects = |second: i64, verdict: &str| {
        let pairs = [
            (PEER, "component"),
            (PEER_NAME, "cart"),
            (PEER_NAMESPACE, "default"),
            (PEER_PROJECT, "shop"),
            (PEER_ENVIRONMENT, "development"),
            (SERVICE, "it"),
            (VERDICT, verdict),
        ];
        let labels = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let value = Value::Increase(3.0);
        let sample = Sample { name: CONNECTIONS_IN.into(), labels, value };
        let parts = vec![Part { owner: owner("mail"), samples: vec![sample] }];
        let time = BEGIN + second;
        world.kept.samples.ingest(&Batch { time, since: None, parts }, time).expect("stores");
    };
    connects(5, "failed");
    world.measure_at(100, "200", "mail", &[]);
    let told = unhealthy(&world, "mail");
    assert!(told.contains("not accepted") && !told.contains("over"), "nothing good came: {told}");
    connects(15, "forwarded");
    let end = Timestamp::from_second(BEGIN + 10).expect("a time");
    let told = unhealthy(&world, "mail");
    let words =
        format!("3 connections from cart were not accepted; none since {end}, it seems over");
    assert!(told.contains(&words), "{told}");
    connects(100, "failed");
    assert!(!unhealthy(&world, "mail").contains("over"), "it is not");
}

#[test]
fn calls_that_nobody_can_read_are_told_by_spans_and_not_taken_for_good() {
    let world = world();
    let asks = |from: &'static str| (HTTP_IN, "component", from, requests(1));
    let connects = (CONNECTIONS_IN, "component", "checkout", Value::Increase(20.0));
    // One request goes in the clear, the others are encrypted; none of these is traced.
    world.measure("payment", &[asks("checkout"), connects]);
    world.measure_at(INTERVAL, "503", "checkout", &[(HTTP_IN, "component", "web", requests(4))]);
    let told = unhealthy(&world, "checkout");
    assert!(
        told.contains("those to payment end is not seen") && !told.contains("starts"),
        "{told}"
    );
    let rows = world.rows("");
    assert!(rows.iter().any(|row| row.contains("19 connections without a request")), "{rows:?}");
    // Procedures that spans know of are no requests in the clear.
    let charge =
        json!({"name": "shop.Payment/Charge", "rpc.system": "grpc", "rpc.grpc.status_code": 0});
    world.call("checkout", "payment", 1, 3, &charge);
    world.call("checkout", "payment", 2, 3, &ok());
    let topology = world.kept.topology(&window("")).expect("asks");
    let payment = topology.asked_of(&place(""), "payment");
    assert_eq!((payment.all.count, payment.traced), (2, 1), "the request in the clear counts once");
    let found = world.kept.requests(&window("payment")).expect("asks");
    assert!(found.routes.keys().any(|(_, _, route)| route == "/shop.Payment/Charge"));
    // What is on its way at the end of the time is not taken for unread.
    let edge = topology.edges.iter().find(|edge| edge.target == Node::of(&owner("payment")));
    let mut edge = edge.expect("checkout calls payment").clone();
    edge.asked.all.count = edge.asked.traced + 19;
    assert!(edge.unread() == 0.0, "{edge:?}");
}
