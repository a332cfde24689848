//! Requests as spans tell them, by their two ends: for calls that nothing on the way counts.
//!
//! Requests between two components count once. Where those between them were counted on the way at all, spans of calls
//! like them add nothing: these know what is traced, that knows everything. What is encrypted is not counted on the way,
//! and may go beside what is not: calls of procedures and other requests are looked at apart. A caller that no span names
//! may be one whose requests were counted: what its spans had to say may be late, lost or left out. So calls without a
//! caller count only where nothing on the way counts what the component is asked.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value as Json;

use super::ask::Window;
use super::node::Node;
use super::requests::{Asked, Outcome, outcome};
use super::scan::Stretch;
use super::wire::{BOUNDS, Requests};
use crate::database::DatabaseError;
use crate::owner::Owner;
use crate::traces;

/// What is told apart at most; more routes of requests count without their names.
const MOST_KINDS: usize = 10_000;
const SECOND: i64 = 1_000_000_000;
/// As the way calls it, too.
const GRPC: &str = "grpc";

/// Who called whom. What components are there is told by their names: the uids may not be known on both sides.
pub(super) type Pair = (Node, Node);

/// Whose requests to whom were counted on the way, and whether they called procedures.
pub(super) type Counted = BTreeSet<(Pair, bool)>;

/// What spans know.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Calls {
    pairs: BTreeMap<(Option<Node>, Node), Traced>,
    kinds: usize,
    /// False when there were more spans than are looked at.
    pub(super) complete: bool,
}

/// The requests from one end to the other.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Traced {
    /// Nobody whom a trace knows, when there is none.
    pub(super) source: Option<Owner>,
    pub(super) target: Owner,
    pub(super) requests: BTreeMap<Kind, Ended>,
}

/// Requests of one kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ended {
    requests: Requests,
    /// The second in which the last of them ended.
    last: Stretch,
}

/// What makes requests different.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    /// The step of the window.
    pub(super) step: usize,
    pub(super) protocol: &'static str,
    pub(super) method: String,
    pub(super) route: String,
    pub(super) status: String,
    is_error: bool,
}

impl Kind {
    /// How it ended: by the status, or by what the one who answered said if it told none.
    fn outcome(&self) -> Outcome {
        match (self.status.parse::<u16>(), self.is_error) {
            (Ok(_), _) => outcome(self.protocol, &self.status),
            (Err(_), true) => Outcome::Failed,
            (Err(_), false) => Outcome::Good,
        }
    }

    /// Adds requests of this kind to others.
    pub(super) fn join(&self, ended: &Ended, to: &mut Asked) {
        to.count(self.outcome(), &self.status, &ended.requests, Some(ended.last));
        to.traced += ended.requests.count;
    }
}

impl Traced {
    /// All, whatever they are.
    pub(super) fn asked(&self) -> Asked {
        let mut all = Asked::default();
        for (kind, ended) in &self.requests {
            kind.join(ended, &mut all);
        }
        all
    }

    pub(super) fn protocols(&self) -> BTreeSet<String> {
        self.requests.keys().map(|kind| kind.protocol.to_owned()).collect()
    }
}

impl Default for Calls {
    fn default() -> Self {
        Calls { pairs: BTreeMap::new(), kinds: 0, complete: true }
    }
}

impl Calls {
    /// Of the components of a place, in the steps of the window.
    pub(super) fn read(spans: &traces::Store, window: &Window) -> Result<Calls, DatabaseError> {
        let mut calls = Calls::default();
        let (first, last) = window.between;
        let end = last.saturating_add(1).saturating_mul(SECOND) - 1;
        let between = (first.saturating_mul(SECOND), end);
        calls.complete = spans.calls(&window.place, between, |call| {
            calls.add(&call, window.step_at(call.start.div_euclid(SECOND)));
        })?;
        Ok(calls)
    }

