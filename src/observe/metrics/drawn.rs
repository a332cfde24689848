//! A topology as callers read it.

use std::collections::BTreeMap;

use curtain_control::mcp::economy::fit;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::answer::{FROM_SPANS, OLDER, say};
use super::ask::Window;
use super::health::complaints;
use super::node::Node;
use super::requests::Asked;
use super::topology::{Edge, Topology};
use crate::asked::Place;

/// The answer of REST: calls over HTTP, and who took part in them.
pub(super) fn answer(
    topology: &Topology,
    window: &Window,
    (gateways, external): (bool, bool),
    now: Timestamp,
) -> Value {
    let place = &window.place;
    let shown = |edge: &&Edge| {
        let ends = [&edge.source, &edge.target];
        let is_gateway = |node: &Node| matches!(node, Node::Gateway(_));
        let is_external = |node: &Node| !is_gateway(node) && !node.is_in(place);
        edge.asked.all.count > 0
            && (gateways || !ends.into_iter().any(is_gateway))
            && (external || !ends.into_iter().any(is_external))
    };
    let edges: Vec<&Edge> = topology.edges.iter().filter(shown).collect();
    // What a component was asked; and what went to or came from who is only seen from there.
    let mut nodes: BTreeMap<&Node, (Asked, &str)> = BTreeMap::new();
    for edge in &edges {
        let (asked, service) = nodes.entry(&edge.target).or_default();
        asked.join(&edge.asked);
        *service = &edge.service;
        let (asked, _) = nodes.entry(&edge.source).or_default();
        if !edge.source.is_in(place) {
            asked.join(&edge.asked);
        }
    }
    let nodes: Vec<Value> = nodes
        .into_iter()
        .map(|(node, (asked, service))| {
            let mut node = reference(node, place, service);
            node.insert("metrics".into(), metrics(&asked));
            Value::Object(node)
        })
        .collect();
    let edges: Vec<Value> = edges
        .into_iter()
        .map(|edge| {
            json!({
                "id": id(edge, place),
                "source": reference(&edge.source, place, ""),
                "target": reference(&edge.target, place, &edge.service),
                "protocol": "http",
                "metrics": metrics(&edge.asked),
            })
        })
        .collect();
    let time = |seconds: i64| {
        Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
    };
    json!({
        "nodes": nodes,
        "edges": edges,
        "summary": {
            "startTime": time(window.between.0),
            "endTime": time(window.between.1),
            "generatedAt": now.to_string(),
        },
    })
}

fn id(edge: &Edge, place: &Place) -> String {
    let end = |node: &Node, service: &str| match node {
        Node::Component(owner) if !service.is_empty() && node.is_in(place) => {
            format!("{}:{service}", owner.component)
        }
        node => node.name(place),
    };
    format!("{}->{}", end(&edge.source, ""), end(&edge.target, &edge.service))
}

fn reference(node: &Node, place: &Place, service: &str) -> Map<String, Value> {
    let mut members: Vec<(&str, &str)> = Vec::new();
    match node {
        Node::Component(owner) => {
            let kind = if node.is_in(place) { "component" } else { "external" };
            members.extend([
                ("kind", kind),
                ("component", &owner.component),
                ("componentUid", &owner.component_uid),
                ("service", service),
                ("project", &owner.project),
                ("projectUid", &owner.project_uid),
                ("namespace", &owner.namespace),
            ]);
        }
        Node::Gateway(name) => members.extend([("kind", "gateway"), ("name", name.as_str())]),
        Node::External(host) => members.extend([("kind", "external"), ("host", host.as_str())]),
    }
    let said = members.into_iter().filter(|(_, value)| !value.is_empty());
    said.map(|(name, value)| (name.to_owned(), value.into())).collect()
}

/// What was asked. `failedRequestCount` is ours: of the unsuccessful ones, those that the caller was not wrong in. So is
/// `tracedRequestCount`: those that are known from spans alone, where there are such.
fn metrics(asked: &Asked) -> Value {
    let mut metrics = json!({
        "requestCount": asked.all.count,
        "unsuccessfulRequestCount": asked.unsuccessful,
        "failedRequestCount": asked.failed,
    });
    if asked.traced > 0 {
        metrics["tracedRequestCount"] = asked.traced.into();
    }
    let latencies = [
        ("meanLatency", asked.all.mean()),
        ("latencyP50", asked.all.quantile(0.5)),
        ("latencyP90", asked.all.quantile(0.9)),
        ("latencyP99", asked.all.quantile(0.99)),
    ];
    for (name, latency) in latencies {
        if let Some(latency) = latency {
            metrics[name] = latency.into();
        }
    }
    metrics
}

/// Where nodes are not ours.
const UNSIGHTED: &str =
    "no node here sees what goes from pod to pod: connections and policies' denials are not known";

/// Where spans without a caller may be of several.
const UNATTRIBUTED: &str = "components were asked more than the calls to them say: of some requests nothing tells which \
                            of the callers made them";

