//! Who was seen to talk to whom: from the counters of a node or a gateway to series of components.
//!
//! | what | where it is kept |
//! |---|---|
//! | requests to a component | with the one that was asked |
//! | requests of a component to anything else | with the one that asked |
//! | requests to a component of another project or environment | with both |
//! | connections | with the component that made them, else with the one that was reached |

use std::collections::{BTreeMap, HashMap};

use super::exposition::Kinds;
use super::gathered::Gathered;
use super::growth::Growth;
use super::known::{Part, Pods};
use crate::NAMESPACE;
use crate::metrics::names::{
    CONNECTIONS, CONNECTIONS_IN, HTTP_IN, HTTP_OUT, METHOD, PEER, PEER_ENVIRONMENT, PEER_NAME,
    PEER_NAMESPACE, PEER_PROJECT, PEER_PROJECT_UID, PEER_UID, PROTOCOL, ROUTE, SERVICE, STATUS,
    VERDICT,
};
use crate::metrics::wire::{BOUNDS, Labels, Requests};
use crate::owner::Owner;

const REQUESTS: &str = "curtain_http_requests_total";
const DURATION: &str = "curtain_http_request_duration_seconds";
const TCP: &str = "curtain_tcp_connections_total";

/// The counters of one node or gateway.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    kinds: Kinds,
    growth: Growth,
    requests: HashMap<Labels, Seen>,
    connections: HashMap<Labels, f64>,
}

/// What a kind of request has grown by.
#[derive(Debug, Default)]
struct Seen {
    count: f64,
    seconds: f64,
    /// As in the text, each with all that are shorter.
    below: BTreeMap<u8, f64>,
}

/// One end.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Of(Part),
    /// By its host.
    Elsewhere(String),
}

impl Traffic {
    pub(super) fn begin(&mut self) {
        self.growth.begin();
        self.requests.clear();
        self.connections.clear();
    }

    /// Takes in a line.
    pub(super) fn line(&mut self, line: &str) {
        let Some(line) = self.kinds.read(line) else { return };
        let part = line.name.strip_prefix(DURATION);
        if line.name != REQUESTS && line.name != TCP && part.is_none() {
            return;
        }
        let grown = self.growth.of(line.series, line.value);
        if grown <= 0.0 {
            return;
        }
        let mut labels = line.labels();
        if is_own(&labels) {
            return;
        }
        if line.name == TCP {
            *self.connections.entry(labels).or_default() += grown;
            return;
        }
        let bucket = labels.remove("le").map(|bound| bucket(&bound));
        let seen = self.requests.entry(labels).or_default();
        match (part, bucket) {
            (None, _) => seen.count += grown,
            (Some("_sum"), _) => seen.seconds += grown,
            (Some("_bucket"), Some(bucket)) => {
                let below = seen.below.entry(bucket).or_default();
                *below = below.max(grown);
            }
            _ => {}
        }
    }

    /// The reading is complete: adds what was seen. `reader` is whose traffic it is where the text does not say.
    pub(super) fn end(&mut self, pods: &Pods, reader: Option<&Part>, gathered: &mut Gathered) {
        self.growth.end();
        for (labels, seen) in self.requests.drain() {
            let requests = seen.requests();
            let (source, target) = ends(&labels, pods, reader);
            add_requests(&labels, (&source, &target), &requests, gathered);
        }
        for (labels, count) in self.connections.drain() {
            let (source, target) = ends(&labels, pods, reader);
            let (owner, name, peer) = match (&source, &target) {
                (End::Of(Part::Component(owner)), peer) => (owner, CONNECTIONS, peer),
                (peer, End::Of(Part::Component(owner))) => (owner, CONNECTIONS_IN, peer),
                _ => continue,
            };
            let mut kept = describe(peer);
            keep(&mut kept, &labels, &[(SERVICE, "destination_service"), (VERDICT, "verdict")]);
            gathered.increase(owner, name, kept, count);
        }
    }
}

/// Whether it is the observability plane that asks or is told: measuring is not what is measured.
fn is_own(labels: &Labels) -> bool {
    ["source_namespace", "destination_namespace"]
        .iter()
        .any(|end| labels.get(*end).is_some_and(|namespace| namespace == NAMESPACE))
}

