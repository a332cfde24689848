//! StatefulSets: pods with names of their own that keep their claims, one after the other.
//!
//! A reconciliation decides what is to be done about the pods as they are (`decide.rs`), does it, and writes the
//! status; the pods' changes bring it back for the next.

mod claims;
mod decide;
mod identity;
mod status;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet, StatefulSetStatus};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::{Patch, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::cache::{Cache, Change};
use super::events::Severity;
use super::history::{self, Current, History};
use super::key::Key;
use super::owners::concerned;
use super::pod_control::{PodControl, is_terminating, reason};
use super::pods::{next_available, phase};
use super::queue::Queue;
use super::registry::Registry;
use super::selector::{is_empty, matches};
use decide::{Step, decide};
use identity::{is_wanted, missing_labels, ordinal};

/// The controller's state: caches it reads, the queue of StatefulSets to look at.
struct Controller {
    client: Client,
    sets: Arc<Cache<StatefulSet>>,
    claims: Arc<Cache<PersistentVolumeClaim>>,
    control: PodControl,
    history: History,
    queue: Queue<Key>,
}

/// Makes the controller.
pub(super) fn register(registry: &mut Registry) {
    let controller = Arc::new(Controller {
        client: registry.client.clone(),
        sets: registry.cache(),
        claims: registry.cache(),
        control: PodControl::new(registry, "statefulset-controller"),
        history: History::new(registry),
        queue: Queue::new(),
    });
    registry.tell(&controller, Controller::set_changed);
    registry.tell(&controller, Controller::pod_changed);
    registry.tell(&controller, Controller::claim_changed);
    registry.work(async move { controller.work().await });
}

impl Controller {
    fn set_changed(&self, change: &Change<StatefulSet>) {
        if let Some(set) = change.latest() {
            self.queue.add(Key::of(set.as_ref()));
        }
    }

    fn pod_changed(&self, change: &Change<Pod>) {
        let concerned = concerned(change, &self.sets, |set| Some(&set.spec.selector));
        concerned.into_iter().for_each(|key| self.queue.add(key));
    }

    /// A claim that is gone may be one that a new pod waits for, to have another of that name.
    fn claim_changed(&self, change: &Change<PersistentVolumeClaim>) {
        if let (Some(claim), None) = (&change.old, &change.new) {
            let sets = self.sets.in_namespace(&claim.namespace().unwrap_or_default());
            sets.iter()
                .filter(|set| matches(&set.spec.selector, claim.metadata.labels.as_ref()))
                .for_each(|set| self.queue.add(Key::of(set.as_ref())));
        }
    }

    /// Works for ever.
    async fn work(&self) {
        self.queue.work("the StatefulSet", |key| async move { self.reconcile(&key).await }).await;
    }

    async fn reconcile(&self, key: &Key) -> Result<(), kube::Error> {
        let Some(set) = self.sets.get(key) else { return Ok(()) };
        let (spec, set) = (&set.spec, set.as_ref());
        if is_empty(&spec.selector) {
            return Ok(());
        }
        let revisions = self.history.claim(set, &spec.selector).await?;
        let collisions = set.status.as_ref().and_then(|status| status.collision_count);
        let collisions = collisions.filter(|count| *count > 0);
        let update = match self.history.current(set, &spec.template, &revisions, collisions).await?
        {
            Current::Is(revision) => revision,
            Current::Taken => return self.count_collision(set).await,
        };
        let known = set.status.as_ref().and_then(|status| status.current_revision.as_deref());
        let current = revisions.iter().find(|revision| Some(revision.name_any().as_str()) == known);
        let current = current.unwrap_or(&update);

        let is_member = |pod: &Pod| ordinal(set, pod).is_some();
        let mut pods = self.control.claim(set, &spec.selector, is_member, None).await?;
        pods.retain(|pod| is_member(pod));
        let now = Timestamp::now();
        let steps = decide(set, &pods, &update.name_any(), now);
        let done = self.act(set, &pods, steps, current, &update).await;

        let mut pods = self.control.owned(set);
        pods.retain(|pod| is_member(pod));
        let status = status::status(set, &pods, &current.name_any(), &update.name_any(), now);
        self.write(set, status).await?;
        if let Some(seconds) = next_available(spec.min_ready_seconds, &pods, now) {
            self.queue.add_after(key.clone(), Duration::from_secs(seconds));
        }
        let names = [current.name_any(), update.name_any()];
        let used: BTreeSet<&str> = pods
            .iter()
            .map(|pod| identity::revision(pod))
            .chain(names.iter().map(String::as_str))
            .collect();
        self.history.truncate(set, &revisions, &used, spec.revision_history_limit).await?;
        done
    }

