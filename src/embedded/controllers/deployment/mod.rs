//! Deployments: one ReplicaSet per template, rolled from the old to the new.
//!
//! A reconciliation makes at most one kind of change and then writes the status; its own writes and the
//! ReplicaSets' answers bring it back for the next.

mod facts;
mod rollout;
mod status;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::cache::{Cache, Change};
use super::events::{Recorder, Severity};
use super::hash::hash;
use super::key::Key;
use super::owners::concerned;
use super::pod_control::reason;
use super::pods::is_finished;
use super::queue::Queue;
use super::registry::Registry;
use super::selector::{self, Claim, claim, controlled_by, controller, owner_reference};
use facts::{HASH, REVISION};
use rollout::{Scale, Sets};
use status::Step;

/// The controller's state: caches it reads, the queue of Deployments to look at.
struct Controller {
    client: Client,
    deployments: Arc<Cache<Deployment>>,
    sets: Arc<Cache<ReplicaSet>>,
    pods: Arc<Cache<Pod>>,
    recorder: Recorder,
    queue: Queue<Key>,
}

/// Makes the controller.
pub(super) fn register(registry: &mut Registry) {
    let controller = Arc::new(Controller {
        client: registry.client.clone(),
        deployments: registry.cache(),
        sets: registry.cache(),
        pods: registry.cache(),
        recorder: Recorder::new(registry.client.clone(), "deployment-controller"),
        queue: Queue::new(),
    });
    registry.tell(&controller, Controller::deployment_changed);
    registry.tell(&controller, Controller::set_changed);
    registry.tell(&controller, Controller::pod_changed);
    registry.work(async move { controller.work().await });
}

impl Controller {
    fn deployment_changed(&self, change: &Change<Deployment>) {
        if let Some(deployment) = change.latest() {
            self.queue.add(Key::of(deployment.as_ref()));
        }
    }

    fn set_changed(&self, change: &Change<ReplicaSet>) {
        let concerned = concerned(change, &self.deployments, |it| Some(&it.spec.selector));
        concerned.into_iter().for_each(|key| self.queue.add(key));
    }

    /// Recreate waits for the last old pod to go.
    fn pod_changed(&self, change: &Change<Pod>) {
        let (Some(pod), None) = (&change.old, &change.new) else { return };
        let namespace = pod.namespace().unwrap_or_default();
        let Some(owner) = controller(&pod.metadata).filter(|owner| owner.kind == "ReplicaSet")
        else {
            return;
        };
        let set = self.sets.get(&Key::new(&namespace, &owner.name));
        if let Some(owner) = set.as_ref().and_then(|set| controller(&set.metadata)) {
            let key = Key::new(&namespace, &owner.name);
            if self.deployments.get(&key).is_some_and(|d| !facts::is_rolling(&d)) {
                self.queue.add(key);
            }
        }
    }

    /// Works for ever.
    async fn work(&self) {
        self.queue.work("the Deployment", |key| async move { self.reconcile(&key).await }).await;
    }

    async fn reconcile(&self, key: &Key) -> Result<(), kube::Error> {
        let Some(deployment) = self.deployments.get(key) else { return Ok(()) };
        let spec = &deployment.spec;
        if selector::is_empty(&spec.selector) {
            let message =
                "This deployment is selecting all pods. A non-empty selector is required.";
            self.recorder
                .record(deployment.as_ref(), Severity::Warning, "SelectingAll", message)
                .await;
            return Ok(());
        }
        let owned = self.claim(&deployment).await?;
        let (new, old) = facts::split(&deployment, owned);
        if deployment.metadata.deletion_timestamp.is_some() {
            return self
                .finish(&deployment, Sets { new: new.as_ref(), old: &old }, Step::None, true)
                .await;
        }
        let paused = spec.paused == Some(true);
        let step = match (paused, status::says_paused(&deployment)) {
            (true, false) => Step::Paused,
            (false, true) => Step::Resumed,
            _ => Step::None,
        };
        let sets = Sets { new: new.as_ref(), old: &old };
        if paused || rollout::is_scaling(&deployment, sets) {
            let scales = rollout::scaled(&deployment, sets);
            self.scale(&deployment, scales).await?;
            let (new, old) = self.again(&deployment);
            let sets = Sets { new: new.as_ref(), old: &old };
            if paused {
                self.clean_up(&deployment, sets).await?;
            }
            return self.finish(&deployment, sets, step, true).await;
        }
        if facts::is_rolling(&deployment) {
            self.roll(&deployment, new, old, step).await
        } else {
            self.recreate(&deployment, new, old, step).await
        }
    }

