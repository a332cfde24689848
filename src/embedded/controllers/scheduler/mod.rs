//! Binds pods to a node, as kube-scheduler decides it and in its words. There is one node as a rule, and of several that
//! fit the first is taken: nodes are not weighed against each other.
//!
//! A pod is asked about on each node (`case.rs`): the node itself, ports, room (`needs.rs`, `load.rs`), claims, and the
//! company of other pods (`spread.rs`, `company.rs`). One that no node takes may make less important ones go
//! (`preempt.rs`); else it waits, and is looked at again when something changes that it was refused for (`board.rs`).
//! The more important comes first (`turn.rs`), several decisions are carried out at a time (`work.rs`). A node that does not
//! tell yet what it has has no room.
//!
//! A pod whose claims get their volumes with their first pod waits here until they have them.

mod board;
mod case;
mod claims;
mod company;
mod decide;
mod load;
mod needs;
mod preempt;
mod refuse;
mod spread;
mod turn;
mod work;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::cache::{Cache, Change};
use super::events::Recorder;
use super::key::Key;
use super::pods::is_active;
use super::queue::Queue;
use super::registry::Registry;
use super::volume::{NODE, claims_of};
use board::Board;
use case::{Case, Waits};
use claims::Storage;
use decide::{Decision, Nomination};
use load::Load;
use needs::Needs;
use turn::Turn;

const NAME: &str = "default-scheduler";

struct Controller {
    client: Client,
    pods: Arc<Cache<Pod>>,
    nodes: Arc<Cache<Node>>,
    namespaces: Arc<Cache<Namespace>>,
    budgets: Arc<Cache<PodDisruptionBudget>>,
    claims: Arc<Cache<PersistentVolumeClaim>>,
    volumes: Arc<Cache<PersistentVolume>>,
    classes: Arc<Cache<StorageClass>>,
    recorder: Recorder,
    board: Mutex<Board>,
    queue: Queue<Turn>,
}

/// Makes the controller.
pub(super) fn register(registry: &mut Registry) {
    let controller = Arc::new(Controller {
        client: registry.scheduler.clone(),
        pods: registry.cache(),
        nodes: registry.cache(),
        namespaces: registry.cache(),
        budgets: registry.cache(),
        claims: registry.cache(),
        volumes: registry.cache(),
        classes: registry.cache(),
        recorder: Recorder::new(registry.scheduler.clone(), NAME),
        board: Mutex::default(),
        queue: Queue::ranked(Turn::rank),
    });
    registry.tell(&controller, Controller::pod_changed);
    registry.tell(&controller, Controller::node_changed);
    registry.tell(&controller, Controller::namespace_changed);
    registry.tell(&controller, Controller::claim_changed);
    registry.tell(&controller, Controller::volume_changed);
    registry.tell(&controller, Controller::class_changed);
    registry.work(async move { controller.work().await });
}

impl Controller {
    fn board(&self) -> MutexGuard<'_, Board> {
        // A board that a panic has left half done would be used no more: the controllers start anew.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place that it has or leaves concerns others; it itself is looked at if it is new, or asks for something else.
    fn pod_changed(&self, change: &Change<Pod>) {
        let Some(latest) = change.latest() else { return };
        self.look_up(&Key::of(latest.as_ref()));
        if let Some(pod) = change.new.as_ref().filter(|pod| is_waiting(pod)) {
            let old = change.old.as_ref().filter(|old| is_waiting(old));
            if old.is_none_or(|old| asked(old) != asked(pod)) {
                self.queue.add(Turn::of(pod));
            }
        }
    }

    /// Notes what is known of a pod now, and wakes those who wait for that.
    fn look_up(&self, key: &Key) {
        let mut board = self.board();
        let effect = board.set(key, self.pods.get(key));
        self.wake(&board, effect);
    }

    fn wake(&self, board: &Board, what: Waits) {
        self.queue.add_all(board.woken(what));
    }

    /// A node that came or changed may fit whoever waits; one that goes is no longer what they are told of.
    fn node_changed(&self, change: &Change<Node>) {
        let fit = |node: &Option<Arc<Node>>| {
            node.as_ref().map(|n| (n.spec.clone(), n.metadata.labels.clone(), load::room(n)))
        };
        if fit(&change.old) != fit(&change.new) {
            self.look_again(&self.pods.all(), |_| true);
        }
    }

