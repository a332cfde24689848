//! The pod network: no bridge, no veth pair, no address on the host.
//!
//! Every pod has its own network namespace in which *all* of IPv4 is local
//! (`ip route add local default dev lo`). A TPROXY rule hands whatever is not
//! for the pod itself to one transparent listener, and the node's proxy serves
//! that listener: Services, cluster DNS, other pods, the world outside.
//!
//! Invariants:
//! - the source of a connection is the listener that accepted it; an address
//!   in a packet is never believed;
//! - every connection passes [`decide::decide`] once, and then the NetworkPolicies, as `policy` says: again whenever
//!   they change;
//! - an address inside the pod or Service range without an owner is refused,
//!   never dialled through the host;
//! - every connection is seen, counted and never changed, as `sight` says;
//! - every socket is made by the pod's shim and handed over, so the node needs
//!   no privilege here and queued connections outlive a crash of the node.
//!
//! Entry points: [`sandbox`] for the shim (synchronous, no runtime), and
//! [`Network`] for the node.

mod affinity;
pub mod decide;
pub mod sandbox;

mod dns;
mod gate;
mod host;
mod index;
mod netlink;
mod nft;
mod object;
mod packet;
mod pods;
mod policy;
mod pool;
mod proxy;
mod relay;
mod route;
#[cfg(test)]
mod samples;
mod settings;
mod sight;
#[cfg(test)]
mod tests;
mod udp;
mod watch;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use k8s_openapi::api::core::v1::Pod as CorePod;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use self::dns::ResolvConf;
pub use self::gate::Hold;
pub use self::index::{Key, Protocol};
pub use self::pods::PodIdentity;
pub use self::pool::Refill;
pub use self::settings::Settings;

use self::affinity::Affinity;
use self::decide::{Destination, Refusal, Route, Source, Spread};
use self::gate::Gate;
use self::index::Index;
use self::pods::{Pod, Pods};
use self::policy::{Policies, Rules};
use self::pool::Pool;
use self::sandbox::PodSockets;
use self::sight::Sight;
use self::watch::Listing;
use crate::apiserver::beyond_reach;

/// The node's side of the pod network. Clones share it.
#[derive(Clone)]
pub struct Network(Arc<Shared>);

/// What all tasks of the network share.
struct Shared {
    settings: Settings,
    index: RwLock<Index>,
    pods: Pods,
    sessions: udp::Sessions,
    /// Counts connections, so that a Service's endpoints take turns.
    turn: AtomicUsize,
    affinity: Affinity,
    policies: Policies,
    /// Told when Services have changed.
    changed: Notify,
    gate: Gate,
    /// What is seen of connections; none where it is off.
    sight: Option<Arc<Sight>>,
    /// Kept until everything that decides on connections has been listed.
    listing: Mutex<Listing>,
}

impl Network {
    /// A network without pods, which serves nothing before [`run`](Self::run)
    /// has listed the Services.
    pub fn new(settings: Settings) -> Self {
        let gate = Gate::new();
        let listing = Mutex::new(Listing::new(&gate));
        Self(Arc::new(Shared {
            sight: settings.sight.then(Sight::new),
            settings,
            index: RwLock::default(),
            pods: Pods::default(),
            sessions: udp::Sessions::default(),
            turn: AtomicUsize::new(0),
            affinity: Affinity::default(),
            policies: Policies::default(),
            changed: Notify::new(),
            gate,
            listing,
        }))
    }

    /// Keep connections waiting in their queues until the result is dropped:
    /// while pods of an earlier run are attached again, a connection to one of
    /// them must not be refused. Nothing is served before Services,
    /// EndpointSlices, namespaces and policies have been listed in any case.
    pub fn hold(&self) -> Hold {
        self.0.gate.hold()
    }

    /// Wait until nothing holds connections back: pods of an earlier run, and their addresses, are known.
    pub(crate) async fn settled(&self) {
        self.0.gate.passed().await;
    }

    /// Follow Services, EndpointSlices, namespaces and NetworkPolicies through
    /// `client` and keep node ports open, until `shutdown`.
    pub async fn run(&self, client: kube::Client, shutdown: CancellationToken) {
        let shared = || self.0.clone();
        tokio::select! {
            () = watch::services(shared(), client.clone()) => {}
            () = watch::slices(shared(), client.clone()) => {}
            () = watch::namespaces(shared(), client.clone()) => {}
            () = watch::policies(shared(), client) => {}
            () = host::node_ports(shared()) => {}
            () = shutdown.cancelled() => {}
        }
    }

    /// Know what a pod is to the policies, before it is attached and whenever its object changes.
    pub(crate) fn know(&self, pod: &CorePod) {
        self.0.change_rules(|rules| rules.put_pod(pod));
    }

    /// A pod's object is gone; what it was counts for as long as it is attached.
    pub(crate) fn forget(&self, uid: &str) {
        self.0.change_rules(|rules| {
            rules.remove_pod(uid);
            false
        });
    }

    /// Serve a pod: everything it connects to from now on, and what waits in
    /// its accept queue already. `refill` is called when dial sockets run low;
    /// what the shim then sends goes to [`add_dial_sockets`](Self::add_dial_sockets).
    ///
    /// Attaching a pod again, after the node has restarted, is the same call.
    ///
    /// # Errors
    /// When the runtime cannot wait for one of the sockets.
    pub fn attach(
        &self,
        identity: PodIdentity,
        sockets: PodSockets,
        refill: Refill,
    ) -> io::Result<()> {
        let listener = TcpListener::from_std(StdListener::from(sockets.listener))?;
        let udp = UdpSocket::from_std(sockets.udp.into())?;
        if let Some(sight) = &self.0.sight {
            sight.pod_here(&identity.uid);
        }
        self.0.change_rules(|rules| {
            rules.attach(&identity);
            false
        });
        let pod = Arc::new(Pod::new(identity, Pool::new(sockets.dial, refill), sockets.raw));
        self.0.pods.insert(pod.clone());
        tokio::spawn(proxy::serve_pod(self.0.clone(), pod.clone(), listener));
        tokio::spawn(udp::serve(self.0.clone(), pod, udp));
        Ok(())
    }

