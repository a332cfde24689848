//! Questions about claims and volumes. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ObjectReference, PersistentVolume, PersistentVolumeClaim, Pod, PodSpec,
};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt;

use crate::controllers::key::Key;
use crate::quantity::Quantity as Amount;

/// On a claim whose volume is settled for good.
pub(super) const BOUND: &str = "pv.kubernetes.io/bind-completed";
/// On whichever of both was bound by a controller, not by its author.
pub(super) const BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
/// On a volume that was made for a claim: by whom.
pub(super) const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// On a claim that a volume is to be made for: by whom.
pub(super) const PROVISIONER: [&str; 2] =
    ["volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner"];
/// On a claim whose first pod has a place: the node.
pub(in crate::controllers) const NODE: &str = "volume.kubernetes.io/selected-node";
const CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// The class a claim asks for; "" for none.
pub(in crate::controllers) fn class(claim: &PersistentVolumeClaim) -> &str {
    let spec = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref());
    claim.annotations().get(CLASS).map(String::as_str).or(spec).unwrap_or_default()
}

/// The class a volume is of; "" for none.
pub(super) fn class_of(volume: &PersistentVolume) -> &str {
    let spec = volume.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref());
    volume.annotations().get(CLASS).map(String::as_str).or(spec).unwrap_or_default()
}

/// Whether claims of the class get their volume with their first pod.
pub(in crate::controllers) fn waits(class: &StorageClass) -> bool {
    class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer")
}

/// The volume a claim has or wants; "" for any.
pub(in crate::controllers) fn volume_of(claim: &PersistentVolumeClaim) -> &str {
    claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).unwrap_or_default()
}

pub(in crate::controllers) fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    claim.annotations().contains_key(BOUND) && !volume_of(claim).is_empty()
}

pub(in crate::controllers) fn phase_of(claim: &PersistentVolumeClaim) -> &str {
    claim.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

pub(super) fn phase(volume: &PersistentVolume) -> &str {
    volume.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

pub(super) fn policy(volume: &PersistentVolume) -> &str {
    let spec = volume.spec.as_ref();
    spec.and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref()).unwrap_or("Retain")
}

pub(super) fn claim_ref(volume: &PersistentVolume) -> Option<&ObjectReference> {
    volume.spec.as_ref()?.claim_ref.as_ref()
}

/// The claim that a volume is for.
pub(super) fn claim_key(reference: &ObjectReference) -> Key {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Key::new(&text(&reference.namespace), &text(&reference.name))
}

/// Whether a volume is for this claim: by name, and by uid once it has one.
pub(super) fn is_for(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    claim_ref(volume).is_some_and(|reference| {
        let uid = reference.uid.as_deref().unwrap_or_default();
        claim_key(reference) == Key::of(claim)
            && (uid.is_empty() || Some(uid) == claim.metadata.uid.as_deref())
    })
}

fn storage(amounts: Option<&BTreeMap<String, Quantity>>) -> Option<&Quantity> {
    amounts?.get("storage")
}

/// How much a claim asks for.
pub(super) fn request(claim: &PersistentVolumeClaim) -> Option<&Quantity> {
    storage(claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref())
}

/// How much a claim asks for, as a number to compare by.
pub(in crate::controllers) fn asked_of(claim: &PersistentVolumeClaim) -> u64 {
    bytes(request(claim))
}

/// How much a volume has.
pub(super) fn capacity(volume: &PersistentVolume) -> Option<&Quantity> {
    storage(volume.spec.as_ref()?.capacity.as_ref())
}

/// A number to compare sizes by.
pub(super) fn bytes(size: Option<&Quantity>) -> u64 {
    let size = size.and_then(|size| Amount::parse(&size.0));
    // What is too large for the number is larger than anything else.
    size.map_or(0, |size| size.millis().unwrap_or(u64::MAX))
}

/// Block devices are what nobody here makes.
pub(super) fn is_block(mode: Option<&String>) -> bool {
    mode.is_some_and(|mode| mode == "Block")
}

/// The claims that a pod names, in its order.
pub(in crate::controllers) fn claims_of(spec: &PodSpec) -> impl Iterator<Item = &str> {
    let volumes = spec.volumes.iter().flatten();
    volumes.filter_map(|volume| Some(volume.persistent_volume_claim.as_ref()?.claim_name.as_str()))
}

/// Whether a pod that has a node names the claim. One that has ended counts until it is deleted.
pub(super) fn is_used_by(claim: &str, pod: &Pod) -> bool {
    pod.spec
        .as_ref()
        .is_some_and(|spec| spec.node_name.is_some() && claims_of(spec).any(|name| name == claim))
}
