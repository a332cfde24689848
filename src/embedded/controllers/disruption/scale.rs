//! How many pods there should be, as what controls them says.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::DynamicObject;
use kube::core::GroupVersionKind;
use kube::{Api, ResourceExt};

use super::super::key::Key;
use super::super::selector::{controlled_by, controller};
use super::Controller;

impl Controller {
    /// Who says how many pods there should be, and how many.
    pub(super) async fn scale(
        &self,
        namespace: &str,
        owner: &OwnerReference,
    ) -> Result<Result<(String, i32), String>, kube::Error> {
        let key = Key::new(namespace, &owner.name);
        let group = owner.api_version.split('/').next().unwrap_or_default();
        let uid = owner.uid.clone();
        let gone = Ok(Ok((uid.clone(), 0)));
        let me = Some(owner.uid.as_str());
        match (group, owner.kind.as_str()) {
            ("apps", "ReplicaSet") => {
                let set = self.replica_sets.get(&key).filter(|set| set.uid().as_deref() == me);
                let Some(set) = set else { return gone };
                let above = controller(&set.metadata).filter(|above| above.kind == "Deployment");
                let replicas = set.spec.replicas.unwrap_or(1);
                let Some(above) = above else { return Ok(Ok((uid, replicas))) };
                let deployment = self.deployments.get(&Key::new(namespace, &above.name));
                let deployment = deployment
                    .filter(|it| controlled_by(&set.metadata, it.metadata.uid.as_deref()));
                let replicas = deployment.map(|it| it.spec.replicas.unwrap_or(1));
                Ok(Ok((above.uid.clone(), replicas.unwrap_or(0))))
            }
            ("apps", "StatefulSet") => {
                let set = self.stateful_sets.get(&key).filter(|set| set.uid().as_deref() == me);
                let Some(set) = set else { return gone };
                Ok(Ok((uid, set.spec.replicas.unwrap_or(1))))
            }
            _ => self.scale_of_others(namespace, owner).await,
        }
    }

    /// Whatever else has a `scale`.
    async fn scale_of_others(
        &self,
        namespace: &str,
        owner: &OwnerReference,
    ) -> Result<Result<(String, i32), String>, kube::Error> {
        let (group, version) =
            owner.api_version.split_once('/').unwrap_or(("", &owner.api_version));
        let kind = GroupVersionKind::gvk(group, version, &owner.kind);
        let without = |plural: &str| {
            let resource =
                if group.is_empty() { plural.into() } else { format!("{plural}.{group}") };
            Ok(Err(format!("{resource} does not implement the scale subresource")))
        };
        let found = kube::discovery::pinned_kind(&self.client, &kind).await;
        let (resource, capabilities) = match found {
            Ok(found) => found,
            Err(kube::Error::Discovery(_)) => return without(&owner.kind),
            Err(kube::Error::Api(status)) if status.code == 404 => return without(&owner.kind),
            Err(error) => return Err(error),
        };
        if !capabilities.subresources.iter().any(|(sub, _)| sub.plural == "scale") {
            return without(&resource.plural);
        }
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &resource);
        match api.get_scale(&owner.name).await {
            Ok(scale) => {
                let replicas = scale.spec.and_then(|spec| spec.replicas).unwrap_or(0);
                Ok(Ok((owner.uid.clone(), replicas)))
            }
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(Ok((owner.uid.clone(), 0))),
            Err(error) => Err(error),
        }
    }
}
