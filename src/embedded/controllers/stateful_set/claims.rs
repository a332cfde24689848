//! The claims of a StatefulSet's pods: made before the pod, and given to whom they go with.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::Controller;
use super::identity::{claim_owner, claims, corrected_owners, is_stale};
use crate::controllers::events::Severity;
use crate::controllers::key::Key;
use crate::controllers::pod_control::reason;

impl Controller {
    fn claims_api(&self, set: &StatefulSet) -> Api<PersistentVolumeClaim> {
        Api::namespaced(self.client.clone(), &set.namespace().unwrap_or_default())
    }

    /// Makes the claims that a new pod needs; `false` while those of its predecessor are going away.
    pub(super) async fn make_claims(
        &self,
        set: &StatefulSet,
        pod: &Pod,
        ordinal: i32,
    ) -> Result<bool, kube::Error> {
        let (api, name) = (self.claims_api(set), pod.name_any());
        for (_, mut claim) in claims(set, ordinal) {
            if let Some(known) = self.claims.get(&Key::of(&claim)) {
                if is_stale(&known, &name, pod.metadata.uid.as_deref()) {
                    return Ok(false);
                }
                continue;
            }
            claim.metadata.owner_references = claim_owner(set, None).map(|owner| vec![owner]);
            let (label, set_name) = (claim.name_any(), set.name_any());
            match api.create(&PostParams::default(), &claim).await {
                Ok(made) => {
                    self.claims.put(made);
                    let message = format!(
                        "create Claim {label} Pod {name} in StatefulSet {set_name} success"
                    );
                    self.say(set, Severity::Normal, "SuccessfulCreate", &message).await;
                }
                Err(kube::Error::Api(status)) if status.is_already_exists() => {}
                Err(error) => {
                    let message = format!(
                        "create Claim {label} for Pod {name} in StatefulSet {set_name} failed error: {}",
                        reason(&error)
                    );
                    self.say(set, Severity::Warning, "FailedCreate", &message).await;
                    return Err(error);
                }
            }
        }
        Ok(true)
    }

    /// Gives a pod's claims to whom the retention policy says.
    pub(super) async fn keep_claims(
        &self,
        set: &StatefulSet,
        pod: &Pod,
        ordinal: i32,
        condemned: bool,
    ) -> Result<(), kube::Error> {
        let api = self.claims_api(set);
        for (_, claim) in claims(set, ordinal) {
            let Some(known) = self.claims.get(&Key::of(&claim)) else { continue };
            let wanted = claim_owner(set, condemned.then_some(pod));
            let Some(owners) = corrected_owners(set, &pod.name_any(), &known, wanted) else {
                continue;
            };
            let metadata = json!({"uid": known.uid(), "resourceVersion": known.resource_version(),
                "ownerReferences": owners});
            let patch = Patch::Merge(json!({ "metadata": metadata }));
            match api.patch(&known.name_any(), &PatchParams::default(), &patch).await {
                Ok(answer) => self.claims.put(answer),
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
