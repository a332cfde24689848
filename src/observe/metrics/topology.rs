//! Who calls whom, from what was seen of requests and connections; and where no requests were seen, from spans.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::Store;
use super::ask::Window;
use super::calls::{Calls, Pair};
use super::health::{self, State};
use super::joined::add_calls;
use super::names::{CONNECTIONS, CONNECTIONS_IN, HTTP_IN, HTTP_OUT, PROTOCOL, SERVICE, VERDICT};
use super::node::Node;
use super::requests::Asked;
use super::scan::{Measured, Series, Stretch};
use super::wire::{Requests, Value};
use crate::asked::Place;
use crate::database::DatabaseError;
use crate::owner::Owner;

/// The part of connections that may be without a request by chance.
const FEW: f64 = 0.1;

/// Connections by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Connections {
    pub(super) forwarded: f64,
    pub(super) denied: f64,
    pub(super) failed: f64,
    /// None is known to have been denied or to have failed from then on, in seconds since 1970.
    refused_at: Option<i64>,
    /// One is known to have been forwarded then or later.
    forwarded_at: Option<i64>,
}

impl Connections {
    /// Adds so many of a verdict, the last of them within `last`.
    fn add(&mut self, verdict: &str, count: f64, last: Option<Stretch>) {
        match verdict {
            "denied" => self.denied += count,
            "failed" => self.failed += count,
            _ => {
                self.forwarded += count;
                self.forwarded_at = self.forwarded_at.max(last.map(|(begin, _)| begin));
                return;
            }
        }
        self.refused_at = self.refused_at.max(last.map(|(_, end)| end));
    }

    /// Those that came to nothing.
    pub(super) fn refused(&self) -> f64 {
        self.denied + self.failed
    }
}

/// Calls from one end to another.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Edge {
    pub(super) source: Node,
    pub(super) target: Node,
    /// The Service that was asked for, if there was one.
    pub(super) service: String,
    pub(super) asked: Asked,
    pub(super) connections: Connections,
    pub(super) protocols: BTreeSet<String>,
}

impl Edge {
    fn new(source: Node, target: Node, service: String) -> Edge {
        Edge {
            source,
            target,
            service,
            asked: Asked::default(),
            connections: Connections::default(),
            protocols: BTreeSet::new(),
        }
    }

    /// Connections over which no request was seen: encrypted ones, or those that speak of something else. A connection
    /// with many requests hides others without any, so there may be more. A few are none: what is on its way at an end
    /// of the time that was asked for is counted on one side of it and seen on the other.
    pub(super) fn unread(&self) -> f64 {
        let seen = self.asked.all.count.saturating_sub(self.asked.traced);
        let unread = self.connections.forwarded - seen as f64;
        if seen == 0 || unread >= (FEW * self.connections.forwarded).max(2.0) {
            unread.max(0.0)
        } else {
            0.0
        }
    }

    /// Since when no connection came to nothing, if one was made or a request over one was answered well after that.
    pub(super) fn connects_again(&self) -> Option<i64> {
        let good = self.connections.forwarded_at.max(self.asked.good_at);
        self.connections.refused_at.filter(|refused| good >= Some(*refused))
    }

    /// Its ends without uids.
    pub(super) fn ends_by_name(&self) -> Pair {
        (self.source.by_name(), self.target.by_name())
    }
}

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Topology {
    /// Those over which anything went.
    pub(super) edges: Vec<Edge>,
    /// What spans know besides, of callers who may be any of several that are drawn: by who was asked, without uids.
    pub(super) unattributed: BTreeMap<Node, Asked>,
    /// How the components of the place are, by name.
    pub(super) states: BTreeMap<String, State>,
    /// In how many seconds all this was.
    pub(super) seconds: f64,
    /// Whether nodes see what goes from pod to pod.
    pub(super) sighted: bool,
    /// The end of the newest moment that was measured, in seconds since 1970.
    pub(super) newest: i64,
    /// Whether there were more spans than are looked at, so that older calls are missing.
    pub(super) more: bool,
}

/// Both ends and the Service.
pub(super) type Key = (Node, Node, String);

/// By what makes them different.
pub(super) type Edges = BTreeMap<Key, Edge>;

