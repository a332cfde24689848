//! The volume that is made for a claim. Pure: its directory is made when it is first mounted.
//!
//! The object is there before the directory is, and goes after it: what is on the disk always has a name in the API.

use std::collections::BTreeMap;
use std::path::Path;

use k8s_openapi::api::core::v1::{
    HostPathVolumeSource, Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm,
    ObjectReference, PersistentVolume, PersistentVolumeClaim, PersistentVolumeSpec,
    VolumeNodeAffinity,
};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};

use super::facts::{PROVISIONED_BY, request};
use crate::volume::PROVISIONER;

/// Keeps the volume until its directory is gone.
pub(super) const FINALIZER: &str = PROVISIONER;

/// The name of the volume that is made for a claim.
pub(super) fn name(claim: &PersistentVolumeClaim) -> String {
    format!("pvc-{}", claim.uid().unwrap_or_default())
}

/// A claim as a volume names it.
pub(super) fn reference(claim: &PersistentVolumeClaim) -> ObjectReference {
    ObjectReference { field_path: None, ..claim.object_ref(&()) }
}

/// The volume for a claim of this class, on this node if it is said.
pub(super) fn volume(
    claim: &PersistentVolumeClaim,
    class: &StorageClass,
    node: Option<&Node>,
    directory: &Path,
) -> PersistentVolume {
    let spec = claim.spec.clone().unwrap_or_default();
    let size = request(claim).cloned().unwrap_or_default();
    let host = HostPathVolumeSource {
        path: directory.to_string_lossy().into_owned(),
        type_: Some("DirectoryOrCreate".into()),
    };
    PersistentVolume {
        metadata: ObjectMeta {
            name: Some(name(claim)),
            annotations: Some(BTreeMap::from([(PROVISIONED_BY.into(), PROVISIONER.into())])),
            finalizers: Some(vec![FINALIZER.into()]),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeSpec {
            access_modes: spec.access_modes,
            capacity: Some(BTreeMap::from([("storage".into(), size)])),
            claim_ref: Some(reference(claim)),
            host_path: Some(host),
            mount_options: class.mount_options.clone(),
            node_affinity: node.map(only_on),
            persistent_volume_reclaim_policy: class.reclaim_policy.clone(),
            storage_class_name: class.metadata.name.clone(),
            volume_mode: spec.volume_mode,
            ..PersistentVolumeSpec::default()
        }),
        status: None,
    }
}

fn only_on(node: &Node) -> VolumeNodeAffinity {
    let name = NodeSelectorRequirement {
        key: "metadata.name".into(),
        operator: "In".into(),
        values: Some(vec![node.name_any()]),
    };
    let term = NodeSelectorTerm { match_fields: Some(vec![name]), ..NodeSelectorTerm::default() };
    VolumeNodeAffinity { required: Some(NodeSelector { node_selector_terms: vec![term] }) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controllers::volume::decide::is_ours;
    use crate::controllers::volume::matching::best;
    use crate::controllers::volume::samples;

    #[test]
    fn what_is_made_for_a_claim_is_what_it_asks_for_and_ours() {
        let class: StorageClass = serde_json::from_value(json!({"metadata": {"name": "standard"},
            "provisioner": PROVISIONER, "reclaimPolicy": "Delete"}))
        .expect("a StorageClass");
        let node: Node =
            serde_json::from_value(json!({"metadata": {"name": "n"}})).expect("a Node");
        let claim = samples::claim(json!({"storageClassName": "standard"}));
        let directory = Path::new("/home/volumes/pvc-u1");
        let made = volume(&claim, &class, Some(&node), directory);
        assert_eq!(made.name_any(), "pvc-u1");
        assert!(is_ours(&made, Some(directory)) && !is_ours(&made, Some(Path::new("/home"))));
        let volumes = [made.into()];
        assert!(best(&claim, &volumes, Some(&node), false).is_some(), "it is the claim's alone");
        let other = serde_json::from_value(json!({"metadata": {"name": "m"}})).expect("a Node");
        assert!(best(&claim, &volumes, Some(&other), false).is_none(), "it is on its node");
    }
}
