//! Who talks to whom.

use std::hash::{Hash, Hasher};
use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::node::network::index::{Key, Protocol};
use crate::node::network::pods::PodIdentity;

/// One end.
#[derive(Debug, Clone)]
pub(super) enum Peer {
    Pod(Arc<PodIdentity>),
    /// The machine that the node runs on.
    Host,
    /// An address that no pod has.
    Elsewhere(Ipv4Addr),
    /// Nothing was reached.
    Nobody,
    /// Any: there are too many to tell them apart.
    Other,
}

/// Both ends, as they are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Ends {
    pub(super) protocol: Protocol,
    pub(super) source: Peer,
    pub(super) destination: Peer,
    /// The Service that was asked for, with its port.
    pub(super) service: Option<(Key, u16)>,
    /// The destination's own.
    pub(super) port: u16,
}

impl Peer {
    pub(super) fn pod(&self) -> Option<&PodIdentity> {
        match self {
            Self::Pod(pod) => Some(pod),
            _ => None,
        }
    }

    /// What makes it one of its kind: a pod is its uid.
    fn same(&self) -> (u8, &str, Option<Ipv4Addr>) {
        match self {
            Self::Pod(pod) => (0, &pod.uid, None),
            Self::Host => (1, "", None),
            Self::Elsewhere(address) => (2, "", Some(*address)),
            Self::Nobody => (3, "", None),
            Self::Other => (4, "", None),
        }
    }
}

impl PartialEq for Peer {
    fn eq(&self, other: &Self) -> bool {
        self.same() == other.same()
    }
}

impl Eq for Peer {}

impl Hash for Peer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.same().hash(state);
    }
}

impl Ends {
    /// What stands for everything that is not told apart.
    pub(super) fn other(protocol: Protocol) -> Self {
        let peer = Peer::Other;
        Self { protocol, source: peer.clone(), destination: peer, service: None, port: 0 }
    }

    /// The pods among them.
    pub(super) fn pods(&self) -> impl Iterator<Item = &PodIdentity> {
        [&self.source, &self.destination].into_iter().filter_map(Peer::pod)
    }
}