    async fn roll(
        &self,
        deployment: &Arc<Deployment>,
        new: Option<Arc<ReplicaSet>>,
        old: Vec<Arc<ReplicaSet>>,
        step: Step,
    ) -> Result<(), kube::Error> {
        let Some((new, step)) = self.current(deployment, new, &old, step).await? else {
            return Ok(());
        };
        let sets = Sets { new: Some(&new), old: &old };
        let scales = rollout::rolling(deployment, sets);
        let changed = !scales.is_empty();
        self.scale(deployment, scales).await?;
        self.after(deployment, step, !changed).await
    }

    async fn recreate(
        &self,
        deployment: &Arc<Deployment>,
        new: Option<Arc<ReplicaSet>>,
        old: Vec<Arc<ReplicaSet>>,
        step: Step,
    ) -> Result<(), kube::Error> {
        let stops = rollout::stop_old(Sets { new: new.as_ref(), old: &old });
        if !stops.is_empty() {
            self.scale(deployment, stops).await?;
            return self.after(deployment, step, false).await;
        }
        if self.old_pods_run(deployment, &old) {
            return self.after(deployment, step, false).await;
        }
        let Some((new, step)) = self.current(deployment, new, &old, step).await? else {
            return Ok(());
        };
        let wanted = facts::wanted(deployment);
        if facts::size(&new) != wanted {
            self.scale(deployment, vec![Scale { set: new, to: wanted }]).await?;
        }
        self.after(deployment, step, true).await
    }

    /// Writes the status as the ReplicaSets are now, and cleans up when all is done.
    async fn after(
        &self,
        deployment: &Arc<Deployment>,
        step: Step,
        settled: bool,
    ) -> Result<(), kube::Error> {
        let (new, old) = self.again(deployment);
        let sets = Sets { new: new.as_ref(), old: &old };
        if settled && deployment.status.as_ref().is_some_and(|s| status::is_complete(deployment, s))
        {
            self.clean_up(deployment, sets).await?;
        }
        self.finish(deployment, sets, step, false).await
    }

    /// Whether pods of other revisions are still there.
    fn old_pods_run(&self, deployment: &Deployment, old: &[Arc<ReplicaSet>]) -> bool {
        let pods = self.pods.in_namespace(&deployment.namespace().unwrap_or_default());
        pods.iter().any(|pod| {
            !is_finished(pod)
                && old.iter().any(|set| controlled_by(&pod.metadata, set.metadata.uid.as_deref()))
        })
    }

    /// The ReplicaSets as they are now, after our own writes.
    fn again(&self, deployment: &Deployment) -> (Option<Arc<ReplicaSet>>, Vec<Arc<ReplicaSet>>) {
        let mut sets = self.sets.in_namespace(&deployment.namespace().unwrap_or_default());
        sets.retain(|set| controlled_by(&set.metadata, deployment.metadata.uid.as_deref()));
        facts::split(deployment, sets)
    }

    /// Adopts and releases ReplicaSets; returns those that it controls.
    async fn claim(&self, deployment: &Deployment) -> Result<Vec<Arc<ReplicaSet>>, kube::Error> {
        let Some(uid) = deployment.metadata.uid.as_deref() else { return Ok(Vec::new()) };
        let spec = &deployment.spec;
        let namespace = deployment.namespace().unwrap_or_default();
        let api: Api<ReplicaSet> = Api::namespaced(self.client.clone(), &namespace);
        let deleting = deployment.metadata.deletion_timestamp.is_some();
        for set in self.sets.in_namespace(&namespace) {
            let mut owners = set.metadata.owner_references.clone().unwrap_or_default();
            match claim(uid, deleting, &spec.selector, &set.metadata) {
                Claim::Ignore | Claim::Keep => continue,
                Claim::Adopt => owners.extend(owner_reference(deployment)),
                Claim::Release => owners.retain(|owner| owner.uid != uid),
            }
            let patch = json!({"metadata":{"uid":set.metadata.uid,"ownerReferences":owners}});
            match api.patch(&set.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await {
                Ok(set) => self.sets.put(set),
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409 | 422) => {}
                Err(error) => return Err(error),
            }
        }
        let mut sets = self.sets.in_namespace(&namespace);
        sets.retain(|set| controlled_by(&set.metadata, Some(uid)));
        Ok(sets)
    }

