//! What an autoscaler scales: anything with a `scale`.

use k8s_openapi::api::autoscaling::v2::CrossVersionObjectReference;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use serde_json::json;

/// A target and its scale.
pub(super) struct Found {
    api: Api<DynamicObject>,
    name: String,
    version: Option<String>,
    /// How many pods it is to have.
    pub(super) replicas: i32,
    /// Which pods are its own, as text.
    pub(super) selector: String,
}

/// Looks a target up. `Err` of the answer says why it has no scale.
pub(super) async fn find(
    client: &Client,
    namespace: &str,
    target: &CrossVersionObjectReference,
) -> Result<Result<Found, String>, kube::Error> {
    let version = target.api_version.as_deref().unwrap_or("v1");
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let kind = GroupVersionKind::gvk(group, version, &target.kind);
    let unknown = || Ok(Err(format!("no matches for kind {:?} in group {group:?}", target.kind)));
    let (resource, capabilities) = match kube::discovery::pinned_kind(client, &kind).await {
        Ok(found) => found,
        Err(kube::Error::Discovery(_)) => return unknown(),
        Err(kube::Error::Api(status)) if status.code == 404 => return unknown(),
        Err(error) => return Err(error),
    };
    if !capabilities.subresources.iter().any(|(sub, _)| sub.plural == "scale") {
        let plural = &resource.plural;
        let name = if group.is_empty() { plural.clone() } else { format!("{plural}.{group}") };
        return Ok(Err(format!("{name} does not implement the scale subresource")));
    }
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    match api.get_scale(&target.name).await {
        Ok(scale) => Ok(Ok(Found {
            api,
            name: target.name.clone(),
            version: scale.metadata.resource_version,
            replicas: scale.spec.and_then(|spec| spec.replicas).unwrap_or(0),
            selector: scale.status.and_then(|status| status.selector).unwrap_or_default(),
        })),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Err(status.message.clone())),
        Err(error) => Err(error),
    }
}

impl Found {
    /// Gives it another number of pods, unless it has been changed since.
    pub(super) async fn scale(&self, replicas: i32) -> Result<(), kube::Error> {
        let patch = json!({"metadata": {"resourceVersion": self.version},
            "spec": {"replicas": replicas}});
        let options = PatchParams::default();
        self.api.patch_scale(&self.name, &options, &Patch::Merge(patch)).await.map(drop)
    }
}