    /// Add sockets that the shim of the pod with this uid sent; those of a pod
    /// that is gone are closed.
    pub fn add_dial_sockets(&self, uid: &str, sockets: Vec<OwnedFd>) {
        if let Some(pod) = self.0.pods.by_uid(uid) {
            pod.pool.add(sockets);
        }
    }

    /// Stop serving a pod whose containers have ended. What is still on its
    /// way gets a second; then its connections are reset and its namespace can go.
    pub fn detach(&self, uid: &str) {
        if let Some(pod) = self.0.pods.by_uid(uid) {
            self.0.pods.remove(uid);
            if let Some(sight) = &self.0.sight {
                sight.pod_gone(uid);
            }
            self.0.sessions.forget_pod(pod.identity.ip);
        }
        // Also of one whose address another has by now.
        self.0.change_rules(|rules| {
            rules.detach(uid);
            false
        });
    }

    /// Everything that is counted, in Prometheus' text format, piece by piece; none where sight is off. Names, units
    /// and labels are in the documentation of `sight`.
    pub fn metrics(&self) -> Option<impl Iterator<Item = Bytes> + Send + use<>> {
        self.0.sight.as_ref().map(|sight| sight.metrics())
    }

    /// The flows that have ended since `cursor`, as far as they are kept, and those that are open: a JSON document in
    /// pieces; none where sight is off.
    pub fn flows(&self, cursor: u64) -> Option<impl Iterator<Item = Bytes> + Send + use<>> {
        self.0.sight.as_ref().map(|sight| sight.flows(cursor))
    }

    /// How many bytes the pod with this uid has received and sent since it was attached; none where sight is off.
    pub fn traffic(&self, uid: &str) -> Option<(u64, u64)> {
        self.0.sight.as_ref()?;
        self.0.pods.by_uid(uid).map(|pod| pod.traffic.read())
    }

    /// Connect to a pod as the node does, for probes and port-forwards.
    ///
    /// # Errors
    /// `ConnectionRefused` when nothing listens or no such pod is attached,
    /// `TimedOut` when the pod does not accept within 10 s.
    pub async fn dial(&self, ip: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
        let pod = self.0.pods.by_ip(ip).ok_or(io::ErrorKind::ConnectionRefused)?;
        proxy::dial(&pod, self.0.settings.node, port).await
    }

    /// Connect to an address of a pod, of this node, or outside of the cluster unless that is offline.
    ///
    /// # Errors
    /// As [`Network::dial`] for a pod's, as the host has it for others.
    pub async fn reach(&self, address: SocketAddr) -> io::Result<TcpStream> {
        match address.ip().to_canonical() {
            IpAddr::V4(ip) if ip == self.0.settings.node => {
                TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).await
            }
            IpAddr::V4(ip) if self.0.settings.pods.contains(ip) => {
                self.dial(ip, address.port()).await
            }
            ip if self.0.settings.offline && !ip.is_loopback() => Err(beyond_reach()),
            _ => TcpStream::connect(address).await,
        }
    }

    /// Connect as a program of the pod does to `localhost`.
    ///
    /// # Errors
    /// As [`Network::dial`].
    pub async fn dial_loopback(&self, ip: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
        let pod = self.0.pods.by_ip(ip).ok_or(io::ErrorKind::ConnectionRefused)?;
        proxy::dial_loopback(&pod, port).await
    }

    /// Serve a host listener as the front door of one Service port until
    /// `shutdown`; the listener itself belongs to whoever passed it.
    ///
    /// # Errors
    /// When the runtime cannot wait for the listener.
    pub fn serve_front_door(
        &self,
        listener: OwnedFd,
        service: Key,
        port: u16,
        shutdown: CancellationToken,
    ) -> io::Result<()> {
        let listener = StdListener::from(listener);
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let destination = Destination::Service(service, port);
        tokio::spawn(proxy::serve_host(self.0.clone(), listener, destination, shutdown));
        Ok(())
    }
}

impl Shared {
    /// A kind of objects has been listed.
    fn listed(&self, kind: watch::Kind) {
        self.listing.lock().unwrap_or_else(PoisonError::into_inner).done(kind);
    }

    /// Whether `source` may go on its `route`.
    fn admit(&self, source: Source, route: Route, protocol: Protocol) -> Result<(), Refusal> {
        self.policies.admit(&self.settings, source, route, protocol)
    }

    /// Change what verdicts depend on; where they may be other ones then, what is no longer allowed ends. `change` says
    /// whether they may.
    fn change_rules(&self, change: impl FnOnce(&mut Rules) -> bool) {
        if self.policies.change(change) {
            self.sessions.retain(|source, route| self.admit(source, route, Protocol::Udp).is_ok());
        }
    }

    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn decide(
        &self,
        source: Source,
        destination: &Destination,
        protocol: Protocol,
    ) -> Result<Route, Refusal> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let spread = Spread { turn, affinity: &self.affinity };
        let lives = |ip| self.pods.lives(ip);
        decide::decide(&self.settings, &self.index(), source, destination, protocol, spread, lives)
    }
}