impl Seen {
    fn requests(self) -> Requests {
        let mut shorter = 0.0;
        let mut buckets = BTreeMap::new();
        for (bucket, below) in self.below {
            let count = (below - shorter).round();
            if count >= 1.0 {
                buckets.insert(bucket, count as u64);
            }
            shorter = below.max(shorter);
        }
        Requests {
            count: self.count.round() as u64,
            micros: (self.seconds * 1e6).round() as u64,
            buckets,
        }
    }
}

/// The bucket that takes what is as long as `bound` at most.
fn bucket(bound: &str) -> u8 {
    let bound: f64 = bound.parse().unwrap_or(f64::INFINITY);
    let place = BOUNDS.iter().position(|upper| bound <= upper * 1.000_001);
    u8::try_from(place.unwrap_or(BOUNDS.len())).unwrap_or(u8::MAX)
}

fn add_requests(
    labels: &Labels,
    (source, target): (&End, &End),
    requests: &Requests,
    gathered: &mut Gathered,
) {
    let brief = [(SERVICE, "destination_service"), (PROTOCOL, "protocol"), (STATUS, "status")];
    if let End::Of(Part::Component(owner)) = target {
        let mut kept = describe(source);
        keep(&mut kept, labels, &brief);
        keep(&mut kept, labels, &[(METHOD, "method"), (ROUTE, "route")]);
        gathered.requests(owner, HTTP_IN, kept, requests);
    }
    if let End::Of(Part::Component(owner)) = source {
        let inside = matches!(target, End::Of(Part::Component(other)) if together(owner, other));
        if !inside {
            let mut kept = describe(target);
            keep(&mut kept, labels, &brief);
            gathered.requests(owner, HTTP_OUT, kept, requests);
        }
    }
}

/// Whether both are of one project in one environment.
fn together(one: &Owner, other: &Owner) -> bool {
    let place =
        |owner: &Owner| (owner.namespace.clone(), owner.project.clone(), owner.environment.clone());
    place(one) == place(other)
}

fn keep(into: &mut Labels, from: &Labels, names: &[(&str, &str)]) {
    for (name, written) in names {
        if let Some(value) = from.get(*written) {
            into.insert((*name).to_owned(), value.clone());
        }
    }
}

fn describe(peer: &End) -> Labels {
    let (kind, name) = match peer {
        End::Of(Part::Component(owner)) => ("component", &owner.component),
        End::Of(Part::Gateway(name)) => ("gateway", name),
        End::Elsewhere(host) => ("external", host),
    };
    let mut labels = vec![(PEER, kind), (PEER_NAME, name)];
    if let End::Of(Part::Component(owner)) = peer {
        labels.extend([
            (PEER_NAMESPACE, owner.namespace.as_str()),
            (PEER_PROJECT, &owner.project),
            (PEER_ENVIRONMENT, &owner.environment),
            (PEER_UID, &owner.component_uid),
            (PEER_PROJECT_UID, &owner.project_uid),
        ]);
    }
    let said = labels.into_iter().filter(|(_, value)| !value.is_empty());
    said.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Who is at both ends.
fn ends(labels: &Labels, pods: &Pods, reader: Option<&Part>) -> (End, End) {
    let label = |name: &str| labels.get(name).map_or("", String::as_str);
    let pod = |namespace: &str, name: &str| {
        let part = pods.named(namespace, name).map(|known| known.part.clone());
        // Pods come and go; their namespace stays.
        part.map_or_else(|| End::Elsewhere(namespace.to_owned()), End::Of)
    };
    let source = match (label("source_namespace"), label("source_pod")) {
        (_, "") => reader.cloned().map_or_else(|| End::Elsewhere("unknown".into()), End::Of),
        ("", name) => End::Elsewhere(name.trim_matches(['{', '}']).to_owned()),
        (namespace, name) => pod(namespace, name),
    };
    let namespace = label("destination_namespace");
    let target = match (label("destination_pod"), label("destination_service")) {
        ("", "") => match label("destination_host") {
            "host" => End::Elsewhere("kubernetes-api".into()),
            "" => End::Elsewhere("unknown".into()),
            host => End::Elsewhere(host.trim_matches(['{', '}']).to_owned()),
        },
        ("", service) => match pods.behind(namespace, service) {
            Some(owner) => End::Of(Part::Component(owner)),
            None => End::Elsewhere(format!("{service}.{namespace}")),
        },
        (name, service) => match (pod(namespace, name), service) {
            (End::Elsewhere(_), service) if !service.is_empty() => {
                End::Elsewhere(format!("{service}.{namespace}"))
            }
            (end, _) => end,
        },
    };
    (source, target)
}

#[cfg(test)]
mod tests;
