//! What workloads do with their pods: adopt and release them by selector, create and delete them, and say so in
//! Events.

use std::sync::Arc;

use futures::future::join_all;
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use super::cache::Cache;
use super::events::{Recorder, Severity};
use super::registry::{Kind, Registry};
use super::selector::{Claim, claim, controlled_by, owner_reference};

/// Reads pods from the cache, and writes them for one controller.
pub(super) struct PodControl {
    client: Client,
    pods: Arc<Cache<Pod>>,
    /// Events of the controller.
    pub(super) recorder: Recorder,
}

impl PodControl {
    pub(super) fn new(registry: &mut Registry, component: &'static str) -> Self {
        let client = registry.client.clone();
        let recorder = Recorder::new(client.clone(), component);
        PodControl { client, pods: registry.cache(), recorder }
    }

    fn api(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// The pods that it controls, after adopting those that `adopts` accepts and releasing those that the selector
    /// no longer matches. A `finalizer` comes and goes with the control.
    pub(super) async fn claim<K: Kind>(
        &self,
        owner: &K,
        selector: &LabelSelector,
        adopts: impl Fn(&Pod) -> bool + Send + Sync,
        finalizer: Option<&str>,
    ) -> Result<Vec<Arc<Pod>>, kube::Error> {
        let Some(uid) = owner.uid() else { return Ok(Vec::new()) };
        let namespace = owner.namespace().unwrap_or_default();
        let deleting = owner.meta().deletion_timestamp.is_some();
        let mut owned = Vec::new();
        for pod in self.pods.in_namespace(&namespace) {
            let adopted = match claim(&uid, deleting, selector, &pod.metadata) {
                Claim::Ignore => continue,
                Claim::Keep => {
                    owned.push(pod);
                    continue;
                }
                Claim::Adopt if !adopts(&pod) => continue,
                Claim::Adopt => true,
                Claim::Release => false,
            };
            let mut owners = pod.metadata.owner_references.clone().unwrap_or_default();
            let mut finalizers = pod.metadata.finalizers.clone().unwrap_or_default();
            finalizers.retain(|name| Some(name.as_str()) != finalizer);
            if adopted {
                owners.extend(owner_reference(owner));
                finalizers.extend(finalizer.map(str::to_owned));
            } else {
                owners.retain(|owner| owner.uid != uid);
            }
            let mut metadata = json!({"uid": pod.metadata.uid, "ownerReferences": owners});
            if finalizer.is_some() {
                // The whole list is written, so it must be the one that was read.
                metadata["resourceVersion"] = json!(pod.metadata.resource_version);
                metadata["finalizers"] = json!(finalizers);
            }
            let patch = Patch::Merge(json!({ "metadata": metadata }));
            let pod = self.patch(&pod, &patch).await?;
            owned.extend(pod.filter(|pod| controlled_by(&pod.metadata, Some(&uid))));
        }
        Ok(owned)
    }

    /// The pods that it controls, as they are after our own writes.
    pub(super) fn owned<K: Kind>(&self, owner: &K) -> Vec<Arc<Pod>> {
        let mut pods = self.pods.in_namespace(&owner.namespace().unwrap_or_default());
        pods.retain(|pod| controlled_by(&pod.metadata, owner.meta().uid.as_deref()));
        pods
    }

    /// Creates pods in batches of 1, 2, 4, …: when the first fails, the rest would too.
    pub(super) async fn create<K: Kind>(&self, owner: &K, pods: &[Pod]) -> Result<(), kube::Error> {
        let api = self.api(&owner.namespace().unwrap_or_default());
        let (mut left, mut batch) = (pods, 1);
        while !left.is_empty() {
            let (now, later) = left.split_at(left.len().min(batch));
            let params = PostParams::default();
            let answers = join_all(now.iter().map(|pod| api.create(&params, pod))).await;
            let mut failed = None;
            for answer in answers {
                match answer {
                    Ok(pod) => {
                        let message = format!("Created pod: {}", pod.name_any());
                        self.pods.put(pod);
                        self.say(owner, Severity::Normal, "SuccessfulCreate", &message).await;
                    }
                    Err(error) => failed = Some(error),
                }
            }
            match failed {
                Some(error) if is_terminating(&error) => return Ok(()),
                Some(error) => {
                    let message = format!("Error creating: {}", reason(&error));
                    self.say(owner, Severity::Warning, "FailedCreate", &message).await;
                    return Err(error);
                }
                None => (left, batch) = (later, batch * 2),
            }
        }
        Ok(())
    }

    /// Creates one pod without a word.
    pub(super) async fn create_one(&self, namespace: &str, pod: &Pod) -> Result<(), kube::Error> {
        let created = self.api(namespace).create(&PostParams::default(), pod).await?;
        self.pods.put(created);
        Ok(())
    }

    /// Deletes pods, all at once. Those that are gone or others by now are left alone.
    pub(super) async fn delete<K: Kind>(
        &self,
        owner: &K,
        pods: &[Arc<Pod>],
    ) -> Result<(), kube::Error> {
        let deletions = pods.iter().map(|pod| async move { (pod, self.remove(pod).await) });
        let mut result = Ok(());
        for (pod, answer) in join_all(deletions).await {
            match answer {
                Ok(true) => {
                    let message = format!("Deleted pod: {}", pod.name_any());
                    self.say(owner, Severity::Normal, "SuccessfulDelete", &message).await;
                }
                Ok(false) => {}
                Err(error) => {
                    let message = format!("Error deleting: {}", reason(&error));
                    self.say(owner, Severity::Warning, "FailedDelete", &message).await;
                    result = Err(error);
                }
            }
        }
        result
    }

    /// Deletes one pod without a word; `false` when it was gone already.
    pub(super) async fn remove(&self, pod: &Pod) -> Result<bool, kube::Error> {
        let preconditions = Preconditions { uid: pod.uid(), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let api = self.api(&pod.namespace().unwrap_or_default());
        match api.delete(&pod.name_any(), &params).await {
            Ok(answer) => {
                if let Some(pod) = answer.left().filter(|pod| pod.metadata.uid.is_some()) {
                    self.pods.put(pod);
                }
                Ok(true)
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes a finalizer from a pod. That it is gone already is fine.
    pub(super) async fn drop_finalizer(&self, pod: &Pod, name: &str) -> Result<(), kube::Error> {
        let patch = Patch::Strategic(json!({"metadata": {"uid": pod.uid(),
            "$deleteFromPrimitiveList/finalizers": [name]}}));
        self.patch(pod, &patch).await.map(drop)
    }

    /// Patches a pod; `None` when it is gone or another by now, or must not be changed like this.
    pub(super) async fn patch(
        &self,
        pod: &Pod,
        patch: &Patch<Value>,
    ) -> Result<Option<Arc<Pod>>, kube::Error> {
        let api = self.api(&pod.namespace().unwrap_or_default());
        match api.patch(&pod.name_any(), &PatchParams::default(), patch).await {
            Ok(pod) => {
                self.pods.put(pod.clone());
                Ok(Some(Arc::new(pod)))
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409 | 422) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn say<K: Kind>(&self, owner: &K, severity: Severity, reason: &str, message: &str) {
        self.recorder.record(owner, severity, reason, message).await;
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
pub(super) fn is_terminating(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403 && status.message.contains("being terminated"))
}

/// The pod that a template describes.
pub(super) fn from_template<K: Kind>(owner: &K, template: &PodTemplateSpec) -> Option<Pod> {
    let mut pod = Pod { spec: template.spec.clone(), ..Pod::default() };
    if let Some(meta) = &template.metadata {
        pod.metadata.labels.clone_from(&meta.labels);
        pod.metadata.annotations.clone_from(&meta.annotations);
        pod.metadata.finalizers.clone_from(&meta.finalizers);
    }
    pod.metadata.generate_name = Some(format!("{}-", owner.name_any()));
    pod.metadata.owner_references = Some(vec![owner_reference(owner)?]);
    Some(pod)
}
