//! Flows as a JSON document.
//!
//! ```text
//! {"cursor": 7, "flows": [{
//!   "time": "2026-01-01T00:00:00Z", "durationMs": 1.5, "protocol": "tcp",
//!   "source": {"kind": "pod", "namespace": "shop", "name": "web-1", "uid": "…"},
//!   "destination": {"kind": "pod", "namespace": "shop", "name": "cart-1", "uid": "…", "port": 8080,
//!     "service": {"namespace": "shop", "name": "cart", "port": 80}},
//!   "verdict": "forwarded", "sentBytes": 120, "receivedBytes": 340,
//!   "requests": [{"protocol": "http1", "method": "GET", "route": "/items/{id}", "status": "200", "count": 1,
//!     "latencyMs": 1.2}]}], "open": []}
//! ```
//!
//! `kind` is `pod`, `host`, `external` (with `host`, an address) or `none`; a flow that was denied or failed, or that
//! did not end in order, has a `reason` and a `message`; `latencyMs` is the mean; `moreRequests` counts those of kinds
//! that are not listed. Cursors only grow, also over a restart of the node.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::ends::{Ends, Peer};
use super::flow::Flow;
use super::series::{Histogram, Request};
use super::tap::Exchange;
use crate::node::network::decide::Refusal;
use crate::node::network::index::Protocol;

/// Kinds of requests that a flow lists.
const LISTED: usize = 16;

/// What became of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The other end has accepted; perhaps it broke later.
    Forwarded(Option<io::ErrorKind>),
    /// It was not let through: nobody is there, or nobody may be.
    Refused(Refusal),
    /// It was let through, and the other end did not accept.
    Failed(Option<io::ErrorKind>),
}

/// A flow that is over, or what is known of one that is open.
pub(super) struct Record {
    pub(super) ends: Arc<Ends>,
    pub(super) began: Timestamp,
    pub(super) duration: Duration,
    pub(super) verdict: Verdict,
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) requests: Requests,
}

/// The requests of one flow.
#[derive(Debug, Clone, Default)]
pub(super) struct Requests {
    listed: Vec<(Request, Histogram)>,
    more: u64,
}

impl Requests {
    pub(super) fn add(&mut self, one: Exchange) {
        let Exchange { protocol, method, route, status, latency } = one;
        let kind = Request { protocol, method, route, status };
        if let Some((_, known)) = self.listed.iter_mut().find(|(known, _)| *known == kind) {
            known.add(latency);
        } else if self.listed.len() < LISTED {
            let mut first = Histogram::default();
            first.add(latency);
            self.listed.push((kind, first));
        } else {
            self.more += 1;
        }
    }
}

/// The whole document, a flow at a time.
pub(super) fn document(
    cursor: u64,
    ended: Vec<Arc<Record>>,
    open: Vec<Arc<Flow>>,
) -> impl Iterator<Item = Bytes> + Send {
    let piece = |nth: usize, value: Value| {
        let comma = if nth > 0 { "," } else { "" };
        Bytes::from(format!("{comma}{value}\n"))
    };
    let ended = ended.into_iter().enumerate();
    let open = open.into_iter().enumerate();
    [Bytes::from(format!("{{\"cursor\":{cursor},\"flows\":[\n"))]
        .into_iter()
        .chain(ended.map(move |(nth, record)| piece(nth, record.json())))
        .chain([Bytes::from_static(b"],\"open\":[\n")])
        .chain(open.map(move |(nth, flow)| piece(nth, flow.record().json())))
        .chain([Bytes::from_static(b"]}\n")])
}

impl Record {
    fn json(&self) -> Value {
        let Ends { protocol, source, destination, service, port } = &*self.ends;
        let mut to = peer(destination);
        to["port"] = (*port).into();
        if let Some((key, port)) = service {
            to["service"] = json!({"namespace": key.namespace, "name": key.name, "port": port});
        }
        let mut flow = json!({
            "time": self.began.to_string(),
            "durationMs": millis(self.duration),
            "protocol": match protocol { Protocol::Tcp => "tcp", Protocol::Udp => "udp" },
            "source": peer(source),
            "destination": to,
            "verdict": self.verdict.name(),
            "sentBytes": self.sent,
            "receivedBytes": self.received,
        });
        if let Some((reason, message)) = self.verdict.reason() {
            flow["reason"] = reason.into();
            flow["message"] = message.into();
        }
        if !self.requests.listed.is_empty() {
            flow["requests"] = self.requests.listed.iter().map(request).collect();
        }
        if self.requests.more > 0 {
            flow["moreRequests"] = self.requests.more.into();
        }
        flow
    }

    #[cfg(test)]
    pub(super) fn sample() -> Self {
        Self {
            ends: Arc::new(Ends::other(Protocol::Tcp)),
            began: Timestamp::UNIX_EPOCH,
            duration: Duration::ZERO,
            verdict: Verdict::Forwarded(None),
            sent: 0,
            received: 0,
            requests: Requests::default(),
        }
    }
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Forwarded(_) => "forwarded",
            Self::Refused(refusal) if refusal.denies() => "denied",
            Self::Refused(_) | Self::Failed(_) => "failed",
        }
    }

    fn reason(self) -> Option<(String, String)> {
        match self {
            Self::Refused(refusal) => Some((format!("{refusal:?}"), refusal.to_string())),
            Self::Forwarded(kind) | Self::Failed(kind) => {
                kind.map(|kind| (format!("{kind:?}"), kind.to_string()))
            }
        }
    }
}

fn peer(peer: &Peer) -> Value {
    match peer {
        Peer::Pod(pod) => {
            json!({"kind": "pod", "namespace": pod.namespace, "name": pod.name, "uid": pod.uid})
        }
        Peer::Host => json!({"kind": "host"}),
        Peer::Elsewhere(address) => json!({"kind": "external", "host": address.to_string()}),
        Peer::Nobody => json!({"kind": "none"}),
        Peer::Other => json!({"kind": "other"}),
    }
}

fn request((kind, histogram): &(Request, Histogram)) -> Value {
    let mut request = json!({
        "protocol": kind.protocol.name(),
        "method": kind.method,
        "route": kind.route,
        "status": kind.status.map_or("none".to_owned(), |status| status.to_string()),
        "count": histogram.count,
    });
    if histogram.answered > 0 {
        request["latencyMs"] = (millis(histogram.sum) / histogram.answered as f64).into();
    }
    request
}

fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}
