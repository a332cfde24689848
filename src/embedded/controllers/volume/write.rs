//! What is written of claims and volumes. Each write leaves out what is there already, and fails if somebody else was
//! faster: then it is decided anew.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::Controller;
use super::decide::{Notice, is_ours};
use super::facts::{
    BOUND, BY_CONTROLLER, PROVISIONER, bytes, capacity, claim_ref, phase, phase_of, request,
    volume_of,
};
use super::provision::reference;

impl Controller {
    fn claims_api(&self, claim: &PersistentVolumeClaim) -> Api<PersistentVolumeClaim> {
        Api::namespaced(self.client.clone(), &claim.namespace().unwrap_or_default())
    }

    pub(super) fn volumes_api(&self) -> Api<PersistentVolume> {
        Api::all(self.client.clone())
    }

    /// Has both say that they belong together: first the volume, so that no other claim takes it.
    pub(super) async fn bind(
        &self,
        claim: &PersistentVolumeClaim,
        volume: &PersistentVolume,
    ) -> Result<(), kube::Error> {
        let volume = self.take(claim, volume).await?;
        let volume = self.write_phase(&volume, "Bound", None).await?;
        let name = volume.name_any();
        let mut annotations = json!({BOUND: "yes"});
        if volume_of(claim).is_empty() {
            annotations[BY_CONTROLLER] = "yes".into();
        }
        let mut claim = claim.clone();
        if volume_of(&claim) != name || !claim.annotations().contains_key(BOUND) {
            let patch = json!({"metadata": {"annotations": annotations,
                "resourceVersion": claim.resource_version()}, "spec": {"volumeName": name}});
            claim = self.patch_claim(&claim, patch, false).await?;
        }
        let spec = volume.spec.clone().unwrap_or_default();
        let status = claim.status.clone().unwrap_or_default();
        if status.phase.as_deref() != Some("Bound")
            || status.access_modes != spec.access_modes
            || status.capacity != spec.capacity
        {
            let patch = json!({"status": {"phase": "Bound", "accessModes": spec.access_modes, "capacity": spec.capacity}});
            self.patch_claim(&claim, patch, true).await?;
        }
        Ok(())
    }

    /// Keeps a volume for a claim, and lets one of ours grow with it.
    async fn take(
        &self,
        claim: &PersistentVolumeClaim,
        volume: &PersistentVolume,
    ) -> Result<PersistentVolume, kube::Error> {
        let known = claim_ref(volume);
        let mut patch = json!({});
        if known.is_none_or(|known| known.uid != claim.metadata.uid) {
            patch["spec"]["claimRef"] = json!(reference(claim));
            if known.is_none() {
                patch["metadata"]["annotations"] = json!({BY_CONTROLLER: "yes"});
            }
        }
        let directory = self.disk.directory(&volume.name_any());
        if is_ours(volume, directory.as_deref()) && bytes(request(claim)) > bytes(capacity(volume))
        {
            patch["spec"]["capacity"] = json!({"storage": request(claim)});
        }
        if patch == json!({}) {
            return Ok(volume.clone());
        }
        patch["metadata"]["resourceVersion"] = json!(volume.resource_version());
        self.patch_volume(volume, patch, false).await
    }

    /// Makes a volume free for others.
    pub(super) async fn unbind(&self, volume: &PersistentVolume) -> Result<(), kube::Error> {
        let patch = json!({"metadata": {"resourceVersion": volume.resource_version(),
            "annotations": {BY_CONTROLLER: null}}, "spec": {"claimRef": null}});
        self.patch_volume(volume, patch, false).await.map(drop)
    }

    /// The phase of a volume, with what went wrong.
    pub(super) async fn write_phase(
        &self,
        volume: &PersistentVolume,
        wanted: &str,
        failure: Option<(&str, &str)>,
    ) -> Result<PersistentVolume, kube::Error> {
        if phase(volume) == wanted {
            return Ok(volume.clone());
        }
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let (reason, message) = failure.unzip();
        let patch = json!({"status": {"phase": wanted, "reason": reason, "message": message,
            "lastPhaseTransitionTime": now}});
        self.patch_volume(volume, patch, true).await
    }

    /// Marks a claim as one whose volume is gone.
    pub(super) async fn lose(
        &self,
        claim: &PersistentVolumeClaim,
        notice: Notice,
    ) -> Result<(), kube::Error> {
        if phase_of(claim) != "Lost" {
            let patch = json!({"status": {"phase": "Lost", "accessModes": null, "capacity": null}});
            let claim = self.patch_claim(claim, patch, true).await?;
            self.say(&claim, &notice).await;
        }
        Ok(())
    }

    /// Says on a claim who makes its volume; whether that is new.
    pub(super) async fn ask(
        &self,
        claim: &PersistentVolumeClaim,
        provisioner: &str,
    ) -> Result<bool, kube::Error> {
        let said = |name: &str| claim.annotations().get(name).is_some_and(|p| p == provisioner);
        if PROVISIONER.iter().all(|name| said(name)) {
            return Ok(false);
        }
        let names = PROVISIONER.iter().map(|name| ((*name).to_owned(), Value::from(provisioner)));
        let annotations: serde_json::Map<_, _> = names.collect();
        let patch = json!({"metadata": {"annotations": annotations}});
        self.patch_claim(claim, patch, false).await.map(|_| true)
    }

    async fn patch_claim(
        &self,
        claim: &PersistentVolumeClaim,
        patch: Value,
        status: bool,
    ) -> Result<PersistentVolumeClaim, kube::Error> {
        let (api, name) = (self.claims_api(claim), claim.name_any());
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        let answer = match status {
            true => api.patch_status(&name, &params, &patch).await?,
            false => api.patch(&name, &params, &patch).await?,
        };
        self.claims.put(answer.clone());
        Ok(answer)
    }

    async fn patch_volume(
        &self,
        volume: &PersistentVolume,
        patch: Value,
        status: bool,
    ) -> Result<PersistentVolume, kube::Error> {
        let (api, name) = (self.volumes_api(), volume.name_any());
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        let answer = match status {
            true => api.patch_status(&name, &params, &patch).await?,
            false => api.patch(&name, &params, &patch).await?,
        };
        self.volumes.put(answer.clone());
        Ok(answer)
    }
}
