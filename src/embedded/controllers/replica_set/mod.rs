//! ReplicaSets: as many pods as wanted, adopting orphans and releasing strangers.

mod decide;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;

use super::cache::{Cache, Change};
use super::events::{Recorder, Severity};
use super::key::Key;
use super::pods::{is_active, is_finished};
use super::queue::Queue;
use super::registry::Registry;
use super::selector::{Claim, claim, controlled_by, controller};
use decide::Plan;

/// The controller's state: caches it reads, the queue of ReplicaSets to look at.
struct Controller {
    client: Client,
    sets: Arc<Cache<ReplicaSet>>,
    pods: Arc<Cache<Pod>>,
    recorder: Recorder,
    queue: Queue<Key>,
}

/// Makes the controller.
pub(super) fn register(registry: &mut Registry) {
    let controller = Arc::new(Controller {
        client: registry.client.clone(),
        sets: registry.cache(),
        pods: registry.cache(),
        recorder: Recorder::new(registry.client.clone(), "replicaset-controller"),
        queue: Queue::new(),
    });
    registry.tell(&controller, Controller::set_changed);
    registry.tell(&controller, Controller::pod_changed);
    registry.work(async move { controller.work().await });
}

impl Controller {
    fn set_changed(&self, change: &Change<ReplicaSet>) {
        if let Some(set) = change.latest() {
            self.queue.add(Key::of(set.as_ref()));
        }
    }

    /// A pod concerns its controller, before and after; an orphan whoever might adopt it.
    fn pod_changed(&self, change: &Change<Pod>) {
        for pod in change.old.iter().chain(&change.new) {
            let namespace = pod.namespace().unwrap_or_default();
            match controller(&pod.metadata) {
                Some(owner) if owner.kind == "ReplicaSet" => {
                    self.queue.add(Key::new(&namespace, &owner.name))
                }
                Some(_) => {}
                None => {
                    for set in self.sets.in_namespace(&namespace) {
                        if super::selector::matches(
                            &set.spec.selector,
                            pod.metadata.labels.as_ref(),
                        ) {
                            self.queue.add(Key::of(set.as_ref()));
                        }
                    }
                }
            }
        }
    }

    /// Works for ever.
    async fn work(&self) {
        self.queue.work("the ReplicaSet", |key| async move { self.reconcile(&key).await }).await;
    }

