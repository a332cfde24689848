//! PodDisruptionBudgets: how many of the pods that they select may be evicted right now.
//!
//! How many pods there should be is asked of what controls them. An eviction writes into the budget's status that a
//! pod is about to go; it is not counted until it is gone, or has not gone for two minutes. Status is written against
//! the version that was read, so that no such word is lost.

mod decide;
mod scale;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};

use super::cache::{Cache, Change};
use super::events::{Recorder, Severity};
use super::key::Key;
use super::queue::Queue;
use super::registry::Registry;
use super::selector::{controller, matches};
use decide::Expected;

/// The controller's state: caches it reads, the queue of budgets to look at.
struct Controller {
    client: Client,
    budgets: Arc<Cache<PodDisruptionBudget>>,
    pods: Arc<Cache<Pod>>,
    deployments: Arc<Cache<Deployment>>,
    replica_sets: Arc<Cache<ReplicaSet>>,
    stateful_sets: Arc<Cache<StatefulSet>>,
    recorder: Recorder,
    queue: Queue<Key>,
}

/// Makes the controller.
pub(super) fn register(registry: &mut Registry) {
    let controller = Arc::new(Controller {
        client: registry.client.clone(),
        budgets: registry.cache(),
        pods: registry.cache(),
        deployments: registry.cache(),
        replica_sets: registry.cache(),
        stateful_sets: registry.cache(),
        recorder: Recorder::new(registry.client.clone(), "controllermanager"),
        queue: Queue::new(),
    });
    registry.tell(&controller, Controller::budget_changed);
    registry.tell(&controller, Controller::pod_changed);
    registry.tell(&controller, |it: &Controller, change: &Change<Deployment>| {
        let replicas = |it: &Option<Arc<Deployment>>| it.as_ref().map(|it| it.spec.replicas);
        it.scaled(change, replicas);
    });
    registry.tell(&controller, |it: &Controller, change: &Change<ReplicaSet>| {
        let replicas = |it: &Option<Arc<ReplicaSet>>| it.as_ref().map(|it| it.spec.replicas);
        it.scaled(change, replicas);
    });
    registry.tell(&controller, |it: &Controller, change: &Change<StatefulSet>| {
        let replicas = |it: &Option<Arc<StatefulSet>>| it.as_ref().map(|it| it.spec.replicas);
        it.scaled(change, replicas);
    });
    registry.work(async move { controller.work().await });
}

impl Controller {
    fn budget_changed(&self, change: &Change<PodDisruptionBudget>) {
        if let Some(budget) = &change.new {
            self.queue.add(Key::of(budget.as_ref()));
        }
    }

    fn pod_changed(&self, change: &Change<Pod>) {
        for pod in change.old.iter().chain(&change.new) {
            for budget in self.budgets.in_namespace(&pod.namespace().unwrap_or_default()) {
                if selects(&budget, pod) {
                    self.queue.add(Key::of(budget.as_ref()));
                }
            }
        }
    }

    /// What has another number of pods concerns the budgets of its namespace.
    fn scaled<K: kube::Resource>(
        &self,
        change: &Change<K>,
        replicas: impl Fn(&Option<Arc<K>>) -> Option<Option<i32>>,
    ) {
        if replicas(&change.old) == replicas(&change.new) {
            return;
        }
        let namespace = change.latest().and_then(|it| it.namespace()).unwrap_or_default();
        for budget in self.budgets.in_namespace(&namespace) {
            self.queue.add(Key::of(budget.as_ref()));
        }
    }

    /// Works for ever.
    async fn work(&self) {
        let what = "the PodDisruptionBudget";
        self.queue.work(what, |key| async move { self.reconcile(&key).await }).await;
    }

    async fn reconcile(&self, key: &Key) -> Result<(), kube::Error> {
        let Some(budget) = self.budgets.get(key) else { return Ok(()) };
        let budget = budget.as_ref();
        let mut pods = self.pods.in_namespace(&key.namespace);
        pods.retain(|pod| selects(budget, pod));
        if pods.is_empty() {
            self.say(budget, Severity::Normal, "NoPods", "No matching pods found").await;
        }
        let expected = self.expected(budget, &pods).await?;
        let now = Timestamp::now();
        let (status, recheck) = match &expected {
            Ok(expected) => decide::status(budget, &pods, expected, now),
            Err(why) => (decide::failed(budget, why, now), None),
        };
        if let Err(why) = &expected {
            let text = format!("Failed to calculate the number of expected pods: {why}");
            self.say(budget, Severity::Warning, "CalculateExpectedPodCountFailed", &text).await;
        }
        self.write(budget, status).await?;
        if let Some(seconds) = recheck {
            self.queue.add_after(key.clone(), Duration::from_secs(seconds));
        }
        Ok(())
    }

    /// How many pods there should be and how many of them healthy; or why that cannot be said.
    async fn expected(
        &self,
        budget: &PodDisruptionBudget,
        pods: &[Arc<Pod>],
    ) -> Result<Result<Expected, String>, kube::Error> {
        if !decide::asks_controllers(budget) {
            return Ok(Ok(decide::expected(budget, pods.len(), 0)));
        }
        let (mut seen, mut scale, mut unmanaged) = (BTreeSet::new(), 0, false);
        for pod in pods {
            let Some(owner) = controller(&pod.metadata) else {
                unmanaged = true;
                continue;
            };
            if seen.contains(&owner.uid) {
                continue;
            }
            match self.scale(&pod.namespace().unwrap_or_default(), owner).await? {
                // Two ReplicaSets may be of one Deployment, whose number counts once.
                Ok((uid, replicas)) => {
                    if seen.insert(uid.clone()) {
                        scale += replicas;
                    }
                    seen.insert(owner.uid.clone());
                }
                Err(why) => return Ok(Err(why)),
            }
        }
        if unmanaged {
            let text = "Pods selected by this PodDisruptionBudget were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set \".spec.minAvailable\" field of the PDB to an integer value.";
            self.say(budget, Severity::Warning, "UnmanagedPods", text).await;
        }
        Ok(Ok(decide::expected(budget, pods.len(), scale)))
    }

    async fn say(&self, budget: &PodDisruptionBudget, how: Severity, reason: &str, text: &str) {
        self.recorder.record(budget, how, reason, text).await;
    }

    async fn write(
        &self,
        budget: &PodDisruptionBudget,
        status: PodDisruptionBudgetStatus,
    ) -> Result<(), kube::Error> {
        if budget.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let mut updated = budget.clone();
        updated.status = Some(status);
        let namespace = budget.namespace().unwrap_or_default();
        let api: Api<PodDisruptionBudget> = Api::namespaced(self.client.clone(), &namespace);
        match api.replace_status(&budget.name_any(), &PostParams::default(), &updated).await {
            Ok(answer) => {
                self.budgets.put(answer);
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// A budget without a selector is of no pod.
fn selects(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    selector.is_some_and(|selector| matches(selector, pod.metadata.labels.as_ref()))
}
