//! Which images pods need.

use std::collections::BTreeSet;

pub use curtain_deploy::same;
use curtain_provider::Image;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::ListParams};

use crate::{Error, access::Access, identity::refused};

/// The images of all pods that have not ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses(Vec<Use>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Use {
    /// `NAMESPACE/NAME`.
    pod: String,
    /// As the pod names them.
    names: BTreeSet<String>,
    /// As its node says they are.
    ids: BTreeSet<String>,
}

impl Uses {
    /// Looks at the pods of an instance.
    ///
    /// # Errors
    /// An instance that is paused, or does not answer.
    pub async fn of(access: &Access) -> Result<Self, Error> {
        let pods = Api::<Pod>::all(access.kube().await?).list(&ListParams::default()).await;
        Ok(Self::by(&pods.map_err(refused("list the pods"))?.items))
    }

    fn by(pods: &[Pod]) -> Self {
        let ended = |pod: &&Pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            matches!(phase, Some("Succeeded" | "Failed"))
        };
        Self(pods.iter().filter(|pod| !ended(pod)).map(Use::of).collect())
    }

    /// The pods that need an image, as `NAMESPACE/NAME`.
    pub fn pods(&self, image: &Image) -> Vec<&str> {
        self.pods_of(&image.references, Some(&image.id))
    }

    /// The pods that would miss an image if it lost these of its names.
    pub fn pods_losing(&self, image: &Image, names: &[&str]) -> Vec<&str> {
        let last = image.references.iter().all(|full| names.contains(&full.as_str()));
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.pods_of(&names, last.then_some(image.id.as_str()))
    }

    fn pods_of(&self, references: &[String], id: Option<&str>) -> Vec<&str> {
        let needs = |one: &&Use| {
            id.is_some_and(|id| one.ids.contains(id))
                || one.names.iter().any(|name| references.iter().any(|full| same(name, full)))
        };
        self.0.iter().filter(needs).map(|one| one.pod.as_str()).collect()
    }
}

impl Use {
    fn of(pod: &Pod) -> Self {
        let spec = pod.spec.as_ref();
        let containers = spec.into_iter().flat_map(|spec| {
            let init = spec.init_containers.iter().flatten();
            let added = spec.ephemeral_containers.iter().flatten();
            let volumes = spec.volumes.iter().flatten().filter_map(|volume| volume.image.as_ref());
            init.chain(&spec.containers)
                .filter_map(|one| one.image.clone())
                .chain(added.filter_map(|one| one.image.clone()))
                .chain(volumes.filter_map(|one| one.reference.clone()))
                .collect::<Vec<_>>()
        });
        let statuses = pod.status.iter().flat_map(|status| {
            let lists = [
                &status.init_container_statuses,
                &status.container_statuses,
                &status.ephemeral_container_statuses,
            ];
            lists.into_iter().flatten().flatten()
        });
        // A kubelet writes a name before the digest.
        let id = |text: &str| text.rsplit('@').next().unwrap_or(text).to_owned();
        Self {
            pod: format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any()),
            names: containers.collect(),
            ids: statuses
                .map(|one| id(&one.image_id))
                .filter(|id| id.starts_with("sha256:"))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pods_need_what_they_name_and_what_they_run_until_they_end() {
        let pod = |name: &str, phase: &str, image: &str, id: &str| {
            serde_json::from_value(json!({"metadata": {"namespace": "ns", "name": name},
                "spec": {"containers": [{"name": "c", "image": image}],
                    "initContainers": [{"name": "i", "image": "init"}],
                    "volumes": [{"name": "v", "image": {"reference": "data:1"}}]},
                "status": {"phase": phase, "containerStatuses": [{"name": "c", "image": image,
                    "imageID": id, "ready": true, "restartCount": 0}]}}))
            .unwrap()
        };
        let uses = Uses::by(&[
            pod("new", "Pending", "app", ""),
            pod("old", "Running", "docker.io/library/app:1", "docker.io/library/app@sha256:a"),
            pod("done", "Succeeded", "job:1", "sha256:b"),
        ]);
        let image = |reference: &str, id: &str| Image {
            references: vec![format!("docker.io/library/{reference}")],
            id: id.to_owned(),
            size: 0,
            own: false,
        };
        assert_eq!(uses.pods(&image("app:latest", "sha256:c")), ["ns/new"]);
        assert_eq!(uses.pods(&image("app:2", "sha256:a")), ["ns/old"], "it has another name now");
        assert_eq!(uses.pods(&image("job:1", "sha256:b")), [""; 0]);
        for both in ["init:latest", "data:1"] {
            assert_eq!(uses.pods(&image(both, "")), ["ns/new", "ns/old"]);
        }
        let two = Image { references: vec!["app:1".into(), "x:1".into()], ..image("", "sha256:a") };
        assert_eq!(uses.pods_losing(&two, &["x:1"]), [""; 0]);
        assert_eq!(uses.pods_losing(&two, &["app:1"]), ["ns/old"]);
    }
}
