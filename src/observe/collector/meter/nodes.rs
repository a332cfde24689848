//! What nodes say: what their pods use, and who was seen to talk to whom.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use bytes::Bytes;
use futures::{StreamExt, stream};

use super::fetch::FetchError;
use super::gathered::Gathered;
use super::traffic::Traffic;
use super::{AT_ONCE, Meter, read_traffic, summary};

/// A node without sight is asked about it again after so many moments.
const BLIND: u32 = 60;

/// What is remembered of a node.
#[derive(Default)]
pub(super) struct Node {
    summary: summary::Node,
    traffic: Traffic,
    /// Moments for which it is not asked about traffic.
    blind: u32,
    /// Whether it ever answered.
    known: bool,
}

/// What came of asking all nodes.
pub(super) struct Asked {
    /// Any of them sees traffic.
    pub(super) seeing: bool,
    /// None was silent that had answered before.
    pub(super) whole: bool,
}

/// What a node answered.
struct Answer {
    name: String,
    summary: Result<Bytes, FetchError>,
    traffic: Option<Result<Bytes, FetchError>>,
}

impl Meter {
    /// Asks all nodes what their pods use and what they see.
    pub(super) async fn ask_nodes(
        &mut self,
        nodes: HashSet<String>,
        gathered: &mut Gathered,
    ) -> Asked {
        let blind: HashMap<String, bool> = nodes
            .into_iter()
            .map(|name| {
                let node = self.nodes.entry(name.clone()).or_default();
                node.blind = node.blind.saturating_sub(1);
                (name, node.blind > 0)
            })
            .collect();
        let fetch = &self.fetch;
        let mut answers = stream::iter(blind)
            .map(|(name, blind)| async move {
                let summary = fetch.node(&name, "stats/summary").await;
                let traffic = match blind {
                    true => None,
                    false => Some(fetch.node(&name, "metrics/traffic").await),
                };
                Answer { name, summary, traffic }
            })
            .buffer_unordered(AT_ONCE);
        let (mut seeing, mut whole) = (false, true);
        while let Some(Answer { name, summary, traffic }) = answers.next().await {
            let Some(node) = self.nodes.get_mut(&name) else { continue };
            let read = summary.map_err(|error| error.to_string()).and_then(|document| {
                let read = node.summary.read(&document, &self.pods, Instant::now(), gathered);
                read.map_err(|error| error.to_string())
            });
            match read {
                Ok(()) => node.known = true,
                Err(error) => {
                    // Where nobody may ask nodes, nothing is missing.
                    whole &= !node.known;
                    tracing::debug!(node = name, error, "a node does not say what its pods use");
                }
            }
            match traffic {
                Some(Ok(text)) => {
                    seeing = true;
                    read_traffic(&mut node.traffic, &text, (&self.pods, None), gathered);
                }
                Some(Err(FetchError::Missing)) => node.blind = BLIND,
                Some(Err(error)) => {
                    // It sees, and its gateways would be counted twice if they were asked now.
                    seeing = true;
                    whole &= !node.known;
                    tracing::debug!(node = name, %error, "a node does not say what it sees");
                }
                None => {}
            }
        }
        Asked { seeing, whole }
    }
}
