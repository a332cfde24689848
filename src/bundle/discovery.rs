//! Which resource serves a kind, as the cluster itself says.

use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject},
    core::gvk::GroupVersionKind,
    discovery::{Discovery, Scope},
};

use crate::document::Identity;

/// The cluster's resources at one moment.
pub(crate) struct Resources(Discovery);

impl Resources {
    /// Asks the cluster; two requests where it has aggregated discovery (Kubernetes 1.27 and later).
    pub(crate) async fn read(client: &Client) -> Result<Self, kube::Error> {
        match Discovery::new(client.clone()).run_aggregated().await {
            Ok(discovery) => Ok(Self(discovery)),
            Err(_) => Discovery::new(client.clone()).run().await.map(Self),
        }
    }

    /// The resource that serves `object`'s kind, and whether its objects live in namespaces.
    pub(crate) fn resource(&self, object: &Identity) -> Option<(ApiResource, bool)> {
        let (group, version) = match object.api_version.split_once('/') {
            Some((group, version)) => (group, version),
            None => ("", object.api_version.as_str()),
        };
        let gvk = GroupVersionKind::gvk(group, version, &object.kind);
        let (resource, capabilities) = self.0.resolve_gvk(&gvk)?;
        Some((resource, capabilities.scope == Scope::Namespaced))
    }

    /// The API for `object`; `None` if the cluster does not serve its kind.
    pub(crate) fn api(&self, client: &Client, object: &Identity) -> Option<Api<DynamicObject>> {
        let (resource, namespaced) = self.resource(object)?;
        Some(if namespaced {
            Api::namespaced_with(
                client.clone(),
                object.namespace.as_deref().unwrap_or("default"),
                &resource,
            )
        } else {
            Api::all_with(client.clone(), &resource)
        })
    }
}
