//! ReplicaSets: as many pods as wanted, adopting orphans and releasing strangers.

mod decide;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};

use super::cache::{Cache, Change};
use super::key::Key;
use super::owners::concerned;
use super::pod_control::{PodControl, from_template};
use super::pods::{is_active, is_finished, next_available};
use super::queue::Queue;
use super::registry::Registry;
use super::selector::controlled_by;
use decide::Plan;

/// The controller's state: caches it reads, the queue of ReplicaSets to look at.
struct Controller {
    client: Client,
    sets: Arc<Cache<ReplicaSet>>,
    pods: Arc<Cache<Pod>>,
    control: PodControl,
    queue: Queue<Key>,
}

/// Makes the controller.
pub(super) fn register(registry: &mut Registry) {
    let controller = Arc::new(Controller {
        client: registry.client.clone(),
        sets: registry.cache(),
        pods: registry.cache(),
        control: PodControl::new(registry, "replicaset-controller"),
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

    fn pod_changed(&self, change: &Change<Pod>) {
        let concerned = concerned(change, &self.sets, |set| Some(&set.spec.selector));
        concerned.into_iter().for_each(|key| self.queue.add(key));
    }

    /// Works for ever.
    async fn work(&self) {
        self.queue.work("the ReplicaSet", |key| async move { self.reconcile(&key).await }).await;
    }

    async fn reconcile(&self, key: &Key) -> Result<(), kube::Error> {
        let Some(set) = self.sets.get(key) else { return Ok(()) };
        let owned = self.control.claim(set.as_ref(), &set.spec.selector, is_active, None).await?;
        let now = Timestamp::now();
        let (terminating, owned): (Vec<_>, Vec<_>) =
            owned.into_iter().filter(|pod| !is_finished(pod)).partition(|pod| !is_active(pod));
        let mut failure = None;
        let mut result = Ok(());
        if set.metadata.deletion_timestamp.is_none() {
            let done = match decide::plan(&set, &owned, &self.related(&set)) {
                Plan::Nothing => Ok(()),
                Plan::Create(count) => {
                    let pods = vec![pod(&set); count].into_iter().flatten().collect::<Vec<_>>();
                    let created = self.control.create(set.as_ref(), &pods).await;
                    created.map_err(|e| ("FailedCreate", e))
                }
                Plan::Delete(pods) => {
                    let deleted = self.control.delete(set.as_ref(), &pods).await;
                    deleted.map_err(|e| ("FailedDelete", e))
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
        if let Some(seconds) = next_available(set.spec.min_ready_seconds, &owned, now) {
            self.queue.add_after(key.clone(), Duration::from_secs(seconds));
        }
        result
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
}

/// The pod its template describes.
fn pod(set: &ReplicaSet) -> Option<Pod> {
    from_template(set, set.spec.template.as_ref()?)
}
