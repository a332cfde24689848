//! What becomes of volumes whose claims are gone. Directories may be large, so this has a queue of its own.

use std::time::Duration;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::api::{DeleteParams, Preconditions};
use kube::{Api, ResourceExt};

use super::Controller;
use super::decide::{Notice, Reclaim, may_go, reclaim};
use super::facts::{claim_key, claim_ref, is_for, phase, volume_of};
use super::protect::release;
use super::provision::FINALIZER;
use crate::controllers::events::Severity;
use crate::controllers::key::Key;

/// A directory that could not be removed is tried again after this time.
const AGAIN: Duration = Duration::from_secs(5);

impl Controller {
    /// Works for ever.
    pub(super) async fn reclaim_all(&self) {
        self.released
            .work("reclaiming the volume", |key| async move { self.reclaim(&key).await })
            .await;
    }

    async fn reclaim(&self, key: &Key) -> Result<(), kube::Error> {
        let Some(volume) = self.volumes_api().get_opt(&key.name).await? else { return Ok(()) };
        if !matches!(phase(&volume), "Released" | "Failed") && !may_go(&volume) {
            return Ok(());
        }
        let deleting = volume.metadata.deletion_timestamp.is_some();
        let done = deleting && !volume.finalizers().iter().any(|name| name == FINALIZER);
        if done || self.has_claim(&volume).await? {
            return Ok(());
        }
        let directory = self.disk.directory(&key.name);
        match reclaim(&volume, directory.as_deref()) {
            Reclaim::Others => Ok(()),
            Reclaim::Retain if deleting => release(&self.volumes_api(), &volume, FINALIZER).await,
            Reclaim::Retain => Ok(()),
            Reclaim::Remove => self.remove(&volume).await,
            Reclaim::Fail(reason, message) => self.fail(&volume, reason, message).await,
        }
    }

    /// Whether the claim of a volume is there after all; the server is asked, since what is removed is gone.
    async fn has_claim(&self, volume: &PersistentVolume) -> Result<bool, kube::Error> {
        let Some(reference) = claim_ref(volume) else { return Ok(false) };
        let key = claim_key(reference);
        let api: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), &key.namespace);
        let claim = api.get_opt(&key.name).await?;
        let has = |claim: &PersistentVolumeClaim| {
            let name = volume_of(claim);
            is_for(volume, claim) && (name.is_empty() || name == volume.name_any())
        };
        Ok(claim.as_ref().is_some_and(has))
    }

    async fn remove(&self, volume: &PersistentVolume) -> Result<(), kube::Error> {
        let name = volume.name_any();
        if let Err(message) = self.disk.remove(&name).await {
            let notice = Notice {
                severity: Severity::Warning,
                reason: "VolumeFailedDelete",
                message: format!("cannot remove the directory of volume {name:?}: {message}"),
            };
            self.say(volume, &notice).await;
            self.released.add_after(Key::of(volume), AGAIN);
            return Ok(());
        }
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: volume.uid(),
                resource_version: volume.resource_version(),
            }),
            ..DeleteParams::default()
        };
        let api = self.volumes_api();
        if volume.metadata.deletion_timestamp.is_some() {
            return release(&api, volume, FINALIZER).await;
        }
        match api.delete(&name, &params).await {
            Ok(answer) => match answer.left() {
                Some(marked) => release(&api, &marked, FINALIZER).await,
                None => Ok(()),
            },
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn fail(
        &self,
        volume: &PersistentVolume,
        reason: &'static str,
        message: String,
    ) -> Result<(), kube::Error> {
        if volume.metadata.deletion_timestamp.is_some() {
            return release(&self.volumes_api(), volume, FINALIZER).await;
        }
        if phase(volume) == "Failed" {
            return Ok(());
        }
        let volume = self.write_phase(volume, "Failed", Some((reason, &message))).await?;
        self.say(&volume, &Notice { severity: Severity::Warning, reason, message }).await;
        Ok(())
    }
}
