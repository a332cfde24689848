//! What makes a StatefulSet's pods what they are: ordinal, names, claims.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimVolumeSource, Pod, PodTemplateSpec, Volume,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt};

use crate::controllers::history::HASH;
use crate::controllers::pod_control::from_template;
use crate::controllers::selector::owner_reference;

const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";

/// The pod's number in its set; `None` when its name is none that the set gives.
pub(super) fn ordinal(set: &StatefulSet, pod: &Pod) -> Option<i32> {
    let name = pod.name_any();
    let (parent, number) = name.rsplit_once('-')?;
    let number: i32 = number.parse().ok()?;
    (parent == set.name_any() && number >= 0).then_some(number)
}

/// The first ordinal.
pub(super) fn start(set: &StatefulSet) -> i32 {
    set.spec.ordinals.as_ref().and_then(|ordinals| ordinals.start).unwrap_or_default()
}

pub(super) fn replicas(set: &StatefulSet) -> i32 {
    set.spec.replicas.unwrap_or(1)
}

/// Whether a pod of this ordinal is wanted.
pub(super) fn is_wanted(set: &StatefulSet, ordinal: i32) -> bool {
    (start(set)..start(set).saturating_add(replicas(set))).contains(&ordinal)
}

/// The name of the revision that the pod was made from.
pub(super) fn revision(pod: &Pod) -> &str {
    pod.labels().get(HASH).map(String::as_str).unwrap_or_default()
}

/// A pod of this revision.
pub(super) fn pod(
    set: &StatefulSet,
    template: &PodTemplateSpec,
    revision: &str,
    ordinal: i32,
) -> Option<Pod> {
    let mut pod = from_template(set, template)?;
    let name = format!("{}-{ordinal}", set.name_any());
    pod.metadata.generate_name = None;
    pod.metadata.name = Some(name.clone());
    pod.metadata.namespace = set.namespace();
    pod.labels_mut().insert(HASH.into(), revision.to_owned());
    pod.labels_mut().extend(labels(&name, ordinal));
    let spec = pod.spec.as_mut()?;
    spec.hostname = Some(name);
    spec.subdomain = set.spec.service_name.clone().filter(|name| !name.is_empty());
    let volumes = spec.volumes.get_or_insert_default();
    for (template, claim) in claims(set, ordinal) {
        volumes.retain(|volume| volume.name != template);
        volumes.push(Volume {
            name: template,
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: claim.name_any(),
                read_only: None,
            }),
            ..Volume::default()
        });
    }
    if volumes.is_empty() {
        spec.volumes = None;
    }
    Some(pod)
}

fn labels(name: &str, ordinal: i32) -> BTreeMap<String, String> {
    BTreeMap::from([(POD_NAME.into(), name.to_owned()), (POD_INDEX.into(), ordinal.to_string())])
}

/// The labels that a pod of the set has lost, and should have.
pub(super) fn missing_labels(pod: &Pod, ordinal: i32) -> Option<BTreeMap<String, String>> {
    let wanted = labels(&pod.name_any(), ordinal);
    let has_all = wanted.iter().all(|(name, value)| pod.labels().get(name) == Some(value));
    (!has_all).then_some(wanted)
}

/// The claims of a pod, each with the name of its volume.
pub(super) fn claims(set: &StatefulSet, ordinal: i32) -> Vec<(String, PersistentVolumeClaim)> {
    let templates = set.spec.volume_claim_templates.iter().flatten();
    let claim = |template: &PersistentVolumeClaim| {
        let volume = template.name_any();
        let mut labels = template.labels().clone();
        labels.extend(set.spec.selector.match_labels.clone().unwrap_or_default());
        let metadata = ObjectMeta {
            name: Some(format!("{volume}-{}-{ordinal}", set.name_any())),
            namespace: set.namespace(),
            labels: Some(labels).filter(|labels| !labels.is_empty()),
            annotations: template.metadata.annotations.clone(),
            ..ObjectMeta::default()
        };
        let spec = template.spec.clone();
        (volume, PersistentVolumeClaim { metadata, spec, status: None })
    };
    templates.map(claim).collect()
}

/// Whom a claim goes with: the set, when it is deleted with it, or the pod, when it is scaled away. `condemned` is the
/// pod if that is what happens to it.
pub(super) fn claim_owner(set: &StatefulSet, condemned: Option<&Pod>) -> Option<OwnerReference> {
    let policy = set.spec.persistent_volume_claim_retention_policy.as_ref()?;
    let deletes = |when: &Option<String>| when.as_deref() == Some("Delete");
    match condemned {
        Some(pod) if deletes(&policy.when_scaled) => pod.controller_owner_ref(&()),
        Some(_) if deletes(&policy.when_deleted) && !deletes(&policy.when_scaled) => {
            owner_reference(set)
        }
        None if deletes(&policy.when_deleted) => owner_reference(set),
        _ => None,
    }
}

/// The owners a claim should have; `None` when it has them. Others than the set and its pods stay.
pub(super) fn corrected_owners(
    set: &StatefulSet,
    pod: &str,
    claim: &PersistentVolumeClaim,
    wanted: Option<OwnerReference>,
) -> Option<Vec<OwnerReference>> {
    let ours = |owner: &OwnerReference| {
        Some(&owner.uid) == set.metadata.uid.as_ref() || (owner.kind == "Pod" && owner.name == pod)
    };
    let mut owners = claim.owner_references().to_vec();
    let known: Vec<_> = owners.iter().filter(|owner| ours(owner)).map(|o| o.uid.clone()).collect();
    if known == wanted.iter().map(|owner| owner.uid.clone()).collect::<Vec<_>>() {
        return None;
    }
    owners.retain(|owner| !ours(owner));
    owners.extend(wanted);
    Some(owners)
}

/// Whether a claim goes with a former pod of this name, so that a new one has to wait.
pub(super) fn is_stale(claim: &PersistentVolumeClaim, pod: &str, uid: Option<&str>) -> bool {
    claim.metadata.deletion_timestamp.is_some()
        || claim.owner_references().iter().any(|owner| {
            owner.kind == "Pod" && owner.name == pod && Some(owner.uid.as_str()) != uid
        })
}
