//! Requests as samples know them, and where these do not, spans.

use std::collections::BTreeSet;

use super::Store;
use super::answers::Answers;
use super::ask::Window;
use super::calls::{Calls, Pair, Traced};
use super::node::Node;
use super::requests::Http;
use super::topology::{Edge, Edges, Topology, edge};
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
pub(super) fn add_calls(edges: &mut Edges, calls: &Calls) {
    let asked = edges.values().filter(|edge| edge.asked.all.count > 0);
    let counted: BTreeSet<Pair> = asked.map(Edge::ends_by_name).collect();
    for traced in calls.besides(&counted) {
        let key = unread(edges, traced, calls).unwrap_or_else(|| {
            let unknown = || Node::External(UNKNOWN.to_owned());
            let source = traced.source.as_ref().map_or_else(unknown, Node::of);
            (source, Node::of(&traced.target), String::new())
        });
        let edge = edge(edges, key);
        edge.asked.join(&traced.asked());
        edge.protocols.extend(traced.protocols());
    }
}

/// The connections over which calls went: most of those between the two ends. For a caller that no trace names, those of
/// the only one that traces do not name.
fn unread(edges: &Edges, traced: &Traced, calls: &Calls) -> Option<(Node, Node, String)> {
    let (source, target) = (traced.source.as_ref().map(Node::named), Node::named(&traced.target));
    let fits = |edge: &&Edge| {
        let (from, to) = edge.ends_by_name();
        to == target && source.as_ref().map_or_else(|| !calls.names(&from, &to), |one| *one == from)
    };
    let found: Vec<&Edge> = edges.values().filter(fits).collect();
    let callers: BTreeSet<&Node> = found.iter().map(|edge| &edge.source).collect();
    let most = |a: &&&Edge, b: &&&Edge| a.connections.forwarded.total_cmp(&b.connections.forwarded);
    let edge = found.iter().filter(|_| source.is_some() || callers.len() == 1).max_by(most)?;
    Some((edge.source.clone(), edge.target.clone(), edge.service.clone()))
}

#[cfg(test)]
mod tests;
