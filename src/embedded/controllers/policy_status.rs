//! Says of ValidatingAdmissionPolicies that they were looked at.
//!
//! Real servers check the types of expressions against the kinds that a policy is about, and warn here. This one has no
//! static types: there is nothing to warn of, and what does not fit shows when an expression is evaluated.

use std::sync::Arc;

use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::cache::{Cache, Change};
use super::key::Key;
use super::queue::Queue;
use super::registry::Registry;

/// The manager of the status, as on real servers.
const MANAGER: &str = "validatingadmissionpolicy-status";

struct Controller {
    client: Client,
    policies: Arc<Cache<ValidatingAdmissionPolicy>>,
    /// Names of policies.
    queue: Queue<Arc<str>>,
}

/// Makes the controller.
pub(super) fn register(registry: &mut Registry) {
    let controller = Arc::new(Controller {
        client: registry.client.clone(),
        policies: registry.cache(),
        queue: Queue::new(),
    });
    registry.tell(&controller, Controller::changed);
    registry.work(async move { controller.work().await });
}

/// The generation that the status does not tell of yet.
fn untold(policy: &ValidatingAdmissionPolicy) -> Option<i64> {
    let told = policy.status.as_ref().and_then(|status| status.observed_generation).unwrap_or(0);
    policy.metadata.generation.filter(|generation| *generation > told)
}

impl Controller {
    fn changed(&self, change: &Change<ValidatingAdmissionPolicy>) {
        if let Some(policy) = change.new.as_ref().filter(|policy| untold(policy).is_some()) {
            self.queue.add(policy.name_any().into());
        }
    }

    /// Works for ever.
    async fn work(&self) {
        let what = "the admission policy's status";
        self.queue.work(what, |name| async move { self.reconcile(&name).await }).await;
    }

    async fn reconcile(&self, name: &str) -> Result<(), kube::Error> {
        let Some(policy) = self.policies.get(&Key::new("", name)) else { return Ok(()) };
        let Some(generation) = untold(&policy) else { return Ok(()) };
        let status = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "status": {"observedGeneration": generation, "typeChecking": {}},
        });
        let api: Api<ValidatingAdmissionPolicy> = Api::all(self.client.clone());
        let params = PatchParams::apply(MANAGER).force();
        match api.patch_status(name, &params, &Patch::Apply(&status)).await {
            Ok(answer) => {
                self.policies.put(answer);
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(error),
        }
    }
}