    /// Does what is decided. One after the other, the first failure ends it; at once, it does not.
    async fn act(
        &self,
        set: &StatefulSet,
        pods: &[Arc<Pod>],
        steps: Vec<Step>,
        current: &ControllerRevision,
        update: &ControllerRevision,
    ) -> Result<(), kube::Error> {
        let mut result = self.keep_all_claims(set, pods).await;
        for step in steps {
            if result.is_err() && decide::is_ordered(set) {
                break;
            }
            let done = match &step {
                Step::Create { ordinal, updated } => {
                    let revision = if *updated { update } else { current };
                    self.create(set, *ordinal, revision).await
                }
                Step::Recreate(pod) => {
                    let (severity, reason, state) = match phase(pod) {
                        "Failed" => (Severity::Warning, "RecreatingFailedPod", "failed"),
                        _ => (Severity::Normal, "RecreatingTerminatedPod", "terminated"),
                    };
                    let place =
                        format!("{}/{}", set.namespace().unwrap_or_default(), set.name_any());
                    let message =
                        format!("StatefulSet {place} is recreating {state} Pod {}", pod.name_any());
                    self.say(set, severity, reason, &message).await;
                    self.delete(set, pod).await
                }
                Step::Condemn(pod) | Step::Update(pod) => self.delete(set, pod).await,
                Step::Label(pod, ordinal) => self.label(pod, *ordinal).await,
            };
            result = result.and(done);
        }
        result
    }

    /// Claims follow the retention policy, which is looked at when it says something or has just changed.
    async fn keep_all_claims(
        &self,
        set: &StatefulSet,
        pods: &[Arc<Pod>],
    ) -> Result<(), kube::Error> {
        let observed = set.status.as_ref().and_then(|status| status.observed_generation);
        let policy = set.spec.persistent_volume_claim_retention_policy.as_ref();
        let deletes = policy.is_some_and(|policy| {
            let policies = [&policy.when_deleted, &policy.when_scaled];
            policies.iter().any(|when| when.as_deref() == Some("Delete"))
        });
        if set.metadata.deletion_timestamp.is_some()
            || (!deletes && observed == set.metadata.generation)
        {
            return Ok(());
        }
        for pod in pods {
            if let Some(ordinal) = ordinal(set, pod) {
                self.keep_claims(set, pod, ordinal, !is_wanted(set, ordinal)).await?;
            }
        }
        Ok(())
    }

    async fn create(
        &self,
        set: &StatefulSet,
        ordinal: i32,
        revision: &ControllerRevision,
    ) -> Result<(), kube::Error> {
        let template = history::template(revision);
        let template = template.as_ref().unwrap_or(&set.spec.template);
        let Some(pod) = identity::pod(set, template, &revision.name_any(), ordinal) else {
            return Ok(());
        };
        if !self.make_claims(set, &pod, ordinal).await? {
            return Ok(());
        }
        let namespace = set.namespace().unwrap_or_default();
        let done = self.control.create_one(&namespace, &pod).await;
        match done {
            Err(error) if is_terminating(&error) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                Err(kube::Error::Api(status))
            }
            done => self.report(set, ("create", "Create"), &pod, done).await,
        }
    }

    async fn delete(&self, set: &StatefulSet, pod: &Pod) -> Result<(), kube::Error> {
        let done = self.control.remove(pod).await.map(drop);
        self.report(set, ("delete", "Delete"), pod, done).await
    }

    async fn report(
        &self,
        set: &StatefulSet,
        (verb, title): (&str, &str),
        pod: &Pod,
        done: Result<(), kube::Error>,
    ) -> Result<(), kube::Error> {
        let what = format!("{verb} Pod {} in StatefulSet {}", pod.name_any(), set.name_any());
        match &done {
            Ok(()) => {
                let message = format!("{what} successful");
                self.say(set, Severity::Normal, &format!("Successful{title}"), &message).await;
            }
            Err(error) => {
                let message = format!("{what} failed error: {}", reason(error));
                self.say(set, Severity::Warning, &format!("Failed{title}"), &message).await;
            }
        }
        done
    }

    async fn say(&self, set: &StatefulSet, severity: Severity, reason: &str, message: &str) {
        self.control.recorder.record(set, severity, reason, message).await;
    }

    async fn label(&self, pod: &Pod, ordinal: i32) -> Result<(), kube::Error> {
        let Some(labels) = missing_labels(pod, ordinal) else { return Ok(()) };
        let patch = Patch::Merge(json!({"metadata":{"uid":pod.uid(),"labels":labels}}));
        self.control.patch(pod, &patch).await.map(drop)
    }

    async fn count_collision(&self, set: &StatefulSet) -> Result<(), kube::Error> {
        let mut status = set.status.clone().unwrap_or_default();
        status.collision_count = Some(status.collision_count.unwrap_or_default() + 1);
        self.write(set, status).await
    }

    async fn write(&self, set: &StatefulSet, status: StatefulSetStatus) -> Result<(), kube::Error> {
        if set.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let mut updated = set.clone();
        updated.status = Some(status);
        let namespace = set.namespace().unwrap_or_default();
        let api: Api<StatefulSet> = Api::namespaced(self.client.clone(), &namespace);
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
