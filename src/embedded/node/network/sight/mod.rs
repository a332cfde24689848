//! Sight: who talks to whom, how much, and what became of it, seen in passing by the proxy.
//!
//! Every connection is a [`Flow`]: its ends, its bytes, what was decided. Beside the copying a [`tap`] reads along
//! where a connection is HTTP in the clear. What is seen is kept in three bounded places: counters
//! ([`series::Series`]), the latest flows ([`ring::Ring`]), and the flows that are open.
//!
//! Invariants: nothing here can change, delay or end a connection; memory is bounded by the constants of these
//! modules, whatever pods send; bodies, queries and header values are not kept.
//!
//! # Metrics
//!
//! Prometheus' text format. Counters begin at zero when the node starts, and those of a pod that is gone go after
//! some minutes. A label without a value is left out.
//!
//! | name | unit | counts |
//! |---|---|---|
//! | `curtain_tcp_connections_total` | connections | as soon as it is known what becomes of them |
//! | `curtain_tcp_sent_bytes_total` | bytes | from the source to the destination |
//! | `curtain_tcp_received_bytes_total` | bytes | from the destination to the source |
//! | `curtain_udp_sessions_total` | sessions | datagrams between two ends and ports |
//! | `curtain_udp_sent_bytes_total` | bytes | from the source to the destination |
//! | `curtain_udp_received_bytes_total` | bytes | from the destination to the source |
//! | `curtain_http_requests_total` | requests | when their response's head has passed; gRPC's when its status has |
//! | `curtain_http_request_duration_seconds` | seconds, a histogram | from a request's first byte to the end of its response's head |
//!
//! | label | value |
//! |---|---|
//! | `source_namespace`, `source_pod` | the pod that connected; `source_pod="host"` without a namespace is a process of the machine |
//! | `destination_namespace`, `destination_pod` | the pod that was reached |
//! | `destination_service` | the Service that was asked for, in `destination_namespace`; left out where a pod was |
//! | `destination_host` | an address outside of the cluster, or one inside that no pod has; `host` is the API server |
//! | `port` | the destination's own, which may differ from its Service's; the one asked for where nothing was reached |
//! | `protocol` | `tcp`, `udp`, `http1`, `http2`, `grpc` |
//! | `verdict` | of connections and sessions: `forwarded`, `denied` (the node or a NetworkPolicy said no), `failed` (nobody is there, or nobody accepted) |
//! | `method`, `route` | of requests: the path with numbers, digests and keys as `{id}`; gRPC's as it is; `{other}` beyond what is counted apart |
//! | `status` | HTTP's; gRPC's number for gRPC; `none` where the connection ended without an answer |

mod ends;
mod expose;
mod flow;
mod report;
mod ring;
mod series;
mod tap;

use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use jiff::Timestamp;

use self::ends::{Ends, Peer};
use self::ring::Ring;
use self::series::Series;
use super::Shared;
use super::decide::{self, Destination, Refusal, Route};
use super::index::Protocol;
use super::pods::Pod;

pub(super) use self::flow::Flow;
pub(super) use self::tap::Side;

/// What is seen.
pub(super) struct Sight {
    series: Series,
    ring: Mutex<Ring>,
    open: Mutex<HashMap<u64, Weak<Flow>>>,
    next: AtomicU64,
}

impl Sight {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            series: Series::default(),
            ring: Mutex::new(Ring::new(Timestamp::now())),
            open: Mutex::default(),
            next: AtomicU64::new(0),
        })
    }

    /// A pod is there, perhaps again.
    pub(super) fn pod_here(&self, uid: &str) {
        self.series.pod_here(uid);
    }

    /// A pod is gone: what is counted of it goes, too, in a while.
    pub(super) fn pod_gone(&self, uid: &str) {
        self.series.pod_gone(uid);
    }

    /// All counters in Prometheus' text format, piece by piece.
    pub(super) fn metrics(&self) -> impl Iterator<Item = Bytes> + Send + use<> {
        expose::expose(self.series.all())
    }

    /// The flows that have ended since `cursor`, and those that are open, as a JSON document in pieces.
    pub(super) fn flows(&self, cursor: u64) -> impl Iterator<Item = Bytes> + Send + use<> {
        let open: Vec<_> = lock(&self.open).values().filter_map(Weak::upgrade).collect();
        let (next, ended) = lock(&self.ring).since(cursor);
        report::document(next, ended, open)
    }
}

impl Shared {
    /// Begins to look at a connection or a session of datagrams about which this was decided, and then that it goes
    /// nowhere if there is a `refusal`. `None` where sight is off, and for what the name server answers, which is the
    /// node itself.
    pub(super) fn flow(
        &self,
        from: Option<&Arc<Pod>>,
        destination: &Destination,
        (decided, refusal): (Result<Route, Refusal>, Option<Refusal>),
        to: Option<&Arc<Pod>>,
        protocol: Protocol,
    ) -> Option<Arc<Flow>> {
        let sight = self.sight.as_ref()?;
        let service = decide::service(&self.settings, &self.index(), destination, protocol);
        let asked = match (&service, destination) {
            (Some((_, port)), _) | (None, Destination::Service(_, port)) => *port,
            (None, Destination::Address(address)) => address.port(),
        };
        let elsewhere = |at: &SocketAddrV4| (Peer::Elsewhere(*at.ip()), at.port());
        let (reached, port) = match (decided, destination) {
            (Ok(Route::Dns), _) if refusal.is_none() => return None,
            (Ok(Route::Dns), _) => elsewhere(&self.settings.dns_service),
            (Ok(Route::Pod(at)), _) => {
                (to.map_or(Peer::Nobody, |pod| Peer::Pod(pod.identity.clone())), at.port())
            }
            (Ok(Route::Api(at)), _) => (Peer::Host, at.port()),
            (Ok(Route::Outside(at)), _) => elsewhere(&at),
            (Err(_), Destination::Address(at)) if service.is_none() => elsewhere(at),
            (Err(_), _) => (Peer::Nobody, asked),
        };
        let source = from.map_or(Peer::Host, |pod| Peer::Pod(pod.identity.clone()));
        let ends = Ends { protocol, source, destination: reached, service, port };
        let pods = [from, to].map(|pod| pod.cloned());
        Some(Flow::open(sight, ends, pods, refusal))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}
