//! Who is in the picture, and who calls whom: the observer's answer and the API's objects as one graph.

use super::layers::Side;
use super::traffic::Traffic;
use crate::health::Health;
use crate::model::{Status, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Components that somebody outside has to be linked with before that is too much to draw.
const MANY: usize = 5;
/// Calls that are drawn with numbers. Of more, hardly a label has room, and to look for it takes the square of the time.
const LABELLED: usize = 150;

/// A component of the project, as the API has it.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Where its page is.
    pub(crate) href: String,
    /// In the environment of the picture.
    pub(crate) status: Status,
    /// Whether an incident about it is open there.
    pub(crate) incident: bool,
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
    pub(crate) incident: bool,
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
                incident: member.incident,
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

    /// The part of the graph that one component has to do with.
    pub(crate) fn around(&self, name: &str) -> Graph {
        let touches =
            |edge: &&Edge| [edge.from, edge.to].iter().any(|end| self.nodes[*end].name == name);
        let edges: Vec<&Edge> = self.edges.iter().filter(touches).collect();
        let mut ends: BTreeSet<usize> =
            edges.iter().flat_map(|edge| [edge.from, edge.to]).collect();
        ends.extend(self.nodes.iter().position(|node| node.name == name));
        let place = |end: usize| ends.iter().position(|other| *other == end).unwrap_or_default();
        Graph {
            edges: edges
                .into_iter()
                .map(|edge| Edge {
                    from: place(edge.from),
                    to: place(edge.to),
                    traffic: edge.traffic,
                })
                .collect(),
            nodes: ends.iter().map(|end| self.nodes[*end].clone()).collect(),
        }
    }

    /// Whether there are too many calls to write numbers next to them.
    pub(crate) fn is_crowded(&self) -> bool {
        self.edges.len() > LABELLED
    }

    /// Says where the page of each component of the project is that has no address yet.
    pub(crate) fn link(&mut self, href: impl Fn(&str) -> String) {
        for node in self.nodes.iter_mut().filter(|node| node.side == Side::Inside) {
            if node.href.is_none() {
                node.href = Some(href(&node.name));
            }
        }
    }

    /// A component of the project.
    pub(crate) fn component(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.side == Side::Inside && node.name == name)
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
    Node { name, side, kind, href: None, status: None, incident: false, traffic: None }
}

impl Node {
    /// How it is doing. Of what is not known to be deployed, its requests tell.
    pub(crate) fn health(&self) -> Health {
        let fail = self.traffic.is_some_and(|traffic| traffic.is_failing());
        Health::of(self.status.unwrap_or(Status::Ready), fail, self.incident)
    }

    /// Why it is not well, if it is not.
    pub(crate) fn complaint(&self) -> Option<String> {
        if self.side != Side::Inside {
            return None;
        }
        let why = match (self.health(), self.traffic) {
            (Health::NotDeployed | Health::Undeployed | Health::Healthy, _) => return None,
            (Health::Failing, Some(traffic)) if traffic.is_failing() => {
                return Some(format!("{} of requests fail", traffic.failed_share()));
            }
            (Health::Degraded, _) => "an incident is open",
            (Health::Failing | Health::Progressing, _) => "pods are not ready",
        };
        Some(why.to_owned())
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
            words.push_str(&format!(", {}: {complaint}", self.health().word()));
        }
        words
    }

    /// How much is asked of it, and what of it fails; or why nothing is.
    pub(crate) fn asked(&self) -> String {
        match (self.status, self.traffic) {
            (Some(Status::NotDeployed | Status::Undeployed), None) => {
                "not deployed here".to_owned()
            }
            (_, Some(traffic)) if traffic.is_any() => {
                format!("{} · {} failed", traffic.requests(), traffic.failed_share())
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