    /// The ReplicaSet of the current template, made or brought up to date. `None` when its name is taken by
    /// another template: the collision is counted and the next attempt uses another name.
    async fn current(
        &self,
        deployment: &Arc<Deployment>,
        new: Option<Arc<ReplicaSet>>,
        old: &[Arc<ReplicaSet>],
        step: Step,
    ) -> Result<Option<(Arc<ReplicaSet>, Step)>, kube::Error> {
        let revision =
            old.iter().map(|set| facts::revision(set.annotations())).max().unwrap_or_default() + 1;
        let (new, step) = match new {
            Some(new) => {
                let first = step == Step::None && !status::has_progress(deployment);
                (
                    self.refresh(deployment, new, revision).await?,
                    if first { Step::Found } else { step },
                )
            }
            None => match self.create(deployment, old, revision).await? {
                Some(new) => (new, Step::Created),
                None => return Ok(None),
            },
        };
        let revision = facts::revision(new.annotations()).to_string();
        if deployment.annotations().get(REVISION) != Some(&revision) {
            let patch = json!({"metadata":{"annotations":{REVISION: revision}}});
            let api: Api<Deployment> =
                Api::namespaced(self.client.clone(), &deployment.namespace().unwrap_or_default());
            let answer = api
                .patch(&deployment.name_any(), &PatchParams::default(), &Patch::Merge(&patch))
                .await?;
            self.deployments.put(answer);
        }
        Ok(Some((new, step)))
    }

    async fn refresh(
        &self,
        deployment: &Deployment,
        set: Arc<ReplicaSet>,
        revision: i64,
    ) -> Result<Arc<ReplicaSet>, kube::Error> {
        let annotations = facts::set_annotations(deployment, set.annotations(), revision);
        let min_ready = deployment.spec.min_ready_seconds;
        let own_min_ready = set.spec.min_ready_seconds;
        if *set.annotations() == annotations && own_min_ready.unwrap_or(0) == min_ready.unwrap_or(0)
        {
            return Ok(set);
        }
        let patch =
            json!({"metadata":{"annotations":annotations},"spec":{"minReadySeconds":min_ready}});
        let api: Api<ReplicaSet> =
            Api::namespaced(self.client.clone(), &set.namespace().unwrap_or_default());
        let answer =
            api.patch(&set.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await?;
        self.sets.put(answer.clone());
        Ok(Arc::new(answer))
    }

    async fn create(
        &self,
        deployment: &Arc<Deployment>,
        old: &[Arc<ReplicaSet>],
        revision: i64,
    ) -> Result<Option<Arc<ReplicaSet>>, kube::Error> {
        let Some(set) = new_set(deployment, old, revision) else { return Ok(None) };
        let api: Api<ReplicaSet> =
            Api::namespaced(self.client.clone(), &deployment.namespace().unwrap_or_default());
        match api.create(&PostParams::default(), &set).await {
            Ok(created) => {
                self.sets.put(created.clone());
                let (name, size) = (created.name_any(), facts::size(&created));
                if size > 0 {
                    let message = format!("Scaled up replica set {name} from 0 to {size}");
                    self.recorder
                        .record(
                            deployment.as_ref(),
                            Severity::Normal,
                            "ScalingReplicaSet",
                            &message,
                        )
                        .await;
                }
                Ok(Some(Arc::new(created)))
            }
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                let existing = api.get(&set.name_any()).await?;
                let ours = controlled_by(&existing.metadata, deployment.metadata.uid.as_deref());
                if ours && facts::same_template(&existing, &deployment.spec.template) {
                    self.sets.put(existing.clone());
                    return Ok(Some(Arc::new(existing)));
                }
                self.count_collision(deployment).await.map(|()| None)
            }
            Err(error) => {
                let message = format!(
                    "Failed to create new replica set {:?}: {}",
                    set.name_any(),
                    reason(&error)
                );
                self.recorder
                    .record(
                        deployment.as_ref(),
                        Severity::Warning,
                        "ReplicaSetCreateError",
                        &message,
                    )
                    .await;
                Err(error)
            }
        }
    }

