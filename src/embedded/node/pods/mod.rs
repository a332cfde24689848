//! The pod agent: what a kubelet does.
//!
//! It watches the pods that are bound to this node and gives each a [`worker`]; it knows the node's own object and
//! serves logs and what a kubelet tells of its pods. All it does to the cluster it does as `system:node:<name>`, with that user's rights.
//!
//! Invariants: a pod runs exactly while its object is there; what the API shows follows what has happened, never
//! precedes it; a restart of the agent changes nothing about a pod that runs.

mod address;
mod backoff;
mod build;
mod check;
mod context;
mod door;
mod environment;
mod ephemeral;
mod events;
mod expand;
mod fields;
mod grpc;
mod hooks;
mod host_ports;
mod ignored;
mod insecure;
mod logs;
mod objects;
mod probe;
mod pulling;
mod pulls;
mod quantity;
mod rates;
mod register;
mod resolver;
mod resources;
mod runtime;
mod samples;
mod stats;
mod status;
mod storage;
mod streams;
mod volumes;
mod worker;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{Config as Watch, Event, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::context::Context;
#[cfg(test)]
pub(super) use self::grpc::tests::serve_health;
use self::worker::{Message, Worker};
use super::cgroup::Tree;
use super::link::SupervisorLink;
use super::machine::Machine;
use super::network::{Hold, Network};
use crate::ClusterConfig;

const WATCH_AGAIN: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(5)];

/// The socket to the shim of a pod that ran before. Until it is taken over, connections to and from pods wait: one to
/// this pod would be refused.
type Left = (OwnedFd, Hold);

/// The agent of one node.
pub(crate) struct Agent {
    ctx: Arc<Context>,
    /// Sockets to the shims of pods that ran before, by pod uid, until their pods are known.
    inherited: HashMap<String, Left>,
    workers: HashMap<String, mpsc::UnboundedSender<Message>>,
    /// Kept until all pods, and so the addresses they have, are known.
    listing: Option<Hold>,
    /// Whether what pods left that went while no node ran has been looked for.
    swept: bool,
}

impl Agent {
    /// An agent that has taken over `inherited`; needs a runtime.
    pub(crate) fn new(
        config: ClusterConfig,
        machine: (Machine, Option<Tree>),
        client: Client,
        supervisor: SupervisorLink,
        network: Network,
        inherited: Vec<(String, OwnedFd)>,
    ) -> Self {
        let hold = |(uid, socket)| (uid, (socket, network.hold()));
        Self {
            inherited: inherited.into_iter().map(hold).collect(),
            listing: Some(network.hold()),
            ctx: Arc::new(Context::new(config, machine, client, supervisor, network)),
            workers: HashMap::new(),
            swept: false,
        }
    }

    /// What the API server asks.
    pub(crate) fn backend(&self) -> door::Door {
        door::Door::new(self.ctx.clone())
    }

