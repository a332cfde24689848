//! Requests as samples know them, and where these do not, spans.

use std::collections::{BTreeMap, BTreeSet};

use super::Store;
use super::answers::Answers;
use super::ask::Window;
use super::calls::{Calls, Counted, Traced, is_procedure};
use super::node::Node;
use super::requests::{Asked, Http};
use super::topology::{Edge, Edges, Key, Topology, edge};
use crate::asked::Place;
use crate::database::DatabaseError;
use crate::traces;

/// Who calls when no trace says it.
const UNKNOWN: &str = "unknown";

/// Both stores. Cloning shares them.
#[derive(Clone, Debug)]
pub(crate) struct Joined {
    pub(crate) samples: Store,
    pub(crate) spans: traces::Store,
}

impl Joined {
    /// Who calls whom in a project; see [`Store::topology`].
    pub(super) fn topology(&self, window: &Window) -> Result<Topology, DatabaseError> {
        self.samples.topology(window, &Calls::read(&self.spans, window)?)
    }

    /// What components were asked; see [`Store::requests`].
    pub(super) fn requests(&self, window: &Window) -> Result<Http, DatabaseError> {
        self.samples.requests(window, &Calls::read(&self.spans, window)?)
    }

    /// How the components of `place` answered between two moments in seconds since 1970. `None` when nothing was
    /// measured of requests. Blocks.
    pub(crate) fn answers(
        &self,
        place: &Place,
        between: (i64, i64),
    ) -> Result<Option<Answers>, DatabaseError> {
        let step = (between.1 - between.0).max(1);
        let window = Window { place: place.clone(), between, step };
        Ok(Answers::of(&self.requests(&window)?))
    }
}

/// Adds the calls of which nothing on the way saw a request: to the connections that they went over, if these were seen.
/// Returns those that may have gone over the connections of several callers, by who was asked.
pub(super) fn add_calls(edges: &mut Edges, calls: &Calls) -> BTreeMap<Node, Asked> {
    let mut unattributed: BTreeMap<Node, Asked> = BTreeMap::new();
    let asked = edges.values().filter(|edge| edge.asked.all.count > 0);
    let protocols = |edge: &Edge| -> Vec<bool> {
        edge.protocols.iter().map(|protocol| is_procedure(protocol)).collect()
    };
    let counted: Counted = asked
        .flat_map(|edge| protocols(edge).into_iter().map(|known| (edge.ends_by_name(), known)))
        .collect();
    for traced in calls.besides(&counted) {
        let traced = &traced;
        let key = match &traced.source {
            Some(source) => between(edges, &Node::named(source), traced)
                .unwrap_or_else(|| (Node::of(source), Node::of(&traced.target), String::new())),
            None => match connected(edges, traced, calls) {
                Connected::By(key) => key,
                // It is one of those that are drawn already.
                Connected::Several => {
                    let target = Node::named(&traced.target);
                    unattributed.entry(target).or_default().join(&traced.asked());
                    continue;
                }
                Connected::Nobody => {
                    let unknown = Node::External(UNKNOWN.to_owned());
                    (unknown, Node::of(&traced.target), String::new())
                }
            },
        };
        let edge = edge(edges, key);
        edge.asked.join(&traced.asked());
        edge.protocols.extend(traced.protocols());
    }
    unattributed
}

/// The connections over which calls of a known caller went: most of those between the two ends.
fn between(edges: &Edges, source: &Node, traced: &Traced) -> Option<Key> {
    let ends = (source.clone(), Node::named(&traced.target));
    most(edges.values().filter(|edge| edge.ends_by_name() == ends))
}

/// Who may have made calls of which no trace names the caller.
enum Connected {
    /// Only they can, over these connections.
    By(Key),
    /// Nobody tells which of them.
    Several,
    /// Nobody was seen to connect.
    Nobody,
}

/// Who was seen to connect to the one that was called. Of several, the only one that traces do not name.
fn connected(edges: &Edges, traced: &Traced, calls: &Calls) -> Connected {
    let target = Node::named(&traced.target);
    let reaches =
        |edge: &&Edge| edge.target.by_name() == target && edge.connections.forwarded > 0.0;
    let found: Vec<&Edge> = edges.values().filter(reaches).collect();
    // By name: one that was deleted and made anew is one caller.
    let callers: BTreeSet<Node> = found.iter().map(|edge| edge.source.by_name()).collect();
    let unnamed = callers.iter().filter(|caller| !calls.names(caller, &target));
    let only = match (callers.len(), unnamed.collect::<Vec<_>>().as_slice()) {
        (1, _) => callers.first(),
        (_, [caller]) => Some(*caller),
        _ => None,
    };
    let of =
        |caller: &Node| most(found.into_iter().filter(|edge| edge.source.by_name() == *caller));
    let key = only.and_then(of);
    match key {
        Some(key) => Connected::By(key),
        None if callers.is_empty() => Connected::Nobody,
        None => Connected::Several,
    }
}

/// By what the edge is found over which most connections went.
fn most<'a>(edges: impl Iterator<Item = &'a Edge>) -> Option<Key> {
    let edge = edges.max_by(|a, b| a.connections.forwarded.total_cmp(&b.connections.forwarded))?;
    Some((edge.source.clone(), edge.target.clone(), edge.service.clone()))
}

#[cfg(test)]
mod tests;
