//! Pods that a Job keeps until it has counted them, and that no Job counts any more: they are let go.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::Controller;
use super::pods::{TRACKING, is_tracked};
use super::verdict::end;
use crate::controllers::cache::Change;
use crate::controllers::key::Key;
use crate::controllers::selector::{controlled_by, controller};

impl Controller {
    /// Whether a Job is there that counts this pod.
    fn is_counted(&self, pod: &Pod) -> bool {
        let Some(owner) = controller(&pod.metadata).filter(|owner| owner.kind == "Job") else {
            return false;
        };
        let key = Key::new(&pod.namespace().unwrap_or_default(), &owner.name);
        let job = self.jobs.get(&key).filter(|job| job.metadata.uid.as_ref() == Some(&owner.uid));
        job.is_some_and(|job| end(&job).is_none())
    }

    pub(super) fn see_orphan(&self, pod: &Pod) {
        if is_tracked(pod) && !self.is_counted(pod) {
            self.orphans.add(Key::of(pod));
        }
    }

    /// The pods of a Job that is gone are orphans.
    pub(super) fn see_orphans(&self, change: &Change<Job>) {
        let (Some(job), None) = (&change.old, &change.new) else { return };
        let pods = self.pods.in_namespace(&job.namespace().unwrap_or_default());
        pods.iter()
            .filter(|pod| controlled_by(&pod.metadata, job.metadata.uid.as_deref()))
            .for_each(|pod| self.see_orphan(pod));
    }

    /// Works for ever.
    pub(super) async fn let_go(&self) {
        self.orphans
            .work("letting the pod go", |key| async move { self.let_one_go(&key).await })
            .await;
    }

    async fn let_one_go(&self, key: &Key) -> Result<(), kube::Error> {
        match self.pods.get(key).filter(|pod| is_tracked(pod) && !self.is_counted(pod)) {
            Some(pod) => self.control.drop_finalizer(&pod, TRACKING).await,
            None => Ok(()),
        }
    }
}