    fn namespace_changed(&self, change: &Change<Namespace>) {
        let labels = |it: &Option<Arc<Namespace>>| it.as_ref().map(|it| it.metadata.labels.clone());
        if labels(&change.old) != labels(&change.new) {
            self.wake(&self.board(), Waits { company: true, room: false });
        }
    }

    fn claim_changed(&self, change: &Change<PersistentVolumeClaim>) {
        if let Some(claim) = change.latest() {
            let name = claim.name_any();
            let pods = self.pods.in_namespace(&claim.namespace().unwrap_or_default());
            self.look_again(&pods, |pod| pod.spec.iter().flat_map(claims_of).any(|c| c == name));
        }
    }

    fn volume_changed(&self, _: &Change<PersistentVolume>) {
        self.look_again(&self.pods.all(), claims::has_some);
    }

    fn class_changed(&self, _: &Change<StorageClass>) {
        self.look_again(&self.pods.all(), claims::has_some);
    }

    fn look_again(&self, pods: &[Arc<Pod>], concerned: impl Fn(&Pod) -> bool) {
        let waiting = pods.iter().filter(|pod| is_waiting(pod) && concerned(pod));
        self.queue.add_all(waiting.map(|pod| Turn::of(pod)));
    }

    /// Decides, and notes at once where the pod is from now on, where room is made for it, or what it waits for, so that
    /// no decision and no change comes in between.
    fn decide(&self, turn: &Turn) -> Option<(Arc<Pod>, Decision)> {
        let mut board = self.board();
        board.forget(&turn.key);
        let pod = self.pods.get(&turn.key).filter(|pod| is_waiting(pod))?;
        if board.is_bound(&turn.key) {
            return None;
        }
        let spec = pod.spec.as_ref()?;
        let storage = Storage::of(&pod, &self.claims, &self.volumes, &self.classes);
        let barred = storage.as_ref().err().cloned();
        let (storage, needs) = (storage.unwrap_or_default(), Needs::of(spec));
        let case = Case { pod: &pod, spec, needs: &needs, storage: &storage };
        let (nodes, nobody) = (self.nodes.all(), Load::default());
        let view = board.view(&nodes, &self.namespaces, &pod, &nobody);
        let budgets = || self.budgets.all();
        let decision = decide::decide(&case, &view, barred.as_deref(), budgets, Timestamp::now());
        match &decision {
            Decision::Bind(node) => {
                let uid = pod.uid().unwrap_or_default();
                let effect = board.bind(&turn.key, uid, node, pod.clone());
                self.wake(&board, effect);
            }
            Decision::Provision(..) => {}
            Decision::Wait(verdict) => {
                if let Nomination::Make(plan) = &verdict.nomination {
                    let uid = pod.uid().unwrap_or_default();
                    let effect = board.promise(&turn.key, uid, &plan.node, pod.clone());
                    self.wake(&board, effect);
                }
                board.wait(turn.clone(), verdict.waits);
            }
        }
        Some((pod, decision))
    }

    /// Says on which node the pod's claims are to have their volumes. They come back here once they have them.
    async fn want_volumes(
        &self,
        claims: &[Arc<PersistentVolumeClaim>],
        name: &str,
    ) -> Result<(), kube::Error> {
        let told = |claim: &PersistentVolumeClaim| {
            claim.annotations().get(NODE).is_some_and(|it| it == name)
        };
        for claim in claims.iter().filter(|claim| !told(claim)) {
            let namespace = claim.namespace().unwrap_or_default();
            let api: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), &namespace);
            let patch = json!({"metadata": {"uid": claim.uid(), "annotations": {NODE: name}}});
            let params = PatchParams::default();
            match api.patch(&claim.name_any(), &params, &Patch::Merge(&patch)).await {
                Ok(answer) => self.claims.put(answer),
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Without a node, and ours to place.
fn is_waiting(pod: &Pod) -> bool {
    let spec = pod.spec.as_ref();
    is_active(pod)
        && spec.is_some_and(|spec| {
            spec.node_name.is_none()
                && spec.scheduler_name.as_deref().is_none_or(|name| name == NAME)
                && spec.scheduling_gates.as_ref().is_none_or(Vec::is_empty)
        })
}

/// What of a pod decides where it may be.
fn asked(pod: &Pod) -> impl PartialEq + use<'_> {
    (&pod.metadata.uid, &pod.metadata.labels, &pod.spec)
}