impl Store {
    /// The calls of a project in an environment; those of one component, if the place names it. `spans` are the calls
    /// that spans know.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub(super) fn topology(
        &self,
        window: &Window,
        spans: &Calls,
    ) -> Result<Topology, DatabaseError> {
        let calls = [HTTP_IN, HTTP_OUT, CONNECTIONS, CONNECTIONS_IN];
        let wanted = |name: &str| calls.contains(&name) || health::NAMES.contains(&name);
        let component = window.place.component.as_str();
        let place = Place { component: String::new(), ..window.place.clone() };
        self.scan(&place, window.between, wanted, |connection, scan| {
            let mut measured = Measured::default();
            // With the moment of the last requests or connections.
            let mut sums: Vec<(Option<Value>, Option<Stretch>)> =
                vec![(None, None); scan.series.len()];
            let mut newest = 0;
            let states = RefCell::new(health::States::new(&scan));
            scan.each(
                connection,
                |owner, moment| {
                    measured.add(moment);
                    states.borrow_mut().moment(owner, moment);
                },
                |moment, series, value| {
                    newest = newest.max(moment.time + moment.span);
                    if health::NAMES.contains(&scan.series[series].name.as_str()) {
                        states.borrow_mut().value(moment, series, &value);
                        return;
                    }
                    let (sum, last) = &mut sums[series];
                    let any = match &value {
                        Value::Requests(requests) => requests.count > 0,
                        Value::Increase(count) => *count > 0.0,
                        Value::Gauge(_) => false,
                    };
                    if any {
                        *last = Some(moment.stretch()).max(*last);
                    }
                    match (sum, value) {
                        (Some(Value::Increase(sum)), Value::Increase(value)) => *sum += value,
                        (Some(Value::Requests(sum)), Value::Requests(value)) => sum.add(&value),
                        (sum, value) => *sum = Some(value),
                    }
                },
            )?;
            let mut edges = Edges::new();
            for (series, (sum, last)) in scan.series.iter().zip(sums) {
                if let Some(sum) = sum {
                    add(&mut edges, &scan.owners[series.owner], series, (&sum, last));
                }
            }
            let unattributed = add_calls(&mut edges, spans);
            let sees =
                |series: &Series| [CONNECTIONS, CONNECTIONS_IN].contains(&series.name.as_str());
            let sighted = scan.series.iter().any(sees);
            let touches = |edge: &Edge| {
                component.is_empty()
                    || edge.source.is_component(component)
                    || edge.target.is_component(component)
            };
            let edges = edges.into_values().filter(touches).collect();
            let mut states = states.into_inner().finish();
            states.retain(|name, _| component.is_empty() || name == component);
            let (seconds, more) = (measured.seconds(), !spans.complete);
            Ok(Topology { edges, unattributed, states, seconds, sighted, newest, more })
        })
    }
}

/// Adds what was seen of one series, with the moment of the last of it.
fn add(edges: &mut Edges, owner: &Owner, series: &Series, (sum, last): (&Value, Option<Stretch>)) {
    let (own, peer) = (Node::of(owner), Node::peer(series));
    let comes_in = [HTTP_IN, CONNECTIONS_IN].contains(&series.name.as_str());
    let (source, target) = if comes_in { (peer, own) } else { (own, peer) };
    let service = series.label(SERVICE).to_owned();
    let edge = edge(edges, (source, target, service));
    match sum {
        Value::Requests(requests) if requests.count > 0 => {
            edge.asked.add(series, requests, last);
            edge.protocols.insert(series.label(PROTOCOL).to_owned());
        }
        Value::Increase(count) => edge.connections.add(series.label(VERDICT), *count, last),
        _ => {}
    }
}

/// The edge between two ends, made if there is none.
pub(super) fn edge(edges: &mut Edges, (source, target, service): Key) -> &mut Edge {
    let key = (source.clone(), target.clone(), service.clone());
    edges.entry(key).or_insert_with(|| Edge::new(source, target, service))
}

impl Topology {
    /// What a component of the place was asked, by everybody.
    pub(super) fn asked_of(&self, place: &Place, component: &str) -> Asked {
        let mut all = Asked { all: Requests::default(), ..Asked::default() };
        for edge in &self.edges {
            if edge.target.is_in(place) && edge.target.is_component(component) {
                all.join(&edge.asked);
            }
        }
        for (target, asked) in &self.unattributed {
            if target.is_in(place) && target.is_component(component) {
                all.join(asked);
            }
        }
        all
    }

    /// The calls of a component of the place.
    pub(super) fn calls_of<'a>(
        &'a self,
        place: &'a Place,
        component: &'a str,
    ) -> impl Iterator<Item = &'a Edge> {
        let of =
            move |edge: &&Edge| edge.source.is_in(place) && edge.source.is_component(component);
        self.edges.iter().filter(of)
    }
}
