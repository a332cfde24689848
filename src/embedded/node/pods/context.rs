//! What all pods of the node share.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use kube::Client;
use tokio::sync::{Notify, mpsc};

use super::address::Addresses;
use super::build::Places;
use super::events::Recorder;
use super::pulls::Puller;
use super::storage::{Order, Storage, Terms};
use crate::ClusterConfig;
use crate::apiserver::PodRef;
use crate::node::cgroup::Tree;
use crate::node::link::{ShimLink, SupervisorLink};
use crate::node::machine::Machine;
use crate::node::network::Network;

/// Shared by the workers of all pods.
pub(super) struct Context {
    pub(super) config: ClusterConfig,
    pub(super) client: Client,
    pub(super) supervisor: SupervisorLink,
    pub(super) network: Network,
    pub(super) events: Recorder,
    pub(super) puller: Puller,
    /// The node's own address inside pods.
    pub(super) host_ip: Ipv4Addr,
    pub(super) machine: Machine,
    /// The instance's control groups, where the machine has any.
    pub(super) groups: Option<Tree>,
    pub(super) board: Board,
    pub(super) storage: Storage,
    addresses: Mutex<Addresses>,
}

impl Context {
    pub(super) fn new(
        config: ClusterConfig,
        (machine, groups): (Machine, Option<Tree>),
        client: Client,
        supervisor: SupervisorLink,
        network: Network,
    ) -> Self {
        Self {
            puller: Puller::new(&config, supervisor.clone()),
            events: Recorder::new(client.clone(), config.node_name()),
            host_ip: config.pod_cidr.host(1),
            machine,
            groups,
            board: Board::default(),
            storage: Storage::default(),
            addresses: Mutex::new(Addresses::new(config.pod_cidr)),
            config,
            client,
            supervisor,
            network,
        }
    }

    pub(super) fn addresses(&self) -> MutexGuard<'_, Addresses> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which pods there are, and which attempts of their containers: for whoever reads logs and use.
#[derive(Default)]
pub(super) struct Board {
    pods: Mutex<HashMap<String, Entry>>,
    /// Whether all pods of the node are here that there were when it began.
    whole: AtomicBool,
    /// Told when something has changed.
    pub(super) changed: Notify,
}

/// A pod.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) pod: PodRef,
    pub(super) started: Timestamp,
    pub(super) stage: Stage,
    pub(super) places: Places,
    /// What it has on the disk.
    pub(super) terms: Arc<Terms>,
    /// To its worker.
    pub(super) orders: mpsc::UnboundedSender<Order>,
    /// By container name.
    pub(super) containers: BTreeMap<String, Attempt>,
    /// Its shim, while it has one, and its address, if it has one of its own.
    pub(super) sandbox: Option<(ShimLink, Option<Ipv4Addr>)>,
}

impl Entry {
    /// That of a pod without anything, which nobody hears.
    #[cfg(test)]
    pub(super) fn of(uid: &str, stage: Stage) -> Self {
        let dir = std::path::Path::new("/nowhere").join(uid);
        let (uid, name) = (uid.to_owned(), uid.to_owned());
        Self {
            pod: PodRef { namespace: "default".to_owned(), name, uid },
            started: Timestamp::UNIX_EPOCH,
            stage,
            places: Places { logs: dir.join("logs"), dir },
            terms: Arc::default(),
            orders: mpsc::unbounded_channel().0,
            containers: BTreeMap::new(),
            sandbox: None,
        }
    }

    /// Whether readers would see no difference.
    fn is_like(&self, other: &Self) -> bool {
        let sandbox = match (&self.sandbox, &other.sandbox) {
            (Some((one, _)), Some((two, _))) => one.is_same(two),
            (None, None) => true,
            _ => false,
        };
        let terms = Arc::ptr_eq(&self.terms, &other.terms);
        sandbox && terms && self.stage == other.stage && self.containers == other.containers
    }
}

/// Where a pod is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It runs, or is to run.
    On,
    /// All of it is asked to end since then: it is deleted or evicted, its time is over, or its work is done.
    Ending(Instant),
    /// Nothing of it runs any more, and nothing of it will.
    Over,
}

/// The latest attempt that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) number: u32,
    pub(super) running: bool,
    /// When it was started, if it runs.
    pub(super) since: Option<Timestamp>,
}

impl Board {
    fn pods(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, uid: &str, entry: Entry) {
        if !self.pods().get(uid).is_some_and(|old| old.is_like(&entry)) {
            self.pods().insert(uid.to_owned(), entry);
            self.changed.notify_waiters();
        }
    }

    /// All pods were listed, and each of them put here.
    pub(super) fn is_whole_now(&self) {
        self.whole.store(true, Ordering::Relaxed);
    }

    /// Whether nobody is missing: what no pod here uses is used by none.
    pub(super) fn is_whole(&self) -> bool {
        self.whole.load(Ordering::Relaxed)
    }

    pub(super) fn get(&self, uid: &str) -> Option<Entry> {
        self.pods().get(uid).cloned()
    }

    pub(super) fn all(&self) -> Vec<Entry> {
        self.pods().values().cloned().collect()
    }

    pub(super) fn remove(&self, uid: &str) {
        self.pods().remove(uid);
        self.changed.notify_waiters();
    }
}
