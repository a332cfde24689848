//! Who is in the picture, and who calls whom: the observer's answer and the API's objects as one graph.

use super::layers::Side;
use crate::model::{Status, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Of what is asked of a component, this part has to fail for it not to be well.
const FAILING: f64 = 0.05;

/// Components that somebody outside has to be linked with before that is too much to draw.
const MANY: usize = 5;

/// A component of the project, as the API has it.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Where its page is.
    pub(crate) href: String,
    /// In the environment of the picture.
    pub(crate) status: Status,
}

/// Requests within some time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Traffic {
    count: f64,
    failed: f64,
    seconds: f64,
    /// Seconds.
    p99: Option<f64>,
}

/// A box.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) side: Side,
    /// What it is, if it is not of the project.
    pub(crate) kind: &'static str,
    pub(crate) href: Option<String>,
    pub(crate) status: Option<Status>,
    pub(crate) traffic: Option<Traffic>,
}

/// Calls from one node to another, both by index.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Edge {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) traffic: Traffic,
}

/// Nodes and edges, sorted by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    pub(crate) edges: Vec<Edge>,
}

impl Graph {
    /// Puts a `runtime-topology` of so many seconds and the project's components together.
    pub(crate) fn read(topology: &Value, seconds: f64, members: &[Member]) -> Graph {
        let mut nodes: BTreeMap<String, Node> = BTreeMap::new();
        for member in members {
            let node = Node {
                name: member.name.clone(),
                side: Side::Inside,
                kind: "",
                href: Some(member.href.clone()),
                status: Some(member.status),
                traffic: None,
            };
            nodes.insert(member.name.clone(), node);
        }
        let list = |member: &str| topology[member].as_array().into_iter().flatten();
        let mut calls: BTreeMap<(String, String), Traffic> = BTreeMap::new();
        for edge in list("edges") {
            let [from, to] = ["source", "target"].map(|end| end_of(&edge[end]));
            for (node, side) in [(&from, Side::Before), (&to, Side::Behind)] {
                let known = nodes.entry(node.name.clone()).or_insert_with(|| node.clone());
                // Whoever calls into the cell stands before it, even if it is called, too.
                if known.side != Side::Inside && known.side != Side::Before {
                    known.side = side;
                }
            }
            calls.entry((from.name, to.name)).or_default().add(&edge["metrics"], seconds);
        }
        for node in list("nodes").map(|node| (end_of(node), &node["metrics"])) {
            let (Node { name, .. }, metrics) = node;
            if let Some(known) = nodes.get_mut(&name) {
                known.traffic.get_or_insert_default().add(metrics, seconds);
            }
        }
        let index: BTreeMap<&String, usize> =
            nodes.keys().enumerate().map(|(index, name)| (name, index)).collect();
        let edges = calls
            .iter()
            .map(|((from, to), traffic)| Edge {
                from: index[from],
                to: index[to],
                traffic: *traffic,
            })
            .collect();
        Graph { edges, nodes: nodes.into_values().collect() }
    }

    /// The graph without what is linked from outside with nearly every component, as a collector of telemetry is: its lines
    /// would hide all others. And that, each with the number of components.
    pub(crate) fn sparse(&self) -> (Graph, Vec<(&str, usize)>) {
        let components = self.nodes.iter().filter(|node| node.side == Side::Inside).count();
        let links = |node: usize| {
            let others = self.edges.iter().filter_map(|edge| match (edge.from, edge.to) {
                (from, to) if from == node => Some(to),
                (from, to) if to == node => Some(from),
                _ => None,
            });
            others.collect::<BTreeSet<usize>>().len()
        };
        let mut kept: BTreeMap<usize, usize> = BTreeMap::new();
        let (mut sparse, mut left_out) = (Graph::default(), Vec::new());
        for (index, node) in self.nodes.iter().enumerate() {
            let linked = if node.side == Side::Inside { 0 } else { links(index) };
            if linked >= MANY && 2 * linked > components {
                left_out.push((node.name.trim(), linked));
            } else {
                kept.insert(index, sparse.nodes.len());
                sparse.nodes.push(node.clone());
            }
        }
        for edge in &self.edges {
            if let (Some(&from), Some(&to)) = (kept.get(&edge.from), kept.get(&edge.to)) {
                sparse.edges.push(Edge { from, to, traffic: edge.traffic });
            }
        }
        (sparse, left_out)
    }

    /// How many components are not well.
    pub(crate) fn unhealthy(&self) -> usize {
        self.nodes.iter().filter(|node| node.complaint().is_some()).count()
    }
}

