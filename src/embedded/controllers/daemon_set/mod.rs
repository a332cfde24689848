//! DaemonSets: one pod on every node that fits.
//!
//! Nodes and pods are brought together first; where nothing is to be done about that, pods of old templates are
//! replaced (`decide.rs`). The scheduler binds each pod to the node that its affinity names.

mod decide;
mod nodes;
mod status;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetStatus};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};

use super::cache::{Cache, Change};
use super::events::Severity;
use super::history::{Current, HASH, History, hash_of};
use super::key::Key;
use super::owners::concerned;
use super::pod_control::PodControl;
use super::pods::{next_available, phase};
use super::queue::Queue;
use super::registry::Registry;
use super::selector::is_empty;
use decide::{PATIENCE, Plan, View};

/// The controller's state: caches it reads, the queue of DaemonSets to look at.
struct Controller {
    client: Client,
    sets: Arc<Cache<DaemonSet>>,
    nodes: Arc<Cache<Node>>,
    control: PodControl,
    history: History,
    queue: Queue<Key>,
}

/// Makes the controller.
pub(super) fn register(registry: &mut Registry) {
    let controller = Arc::new(Controller {
        client: registry.client.clone(),
        sets: registry.cache(),
        nodes: registry.cache(),
        control: PodControl::new(registry, "daemonset-controller"),
        history: History::new(registry),
        queue: Queue::new(),
    });
    registry.tell(&controller, Controller::set_changed);
    registry.tell(&controller, Controller::pod_changed);
    registry.tell(&controller, Controller::node_changed);
    registry.work(async move { controller.work().await });
}

impl Controller {
    fn set_changed(&self, change: &Change<DaemonSet>) {
        if let Some(set) = change.latest() {
            self.queue.add(Key::of(set.as_ref()));
        }
    }

    fn pod_changed(&self, change: &Change<Pod>) {
        let concerned = concerned(change, &self.sets, |set| Some(&set.spec.selector));
        concerned.into_iter().for_each(|key| self.queue.add(key));
    }

    /// A node that came, went or changed concerns those to whom it is not what it was.
    fn node_changed(&self, change: &Change<Node>) {
        let fits = |node: &Option<Arc<Node>>, set: &DaemonSet| {
            node.as_ref().map(|node| nodes::fit(set, node))
        };
        self.sets
            .all()
            .iter()
            .filter(|set| fits(&change.old, set) != fits(&change.new, set))
            .for_each(|set| self.queue.add(Key::of(set.as_ref())));
    }

    /// Works for ever.
    async fn work(&self) {
        self.queue.work("the DaemonSet", |key| async move { self.reconcile(&key).await }).await;
    }

    async fn reconcile(&self, key: &Key) -> Result<(), kube::Error> {
        let Some(set) = self.sets.get(key) else { return Ok(()) };
        let (spec, set) = (&set.spec, set.as_ref());
        if is_empty(&spec.selector) {
            let message =
                "This daemon set is selecting all pods. A non-empty selector is required.";
            self.say(set, Severity::Warning, "SelectingAll", message).await;
            return Ok(());
        }
        if set.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        let revisions = self.history.claim(set, &spec.selector).await?;
        let collisions = set.status.as_ref().and_then(|status| status.collision_count);
        let current =
            match self.history.current(set, &spec.template, &revisions, collisions).await? {
                Current::Is(revision) => revision,
                Current::Taken => return self.count_collision(set).await,
            };
        let hash = hash_of(&current);
        let nodes = self.nodes.all();
        let pods = self.control.claim(set, &spec.selector, |_| true, None).await?;
        let now = Timestamp::now();
        let done = self.act(&View { set, nodes: &nodes, pods: &pods, hash, now }).await;

        let pods = self.control.owned(set);
        let view = View { set, nodes: &nodes, pods: &pods, hash, now };
        self.write(set, status::status(&view)).await?;
        if let Some(seconds) = next_available(spec.min_ready_seconds, &pods, now) {
            self.queue.add_after(key.clone(), Duration::from_secs(seconds));
        }
        let used: BTreeSet<&str> = pods
            .iter()
            .filter_map(|pod| pod.labels().get(HASH))
            .map(String::as_str)
            .chain([hash])
            .collect();
        self.history.truncate(set, &revisions, &used, spec.revision_history_limit).await?;
        done
    }

    async fn act(&self, view: &View<'_>) -> Result<(), kube::Error> {
        let plan = view.manage();
        if plan.later {
            self.queue.add_after(Key::of(view.set), PATIENCE);
        }
        let settled = plan.is_empty();
        self.apply(view, plan).await?;
        if settled {
            self.apply(view, view.roll()).await?;
        }
        Ok(())
    }

    async fn apply(&self, view: &View<'_>, plan: Plan) -> Result<(), kube::Error> {
        let set = view.set;
        for pod in &plan.ended {
            let (severity, reason, state, what) = match phase(pod) {
                "Failed" => (Severity::Warning, "FailedDaemonPod", "failed", "kill"),
                _ => (Severity::Normal, "SucceededDaemonPod", "succeeded", "delete"),
            };
            let place = format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any());
            let node = nodes::target(pod).unwrap_or_default();
            let message =
                format!("Found {state} daemon pod {place} on node {node}, will try to {what} it");
            self.say(set, severity, reason, &message).await;
        }
        let pods: Vec<Pod> =
            plan.create.iter().filter_map(|node| nodes::pod(set, node, view.hash)).collect();
        let created = self.control.create(set, &pods).await;
        let deleted = [plan.delete, plan.ended].concat();
        self.control.delete(set, &deleted).await?;
        created
    }

    async fn say(&self, set: &DaemonSet, severity: Severity, reason: &str, message: &str) {
        self.control.recorder.record(set, severity, reason, message).await;
    }

    async fn count_collision(&self, set: &DaemonSet) -> Result<(), kube::Error> {
        let mut status = set.status.clone().unwrap_or_default();
        status.collision_count = Some(status.collision_count.unwrap_or_default() + 1);
        self.write(set, status).await
    }

    async fn write(&self, set: &DaemonSet, status: DaemonSetStatus) -> Result<(), kube::Error> {
        if set.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let mut updated = set.clone();
        updated.status = Some(status);
        let namespace = set.namespace().unwrap_or_default();
        let api: Api<DaemonSet> = Api::namespaced(self.client.clone(), &namespace);
        match api.replace_status(&set.name_any(), &PostParams::default(), &updated).await {
            Ok(answer) => {
                self.sets.put(answer);
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(error),
        }
    }
}
