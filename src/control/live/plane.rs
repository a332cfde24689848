//! Which plane a rendered release is applied to.

use curtain_platform::{
    remote::{PlaneRef, PlaneType},
    types::{RenderedRelease, TargetPlane},
};
use kube::{Api, Client, ResourceExt as _, api::ListParams};

use super::{Error, Live, Object, kind, text_at};
use crate::objects::kind_of;

impl Live {
    /// The rendered releases that `binding` controls, each with a client of its plane.
    pub(super) async fn releases(
        &self,
        namespace: &str,
        binding: &Object,
    ) -> Result<Vec<(RenderedRelease, Client)>, Error> {
        let api: Api<RenderedRelease> = Api::namespaced(self.objects.client().clone(), namespace);
        let all = api.list(&ListParams::default()).await;
        let all = all.map_err(|error| Error::Cluster(Box::new(error)))?;
        let mut found = Vec::new();
        for release in all.items {
            let owner =
                release.owner_references().iter().find(|owner| owner.controller == Some(true));
            if owner.is_none_or(|owner| Some(&owner.uid) != binding.metadata.uid.as_ref()) {
                continue;
            }
            let plane = self.plane(namespace, &release).await?;
            let client = self.planes.client(&plane);
            let client = client.map_err(|error| Error::PlaneUnavailable(error.to_string()))?;
            found.push((release, client));
        }
        Ok(found)
    }

    async fn plane(&self, namespace: &str, release: &RenderedRelease) -> Result<PlaneRef, Error> {
        let environment = &release.spec.environment_name;
        let environment = self.objects.peek(kind("Environment"), namespace, environment).await?;
        let data_plane = reference(&environment, "dataPlaneRef");
        let data = self.object(namespace, &data_plane).await?;
        let (r#type, (kind, name), object) = match release.spec.target_plane {
            TargetPlane::DataPlane => (PlaneType::Data, data_plane, data),
            TargetPlane::ObservabilityPlane => {
                let wanted = reference(&data, "observabilityPlaneRef");
                let object = self.object(namespace, &wanted).await?;
                (PlaneType::Observability, wanted, object)
            }
        };
        let id = text_at(&object.data, &["spec", "planeID"]);
        Ok(PlaneRef {
            r#type,
            id: if id.is_empty() { name.clone() } else { id },
            namespace: (!kind.starts_with("Cluster")).then(|| namespace.to_owned()),
            name,
        })
    }

    async fn object(
        &self,
        namespace: &str,
        (kind, name): &(String, String),
    ) -> Result<Object, Error> {
        let row = kind_of(kind).ok_or_else(|| {
            Error::PlaneUnavailable(format!("{kind} {name}: planes of that kind are not served"))
        })?;
        self.objects.peek(row, namespace, name).await
    }
}

/// Kind and name of a reference; without one, the cluster's default plane is meant.
fn reference(object: &Object, field: &str) -> (String, String) {
    let name = text_at(&object.data, &["spec", field, "name"]);
    if name.is_empty() {
        let kind = match field {
            "dataPlaneRef" => "ClusterDataPlane",
            _ => "ClusterObservabilityPlane",
        };
        return (kind.to_owned(), "default".to_owned());
    }
    (text_at(&object.data, &["spec", field, "kind"]), name)
}