    async fn count_collision(&self, deployment: &Deployment) -> Result<(), kube::Error> {
        let mut updated = deployment.clone();
        let status = updated.status.get_or_insert_default();
        status.collision_count = Some(status.collision_count.unwrap_or_default() + 1);
        self.write_status(updated).await
    }

    async fn scale(
        &self,
        deployment: &Arc<Deployment>,
        scales: Vec<Scale>,
    ) -> Result<(), kube::Error> {
        let namespace = deployment.namespace().unwrap_or_default();
        let api: Api<ReplicaSet> = Api::namespaced(self.client.clone(), &namespace);
        for Scale { set, to } in scales {
            let from = facts::size(&set);
            let annotations: serde_json::Map<_, _> = facts::size_annotations(deployment)
                .into_iter()
                .map(|(k, v)| (k, v.into()))
                .collect();
            let patch = json!({
                "metadata": {"uid": set.metadata.uid, "annotations": annotations},
                "spec": {"replicas": to},
            });
            let answer =
                api.patch(&set.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await?;
            self.sets.put(answer);
            let direction = if to > from { "up" } else { "down" };
            let message =
                format!("Scaled {direction} replica set {} from {from} to {to}", set.name_any());
            self.recorder
                .record(deployment.as_ref(), Severity::Normal, "ScalingReplicaSet", &message)
                .await;
        }
        Ok(())
    }

    async fn clean_up(&self, deployment: &Deployment, sets: Sets<'_>) -> Result<(), kube::Error> {
        let namespace = deployment.namespace().unwrap_or_default();
        let api: Api<ReplicaSet> = Api::namespaced(self.client.clone(), &namespace);
        for set in rollout::expired(deployment, sets.old) {
            match api.delete(&set.name_any(), &DeleteParams::default()).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn finish(
        &self,
        deployment: &Arc<Deployment>,
        sets: Sets<'_>,
        step: Step,
        syncing: bool,
    ) -> Result<(), kube::Error> {
        let now = Timestamp::now();
        // Our own annotation may just have changed it.
        let latest = self
            .deployments
            .get(&Key::of(deployment.as_ref()))
            .unwrap_or_else(|| deployment.clone());
        let collisions = latest.status.as_ref().and_then(|status| status.collision_count);
        let mut status = status::compute(&latest, sets, collisions, step, syncing, now);
        // Only what this reconciliation saw has been observed.
        status.observed_generation = deployment.metadata.generation;
        if let Some(seconds) = status::seconds_left(deployment, &status, now) {
            self.queue.add_after(Key::of(deployment.as_ref()), Duration::from_secs(seconds));
        }
        if status::same(latest.status.as_ref(), &status) {
            return Ok(());
        }
        let mut updated = (*latest).clone();
        updated.status = Some(status);
        self.write_status(updated).await
    }

    async fn write_status(&self, deployment: Deployment) -> Result<(), kube::Error> {
        let namespace = deployment.namespace().unwrap_or_default();
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), &namespace);
        match api.replace_status(&deployment.name_any(), &PostParams::default(), &deployment).await
        {
            Ok(answer) => {
                self.deployments.put(answer);
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The ReplicaSet for the current template.
fn new_set(deployment: &Deployment, old: &[Arc<ReplicaSet>], revision: i64) -> Option<ReplicaSet> {
    let spec = &deployment.spec;
    let collisions = deployment.status.as_ref().and_then(|status| status.collision_count);
    let hash = hash(&spec.template, collisions);
    let mut template = spec.template.clone();
    template
        .metadata
        .get_or_insert_default()
        .labels
        .get_or_insert_default()
        .insert(HASH.into(), hash.clone());
    let mut selector = spec.selector.clone();
    selector.match_labels.get_or_insert_default().insert(HASH.into(), hash.clone());
    let labels = template.metadata.as_ref().and_then(|meta| meta.labels.clone());
    let owner = owner_reference(deployment)?;
    let size = rollout::new_size(deployment, Sets { new: None, old });
    Some(ReplicaSet {
        metadata: ObjectMeta {
            name: Some(format!("{}-{hash}", deployment.name_any())),
            namespace: deployment.namespace(),
            labels,
            annotations: Some(facts::set_annotations(deployment, &Default::default(), revision)),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: ReplicaSetSpec {
            min_ready_seconds: spec.min_ready_seconds,
            replicas: Some(size),
            selector,
            template: Some(template),
        },
        status: None,
    })
}