/// An end of a call, before it is known on which side it stands.
fn end_of(reference: &Value) -> Node {
    let component = text(reference, "/component");
    let (name, side, kind) = match text(reference, "/kind") {
        "component" => (component.to_owned(), Side::Inside, ""),
        "gateway" => (text(reference, "/name").to_owned(), Side::Behind, "gateway"),
        _ if component.is_empty() => {
            (text(reference, "/host").to_owned(), Side::Behind, "external")
        }
        _ => {
            let name = format!("{}/{component}", text(reference, "/project"));
            (name, Side::Behind, "other project")
        }
    };
    // A gateway may have the name of a component; the blank keeps the two apart and is not shown.
    let name = if side == Side::Inside { name } else { format!("{name} ") };
    Node { name, side, kind, href: None, status: None, traffic: None }
}

impl Node {
    /// Why it is not well, if it is not.
    pub(crate) fn complaint(&self) -> Option<String> {
        if self.side != Side::Inside {
            return None;
        }
        match (self.status, self.traffic) {
            (Some(Status::Progressing | Status::Failed), _) => {
                Some("pods are not ready".to_owned())
            }
            (_, Some(traffic)) if traffic.is_failing() => {
                Some(format!("{} of requests fail", traffic.failed_share()))
            }
            _ => None,
        }
    }

    /// In words, for whoever does not see the picture.
    pub(crate) fn words(&self) -> String {
        let mut words = self.name.trim().to_owned();
        for part in [self.kind.to_owned(), self.asked(), self.latency()] {
            if !part.is_empty() {
                words.push_str(", ");
                words.push_str(&part);
            }
        }
        if let Some(complaint) = self.complaint() {
            words.push_str(&format!(", unhealthy: {complaint}"));
        }
        words
    }

    /// How much is asked of it, and what of it fails; or why nothing is.
    pub(crate) fn asked(&self) -> String {
        match (self.status, self.traffic) {
            (Some(Status::NotDeployed | Status::Undeployed), None) => {
                "not deployed here".to_owned()
            }
            (_, Some(traffic)) if traffic.count > 0.0 => {
                format!("{} req/s · {} failed", traffic.rate(), traffic.failed_share())
            }
            _ if self.side == Side::Inside => "no requests".to_owned(),
            _ => String::new(),
        }
    }

    pub(crate) fn latency(&self) -> String {
        match self.traffic.and_then(|traffic| traffic.latency()) {
            Some(latency) if self.side == Side::Inside => format!("p99 {latency}"),
            _ => String::new(),
        }
    }
}

impl Traffic {
    fn add(&mut self, metrics: &Value, seconds: f64) {
        let number = |name: &str| metrics[name].as_f64().filter(|number| number.is_finite());
        self.count += number("requestCount").unwrap_or_default();
        // Refused ones are unsuccessful, too, but not the fault of whoever was asked; others than our observer only tell both.
        let failed = number("failedRequestCount").or_else(|| number("unsuccessfulRequestCount"));
        self.failed += failed.unwrap_or_default();
        self.seconds = seconds;
        self.p99 = match (self.p99, number("latencyP99")) {
            (Some(a), Some(b)) => Some(f64::max(a, b)),
            (a, b) => a.or(b),
        };
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.share() > FAILING
    }

    fn share(&self) -> f64 {
        if self.count > 0.0 { self.failed / self.count } else { 0.0 }
    }

    /// Requests per second.
    pub(crate) fn rate(&self) -> String {
        match self.count / self.seconds.max(1.0) {
            rate if rate <= 0.0 => "0".to_owned(),
            rate if rate < 0.1 => "< 0.1".to_owned(),
            rate if rate < 10.0 => format!("{rate:.1}"),
            rate => format!("{rate:.0}"),
        }
    }

    /// The part that failed. A few of many are not none.
    pub(crate) fn failed_share(&self) -> String {
        match 100.0 * self.share() {
            percent if percent > 0.0 && percent < 1.0 => "< 1 %".to_owned(),
            percent => format!("{percent:.0} %"),
        }
    }

    /// Of 100 answers, 99 took no longer.
    pub(crate) fn latency(&self) -> Option<String> {
        self.p99.map(|seconds| match seconds * 1000.0 {
            milliseconds if milliseconds < 10.0 => format!("{milliseconds:.1} ms"),
            milliseconds if milliseconds < 1000.0 => format!("{milliseconds:.0} ms"),
            milliseconds => format!("{:.1} s", milliseconds / 1000.0),
        })
    }
}