    fn add(&mut self, call: &traces::Call<'_>, step: usize) {
        let ends = (call.source.map(Node::named), Node::named(call.destination));
        let traced = self.pairs.entry(ends).or_insert_with(|| Traced {
            source: call.source.cloned(),
            target: call.destination.clone(),
            requests: BTreeMap::new(),
        });
        let kind = kind(call, step, self.kinds < MOST_KINDS);
        let ended = traced.requests.entry(kind).or_insert_with(|| {
            self.kinds += 1;
            Ended::default()
        });
        ended.requests.add(&one(call.duration));
        let second = call.start.saturating_add(call.duration).div_euclid(SECOND);
        ended.last = ended.last.max((second, second + 1));
    }

    /// Those that are not among what was counted on the way.
    pub(super) fn besides(&self, counted: &Counted) -> impl Iterator<Item = Traced> {
        self.pairs.iter().filter_map(|((source, target), traced)| {
            let is_new = |kind: &Kind| match source {
                Some(source) => {
                    let ends = (source.clone(), target.clone());
                    !counted.contains(&(ends, is_procedure(kind.protocol)))
                }
                None => !counted
                    .iter()
                    .any(|((_, to), known)| to == target && *known == is_procedure(kind.protocol)),
            };
            let requests: BTreeMap<Kind, Ended> = traced
                .requests
                .iter()
                .filter(|(kind, _)| is_new(kind))
                .map(|(kind, ended)| (kind.clone(), ended.clone()))
                .collect();
            (!requests.is_empty()).then(|| Traced { requests, ..traced.clone() })
        })
    }

    /// Whether spans know of calls from one to the other.
    pub(super) fn names(&self, source: &Node, target: &Node) -> bool {
        self.pairs.contains_key(&(Some(source.clone()), target.clone()))
    }
}

/// Whether requests of this protocol call procedures.
pub(super) fn is_procedure(protocol: &str) -> bool {
    protocol == GRPC
}

/// What describes a call, in the words of today's conventions and of those before; some programs say both.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Described {
    #[serde(rename = "http.request.method")]
    method: Option<Json>,
    #[serde(rename = "http.method")]
    former_method: Option<Json>,
    #[serde(rename = "http.route")]
    route: Option<Json>,
    #[serde(rename = "http.response.status_code")]
    status: Option<Json>,
    #[serde(rename = "http.status_code")]
    former_status: Option<Json>,
    #[serde(rename = "rpc.grpc.status_code")]
    grpc: Option<Json>,
    #[serde(rename = "rpc.system")]
    rpc: Option<Json>,
}

fn kind(call: &traces::Call<'_>, step: usize, with_route: bool) -> Kind {
    let described = call.attributes.and_then(|text| serde_json::from_str(text).ok());
    let described: Described = described.unwrap_or_default();
    let text = |value: Option<Json>| match value {
        Some(Json::String(text)) => text,
        Some(value @ Json::Number(_)) => value.to_string(),
        _ => String::new(),
    };
    let is_grpc = described.grpc.is_some() || text(described.rpc) == "grpc";
    let status = described.status.or(described.former_status);
    let status = text(if is_grpc { described.grpc } else { status });
    // By convention the name is the method and the route, or the name of the procedure, which is asked for by POST.
    let (method, route) = if is_grpc {
        ("POST".to_owned(), format!("/{}", call.name.trim_start_matches('/')))
    } else {
        let method = text(described.method.or(described.former_method));
        let name = call.name.strip_prefix(method.as_str()).unwrap_or(call.name).trim_start();
        let route = described.route.map_or_else(|| name.to_owned(), |route| text(Some(route)));
        (method, route)
    };
    let untold = if call.is_error { "error" } else { "" };
    Kind {
        step,
        protocol: if is_grpc { GRPC } else { "http" },
        method,
        route: if with_route { route } else { String::new() },
        status: if status.is_empty() { untold.to_owned() } else { status },
        is_error: call.is_error,
    }
}

/// One request that took so many nanoseconds.
fn one(duration: i64) -> Requests {
    let seconds = duration as f64 / 1e9;
    let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
    Requests {
        count: 1,
        micros: (duration / 1000).unsigned_abs(),
        buckets: [(u8::try_from(bucket).unwrap_or(u8::MAX), 1)].into(),
    }
}