    /// Registers the node and looks after its pods until `shutdown`. Pods stay as they are.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let keep_registered = register::keep(self.ctx.clone());
        tokio::select! {
            () = keep_registered => {}
            () = storage::keep(self.ctx.clone()) => {}
            () = self.follow() => {}
            () = shutdown.cancelled() => {}
        }
    }

    async fn follow(&mut self) {
        let api: Api<Pod> = Api::all(self.ctx.client.clone());
        let node = self.ctx.config.node_name();
        let watch = Watch::default().fields(&format!("spec.nodeName={node}"));
        let mut events = std::pin::pin!(watcher(api, watch));
        let mut pause = WATCH_AGAIN[0];
        let mut listed = HashSet::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    pause = WATCH_AGAIN[0];
                    self.apply(event, &mut listed).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "the watch of pods was interrupted");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(WATCH_AGAIN[1]);
                }
            }
        }
    }

    async fn apply(&mut self, event: Event<Pod>, listed: &mut HashSet<String>) {
        match event {
            Event::Init => listed.clear(),
            Event::InitApply(pod) => {
                listed.insert(pod.uid().unwrap_or_default());
                self.update(pod);
            }
            Event::InitDone => {
                self.listing = None;
                self.ctx.board.is_whole_now();
                self.workers.retain(|uid, worker| {
                    let known = listed.contains(uid);
                    if !known {
                        self.ctx.network.forget(uid);
                        let _ = worker.send(Message::Removed);
                    }
                    known
                });
                let mut strays = match std::mem::replace(&mut self.swept, true) {
                    false => worker::with_files(&self.ctx.config),
                    true => BTreeSet::new(),
                };
                strays.retain(|uid| !self.workers.contains_key(uid));
                for (pod, (socket, _)) in self.inherited.drain() {
                    tracing::info!(pod, "ending a pod whose object is gone");
                    strays.remove(&pod);
                    tokio::spawn(worker::end_stray(self.ctx.clone(), pod, socket));
                }
                for pod in strays {
                    tracing::info!(pod, "removing what a pod has left whose object is gone");
                    tokio::spawn(worker::remove_stray(self.ctx.clone(), pod));
                }
            }
            Event::Apply(pod) => self.update(pod),
            Event::Delete(pod) => {
                let uid = pod.uid().unwrap_or_default();
                self.ctx.network.forget(&uid);
                if let Some(worker) = self.workers.remove(&uid) {
                    let _ = worker.send(Message::Removed);
                }
            }
        }
    }

    fn update(&mut self, pod: Pod) {
        let uid = pod.uid().unwrap_or_default();
        // Before its first connection, and not when its worker comes to it.
        self.ctx.network.know(&pod);
        let pod = Arc::new(pod);
        if let Some(worker) = self.workers.get(&uid)
            && worker.send(Message::Update(pod.clone())).is_ok()
        {
            return;
        }
        // A worker that has ended has nothing left; a late word about its pod must not start another.
        if self.workers.contains_key(&uid) {
            return;
        }
        let (sender, inbox) = mpsc::unbounded_channel();
        let worker = Worker::new(self.ctx.clone(), pod, inbox);
        // What it uses is known as soon as it is, whatever its worker has to wait for.
        worker.post();
        tokio::spawn(worker.run(self.inherited.remove(&uid)));
        self.workers.insert(uid, sender);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::node::network::Settings;
    use crate::node::testing::TestCluster;
    use crate::node::wire::Channel;

    /// One that nobody hears.
    pub(super) fn agent(name: &str) -> (TestCluster, Agent) {
        let cluster = TestCluster::new(name);
        let config = cluster.config.clone();
        let (socket, _) = Channel::pair().unwrap();
        let supervisor = SupervisorLink::new(socket).unwrap();
        let client = kube::Config::new("http://127.0.0.1:9".parse().unwrap());
        let client = Client::try_from(client).unwrap();
        let network = Network::new(Settings::from(&config));
        let machine = (Machine::read(), None);
        let agent = Agent::new(config, machine, client, supervisor, network, Vec::new());
        (cluster, agent)
    }

    /// One that uses the image `own:1`, and what was added.
    pub(super) fn pod(added: serde_json::Value) -> Pod {
        let pod = json!({"metadata": {"name": "user", "namespace": "default", "uid": "1"},
            "spec": {"containers": [{"name": "main", "image": "own:1"}],
                "ephemeralContainers": added}});
        serde_json::from_value(pod).unwrap()
    }

    /// Whether that pod is known to use an image.
    pub(super) fn uses(agent: &Agent, image: &str) -> bool {
        let image = format!("docker.io/library/{image}");
        agent.ctx.board.get("1").is_some_and(|entry| entry.terms.images.contains(&image))
    }

    #[tokio::test]
    async fn what_pods_use_is_known_as_soon_as_they_are_and_that_all_are_once_they_were_listed() {
        let (_cluster, mut agent) = agent("board");
        let mut listed = HashSet::new();
        agent.apply(Event::Init, &mut listed).await;
        // No worker has had its turn yet.
        agent.apply(Event::InitApply(pod(json!([]))), &mut listed).await;
        assert!(uses(&agent, "own:1") && !agent.ctx.board.is_whole());
        agent.apply(Event::InitDone, &mut listed).await;
        assert!(agent.ctx.board.is_whole());
    }
}
