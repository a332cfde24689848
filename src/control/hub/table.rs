//! The connections there are.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use curtain_tunnel::{PlaneId, Requests};
use hyper::body::Incoming;
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;

/// A plane object, within its type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ObjectName {
    /// `None` for the cluster-scoped kinds.
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

/// One agent's tunnel.
pub(super) struct Connection {
    pub(super) plane: PlaneId,
    /// The agent's certificate and what it sent with it.
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) requests: Requests<Incoming>,
    /// The plane objects whose CA signed the certificate.
    allowed: RwLock<Vec<ObjectName>>,
    /// Ends the connection.
    pub(super) close: CancellationToken,
}

impl Connection {
    pub(super) fn new(
        plane: PlaneId,
        chain: Vec<CertificateDer<'static>>,
        requests: Requests<Incoming>,
        allowed: Vec<ObjectName>,
    ) -> Self {
        let allowed = RwLock::new(allowed);
        Self { plane, chain, requests, allowed, close: CancellationToken::new() }
    }

    pub(super) fn serves(&self, object: &ObjectName) -> bool {
        self.allowed.read().unwrap_or_else(PoisonError::into_inner).contains(object)
    }

    /// Set what the agent stands for; an agent that stands for nothing is let go.
    pub(super) fn allow(&self, objects: Vec<ObjectName>) {
        if objects.is_empty() {
            tracing::info!(plane = %self.plane, "no plane object trusts this agent any more");
            self.close.cancel();
        }
        *self.allowed.write().unwrap_or_else(PoisonError::into_inner) = objects;
    }
}

/// All connections by plane, and when each plane was last heard.
#[derive(Default)]
pub(super) struct Table {
    inner: Mutex<Inner>,
    turn: AtomicUsize,
}

#[derive(Default)]
struct Inner {
    connections: Vec<Arc<Connection>>,
    last_seen: HashMap<PlaneId, Timestamp>,
}

/// What is known of a plane's connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) agents: usize,
    /// Now, while connected: silent agents are dropped within a minute.
    pub(super) last: Option<Timestamp>,
}

impl Table {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn insert(&self, connection: Arc<Connection>) {
        self.inner().connections.push(connection);
    }

    pub(super) fn remove(&self, connection: &Arc<Connection>) {
        let mut inner = self.inner();
        inner.connections.retain(|other| !Arc::ptr_eq(other, connection));
        inner.last_seen.insert(connection.plane.clone(), Timestamp::now());
    }

    /// The agent whose turn it is to serve `object`.
    pub(super) fn pick(&self, plane: &PlaneId, object: &ObjectName) -> Option<Arc<Connection>> {
        let inner = self.inner();
        let serves = |connection: &&Arc<Connection>| {
            connection.plane == *plane
                && !connection.close.is_cancelled()
                && connection.serves(object)
        };
        let all = || inner.connections.iter().filter(serves);
        let count = all().count();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        (count > 0).then(|| all().nth(turn % count).cloned()).flatten()
    }

    /// Every connection, or those of one plane.
    pub(super) fn of(&self, plane: Option<&PlaneId>) -> Vec<Arc<Connection>> {
        let inner = self.inner();
        let wanted = |c: &&Arc<Connection>| plane.is_none_or(|plane| c.plane == *plane);
        inner.connections.iter().filter(wanted).cloned().collect()
    }

    /// What is known of a plane, or of one of its objects.
    pub(super) fn seen(&self, plane: &PlaneId, object: Option<&ObjectName>) -> Seen {
        let inner = self.inner();
        let counts = |c: &&Arc<Connection>| {
            c.plane == *plane && object.is_none_or(|object| c.serves(object))
        };
        let agents = inner.connections.iter().filter(counts).count();
        let last = match agents {
            0 => inner.last_seen.get(plane).copied(),
            _ => Some(Timestamp::now()),
        };
        Seen { agents, last }
    }
}
