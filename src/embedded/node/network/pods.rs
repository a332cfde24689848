//! The pods attached to the proxy.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use nix::sys::socket::{MsgFlags, SockaddrIn, sendto};
use tokio_util::sync::CancellationToken;

use super::packet;
use super::pool::Pool;

/// Which pod a set of sockets belongs to.
#[derive(Debug, Clone)]
pub struct PodIdentity {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// The address that its namespace was configured with.
    pub ip: Ipv4Addr,
}

/// Bytes that have passed on behalf of a pod.
#[derive(Default)]
pub(super) struct Traffic {
    pub(super) received: AtomicU64,
    pub(super) sent: AtomicU64,
}

impl Traffic {
    /// Received, and sent.
    pub(super) fn read(&self) -> (u64, u64) {
        (self.received.load(Ordering::Relaxed), self.sent.load(Ordering::Relaxed))
    }
}

/// One attached pod.
pub(super) struct Pod {
    pub(super) identity: Arc<PodIdentity>,
    pub(super) pool: Pool,
    pub(super) traffic: Traffic,
    raw: OwnedFd,
    /// Cancelled when the pod is detached.
    pub(super) gone: CancellationToken,
}

impl Pod {
    pub(super) fn new(identity: PodIdentity, pool: Pool, raw: OwnedFd) -> Self {
        let traffic = Traffic::default();
        Self { identity: Arc::new(identity), pool, traffic, raw, gone: CancellationToken::new() }
    }

    /// Deliver a datagram into the pod, as if `source` had sent it there.
    ///
    /// # Errors
    /// As the kernel reports them; datagrams may be lost, so most callers drop it.
    pub(super) fn deliver(
        &self,
        source: SocketAddrV4,
        port: u16,
        payload: &[u8],
    ) -> io::Result<()> {
        let target = SocketAddrV4::new(self.identity.ip, port);
        let bytes = packet::udp(source, target, payload);
        sendto(self.raw.as_raw_fd(), &bytes, &SockaddrIn::from(target), MsgFlags::MSG_DONTWAIT)?;
        Ok(())
    }
}

/// Attached pods by address.
#[derive(Default)]
pub(super) struct Pods(RwLock<HashMap<Ipv4Addr, Arc<Pod>>>);

impl Pods {
    /// Add a pod; one that had the address before is let go.
    pub(super) fn insert(&self, pod: Arc<Pod>) {
        let mut pods = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = pods.insert(pod.identity.ip, pod) {
            before.gone.cancel();
        }
    }

    /// Let the pod with this uid go, wherever it is.
    pub(super) fn remove(&self, uid: &str) {
        let mut pods = self.0.write().unwrap_or_else(PoisonError::into_inner);
        pods.retain(|_, pod| {
            let stays = pod.identity.uid != uid;
            if !stays {
                pod.gone.cancel();
            }
            stays
        });
    }

    pub(super) fn by_ip(&self, ip: Ipv4Addr) -> Option<Arc<Pod>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&ip).cloned()
    }

    pub(super) fn by_uid(&self, uid: &str) -> Option<Arc<Pod>> {
        let pods = self.0.read().unwrap_or_else(PoisonError::into_inner);
        pods.values().find(|pod| pod.identity.uid == uid).cloned()
    }

    pub(super) fn lives(&self, ip: Ipv4Addr) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains_key(&ip)
    }
}