    async fn reconcile(&self, key: &Key) -> Result<(), kube::Error> {
        let Some(set) = self.sets.get(key) else { return Ok(()) };
        let owned = self.claim(&set).await?;
        let now = Timestamp::now();
        let (terminating, owned): (Vec<_>, Vec<_>) =
            owned.into_iter().filter(|pod| !is_finished(pod)).partition(|pod| !is_active(pod));
        let mut failure = None;
        let mut result = Ok(());
        if set.metadata.deletion_timestamp.is_none() {
            let done = match decide::plan(&set, &owned, &self.related(&set)) {
                Plan::Nothing => Ok(()),
                Plan::Create(count) => {
                    self.create(&set, count).await.map_err(|e| ("FailedCreate", e))
                }
                Plan::Delete(pods) => {
                    self.delete(&set, &pods).await.map_err(|e| ("FailedDelete", e))
                }
            };
            if let Err((reason, error)) = done {
                failure = Some((reason, error.to_string()));
                result = Err(error);
            }
        }
        let failure = failure.as_ref().map(|(reason, message)| (*reason, message.as_str()));
        let status = decide::status(&set, &owned, terminating.len(), failure, now);
        if set.status.as_ref() != Some(&status) {
            let mut updated = (*set).clone();
            updated.status = Some(status);
            let api: Api<ReplicaSet> = Api::namespaced(self.client.clone(), &key.namespace);
            match api.replace_status(&key.name, &PostParams::default(), &updated).await {
                Ok(answer) => self.sets.put(answer),
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(seconds) = decide::next_available(&set, &owned, now) {
            self.queue.add_after(key.clone(), Duration::from_secs(seconds));
        }
        result
    }

    /// The pods it controls, after adopting and releasing.
    async fn claim(&self, set: &ReplicaSet) -> Result<Vec<Arc<Pod>>, kube::Error> {
        let Some(uid) = set.metadata.uid.as_deref() else { return Ok(Vec::new()) };
        let spec = &set.spec;
        let namespace = set.namespace().unwrap_or_default();
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
        let deleting = set.metadata.deletion_timestamp.is_some();
        let mut owned = Vec::new();
        for pod in self.pods.in_namespace(&namespace) {
            let patch = match claim(uid, deleting, &spec.selector, &pod.metadata) {
                Claim::Ignore => continue,
                Claim::Keep => {
                    owned.push(pod);
                    continue;
                }
                Claim::Adopt if !is_active(&pod) => continue,
                Claim::Adopt => {
                    let mut owners = pod.metadata.owner_references.clone().unwrap_or_default();
                    owners.extend(owner(set));
                    json!({"metadata":{"uid":pod.metadata.uid,"ownerReferences":owners}})
                }
                Claim::Release => {
                    let mut owners = pod.metadata.owner_references.clone().unwrap_or_default();
                    owners.retain(|owner| owner.uid != uid);
                    json!({"metadata":{"uid":pod.metadata.uid,"ownerReferences":owners}})
                }
            };
            match api.patch(&pod.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await {
                Ok(pod) => {
                    if controlled_by(&pod.metadata, Some(uid)) {
                        owned.push(Arc::new(pod.clone()));
                    }
                    self.pods.put(pod);
                }
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409 | 422) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(owned)
    }

    /// Active pods of all revisions of the same workload.
    fn related(&self, set: &ReplicaSet) -> Vec<Arc<Pod>> {
        let namespace = set.namespace().unwrap_or_default();
        let siblings: Vec<_> = self
            .sets
            .in_namespace(&namespace)
            .into_iter()
            .filter(|other| decide::are_related(set, other))
            .filter_map(|other| other.metadata.uid.clone())
            .collect();
        let mut pods = self.pods.in_namespace(&namespace);
        pods.retain(|pod| {
            is_active(pod) && siblings.iter().any(|uid| controlled_by(&pod.metadata, Some(uid)))
        });
        pods
    }

    /// Creates pods in batches of 1, 2, 4, …: when the first fails, the rest would too.
    async fn create(&self, set: &ReplicaSet, count: usize) -> Result<(), kube::Error> {
        let Some(pod) = pod(set) else { return Ok(()) };
        let api: Api<Pod> =
            Api::namespaced(self.client.clone(), &set.namespace().unwrap_or_default());
        let (mut left, mut batch) = (count, 1);
        while left > 0 {
            let now = left.min(batch);
            let params = PostParams::default();
            let answers = join_all((0..now).map(|_| api.create(&params, &pod))).await;
            let mut failed = None;
            for answer in answers {
                match answer {
                    Ok(pod) => {
                        let message = format!("Created pod: {}", pod.name_any());
                        self.pods.put(pod);
                        self.recorder
                            .record(set, Severity::Normal, "SuccessfulCreate", &message)
                            .await;
                    }
                    Err(error) => failed = Some(error),
                }
            }
            if let Some(error) = failed {
                let message = format!("Error creating: {}", reason(&error));
                if !is_terminating(&error) {
                    self.recorder.record(set, Severity::Warning, "FailedCreate", &message).await;
                }
                return if is_terminating(&error) { Ok(()) } else { Err(error) };
            }
            left -= now;
            batch *= 2;
        }
        Ok(())
    }

    async fn delete(&self, set: &ReplicaSet, pods: &[Arc<Pod>]) -> Result<(), kube::Error> {
        let api: Api<Pod> =
            Api::namespaced(self.client.clone(), &set.namespace().unwrap_or_default());
        let deletions = pods.iter().map(|pod| {
            let preconditions =
                Preconditions { uid: pod.metadata.uid.clone(), resource_version: None };
            let params =
                DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
            let api = api.clone();
            async move { (pod, api.delete(&pod.name_any(), &params).await) }
        });
        let mut result = Ok(());
        for (pod, answer) in join_all(deletions).await {
            match answer {
                Ok(answer) => {
                    if let Some(terminating) =
                        answer.left().filter(|pod| pod.metadata.uid.is_some())
                    {
                        self.pods.put(terminating);
                    }
                    let message = format!("Deleted pod: {}", pod.name_any());
                    self.recorder.record(set, Severity::Normal, "SuccessfulDelete", &message).await;
                }
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                Err(error) => {
                    let message = format!("Error deleting: {}", reason(&error));
                    self.recorder.record(set, Severity::Warning, "FailedDelete", &message).await;
                    result = Err(error);
                }
            }
        }
        result
    }
}

/// The server's words, without the client's.
pub(super) fn reason(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// The namespace is going away, so nothing can be created in it: not worth a retry.
fn is_terminating(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403 && status.message.contains("being terminated"))
}

fn owner(set: &ReplicaSet) -> Option<OwnerReference> {
    let mut owner = set.controller_owner_ref(&())?;
    owner.block_owner_deletion = Some(true);
    Some(owner)
}

/// The pod its template describes.
fn pod(set: &ReplicaSet) -> Option<Pod> {
    let template = set.spec.template.as_ref()?;
    let mut pod = Pod { spec: template.spec.clone(), ..Pod::default() };
    if let Some(meta) = &template.metadata {
        pod.metadata.labels.clone_from(&meta.labels);
        pod.metadata.annotations.clone_from(&meta.annotations);
        pod.metadata.finalizers.clone_from(&meta.finalizers);
    }
    pod.metadata.generate_name = Some(format!("{}-", set.name_any()));
    pod.metadata.owner_references = Some(vec![owner(set)?]);
    Some(pod)
}
