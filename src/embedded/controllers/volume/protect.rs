//! What is in use stays: claims while a pod names them, volumes while they are bound.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::Controller;
use super::decide::may_go;
use super::facts::is_used_by;

const CLAIM: &str = "kubernetes.io/pvc-protection";
const VOLUME: &str = "kubernetes.io/pv-protection";

impl Controller {
    /// Lets a claim go that is being deleted and that no pod uses.
    pub(super) async fn let_claim_go(
        &self,
        claim: &PersistentVolumeClaim,
    ) -> Result<(), kube::Error> {
        if claim.metadata.deletion_timestamp.is_none()
            || !claim.finalizers().iter().any(|name| name == CLAIM)
        {
            return Ok(());
        }
        let (name, namespace) = (claim.name_any(), claim.namespace().unwrap_or_default());
        if self.pods.in_namespace(&namespace).iter().any(|pod| is_used_by(&name, pod)) {
            return Ok(());
        }
        // The server is asked, too: a pod that was bound just now may not be known here yet.
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
        let pods = pods.list(&ListParams::default()).await?;
        if pods.iter().any(|pod| is_used_by(&name, pod)) {
            return Ok(());
        }
        let api = Api::namespaced(self.client.clone(), &namespace);
        release(&api, claim, CLAIM).await
    }

    /// Lets a volume go that is being deleted and that is no claim's.
    pub(super) async fn let_volume_go(&self, volume: &PersistentVolume) -> Result<(), kube::Error> {
        if !may_go(volume) {
            return Ok(());
        }
        release(&Api::all(self.client.clone()), volume, VOLUME).await
    }
}

/// Takes a finalizer away, if it is there.
pub(super) async fn release<K>(api: &Api<K>, object: &K, name: &str) -> Result<(), kube::Error>
where
    K: Resource + Clone + Serialize + DeserializeOwned + std::fmt::Debug,
{
    let mut left = object.finalizers().to_vec();
    left.retain(|known| known != name);
    if left.len() == object.finalizers().len() {
        return Ok(());
    }
    // The whole list is written, so it must be the one that was read.
    let metadata = json!({"uid": object.uid(), "resourceVersion": object.resource_version(), "finalizers": left});
    let patch = Patch::Merge(json!({ "metadata": metadata }));
    match api.patch(&object.name_any(), &PatchParams::default(), &patch).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error),
    }
}