/// The answer for an agent: who is not well and why, then how everybody is, then who calls whom, as tables.
pub(super) fn compact(topology: &Topology, place: &Place, budget: usize) -> Value {
    let mut unhealthy = Map::new();
    let mut components: Vec<Value> = Vec::new();
    for (name, state) in &topology.states {
        let complaints = complaints(topology, place, name);
        if !complaints.is_empty() {
            unhealthy.insert(name.clone(), complaints.into());
        }
        let asked = topology.asked_of(place, name);
        let percent = |part: Option<f64>| part.map(|part| format!("{:.0}%", part * 100.0));
        components.push(json!([
            name,
            format!("{}/{}", state.ready, state.pods),
            rate(asked.all.count as f64, topology.seconds),
            share(&asked),
            milliseconds(asked.all.quantile(0.99)),
            percent(state.cpu),
            percent(state.memory),
        ]));
    }
    let mut edges: Vec<(f64, Value)> =
        topology.edges.iter().map(|edge| row(edge, topology, place)).collect();
    edges.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut edges: Vec<Value> = edges.into_iter().map(|edge| edge.1).collect();
    let all = (components.len(), edges.len());
    let length = |row: &Value| row.to_string().len() + 1;
    fit(&mut components, budget / 2, length);
    let used: usize = components.iter().map(length).sum();
    fit(&mut edges, budget.saturating_sub(used), length);
    let shown = (components.len(), edges.len());
    let mut answer = json!({
        "unhealthy": unhealthy,
        "components": {
            "columns": ["component", "pods ready", "requests/s", "failed", "p99 ms", "cpu of limit", "memory of limit"],
            "rows": components,
        },
        "calls": {
            "columns": ["from", "to", "protocol", "requests/s", "failed", "p99 ms", "note"],
            "rows": edges,
        },
    });
    if shown != all {
        answer["hint"] = json!(format!(
            "{} of {} components and {} of {} calls are shown; name a component",
            shown.0, all.0, shown.1, all.1
        ));
    } else if all.1 == 0 {
        answer["hint"] = json!("nothing was seen in this time; ask for a longer one");
    }
    if !topology.sighted && !topology.states.is_empty() {
        say(&mut answer, UNSIGHTED);
    }
    let traced = topology.edges.iter().filter(|edge| edge.asked.traced > 0).count();
    if traced > 0 {
        let rows = if traced == 1 { "row of calls" } else { "rows of calls" };
        say(&mut answer, &format!("the requests of {traced} {rows} are {FROM_SPANS}"));
    }
    if !topology.unattributed.is_empty() {
        say(&mut answer, UNATTRIBUTED);
    }
    if topology.more && (traced > 0 || !topology.unattributed.is_empty()) {
        say(&mut answer, OLDER);
    }
    answer
}

/// A row, and how important it is: failing calls first, then busy ones.
fn row(edge: &Edge, topology: &Topology, place: &Place) -> (f64, Value) {
    let asked = &edge.asked;
    let connections = &edge.connections;
    let refused = connections.denied + connections.failed;
    let mut protocols: Vec<&str> = edge.protocols.iter().map(String::as_str).collect();
    if protocols.is_empty() {
        protocols.push("tcp");
    }
    let count = if asked.all.count > 0 { asked.all.count as f64 } else { connections.forwarded };
    let mut notes: Vec<String> = Vec::new();
    if asked.traced > 0 {
        notes.push("by spans".into());
    }
    if asked.all.count > 0 && asked.traced == 0 && edge.unread() > 0.0 {
        notes.push(format!("{} connections without a request that can be read", edge.unread()));
    }
    if asked.unsuccessful > 0 {
        let statuses = asked.statuses.iter().map(|(status, count)| format!("{status} x{count}"));
        notes.push(statuses.collect::<Vec<_>>().join(", "));
    }
    if connections.denied > 0.0 {
        notes.push(format!("{} connections denied", connections.denied));
    }
    if connections.failed > 0.0 {
        notes.push(format!("{} connections not accepted", connections.failed));
    }
    let row = json!([
        edge.source.name(place),
        edge.target.name(place),
        protocols.join(","),
        rate(count, topology.seconds),
        share(asked),
        milliseconds(asked.all.quantile(0.99)),
        notes.join("; "),
    ]);
    (1e6 * (asked.failing() + if refused > 0.0 { 1.0 } else { 0.0 }) + count, row)
}

fn rate(count: f64, seconds: f64) -> Value {
    json!(super::statistics::rounded(count / seconds.max(1.0)))
}

fn share(asked: &Asked) -> Value {
    if asked.all.count == 0 {
        return Value::Null;
    }
    let percent = 100.0 * asked.failing();
    // A few of many are not none.
    let digits = usize::from(percent > 0.0 && percent < 1.0) * 2;
    json!(format!("{percent:.digits$}%"))
}

fn milliseconds(seconds: Option<f64>) -> Value {
    seconds.map_or(Value::Null, |seconds| json!(super::statistics::rounded(seconds * 1000.0)))
}
