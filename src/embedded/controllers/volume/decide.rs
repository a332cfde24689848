//! What is to be done about a claim, and about a volume. Pure.

use std::path::Path;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::ResourceExt;

use super::facts::{
    BOUND, BY_CONTROLLER, PROVISIONED_BY, claim_ref, class, is_block, is_for, phase, policy,
    volume_of, waits,
};
use super::matching::{best, mismatch};
use crate::controllers::events::Severity;
use crate::volume::PROVISIONER;

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) severity: Severity,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

fn notice(severity: Severity, reason: &'static str, message: impl Into<String>) -> Notice {
    Notice { severity, reason, message: message.into() }
}

/// What a claim's next step depends on.
pub(super) struct View<'v> {
    pub(super) claim: &'v PersistentVolumeClaim,
    pub(super) volumes: &'v [Arc<PersistentVolume>],
    /// Its class, if there is one of that name.
    pub(super) class: Option<&'v StorageClass>,
    /// The node that its first pod gets.
    pub(super) node: Option<&'v Node>,
}

/// A claim's next step.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// It stays pending, for this reason if it is worth telling.
    Wait(Option<Notice>),
    /// It gets this volume, or has it, and both are to say so.
    Bind(Arc<PersistentVolume>),
    /// A volume is made for it.
    Provision,
    /// Others make a volume for it.
    Await(String),
    /// Its volume is gone for good.
    Lose(Notice),
}

pub(super) fn of_claim(view: &View<'_>) -> Step {
    let (claim, name) = (view.claim, volume_of(view.claim));
    let volume = view.volumes.iter().find(|volume| volume.name_any() == name);
    if claim.annotations().contains_key(BOUND) {
        return settled(claim, name, volume);
    }
    if name.is_empty() {
        return unbound(view);
    }
    match volume {
        None => Step::Wait(None),
        Some(volume) if claim_ref(volume).is_none() => match mismatch(volume, claim) {
            None => Step::Bind(volume.clone()),
            Some(why) => {
                let message = format!("Cannot bind to requested volume {name:?}: {why}");
                Step::Wait(Some(notice(Severity::Warning, "VolumeMismatch", message)))
            }
        },
        Some(volume) if is_for(volume, claim) => Step::Bind(volume.clone()),
        Some(_) => {
            let message = format!("volume {name:?} already bound to a different claim.");
            Step::Wait(Some(notice(Severity::Warning, "FailedBinding", message)))
        }
    }
}

fn settled(
    claim: &PersistentVolumeClaim,
    name: &str,
    volume: Option<&Arc<PersistentVolume>>,
) -> Step {
    let lost = |reason, message: &str| Step::Lose(notice(Severity::Warning, reason, message));
    match volume {
        None if name.is_empty() => lost(
            "ClaimLost",
            "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!",
        ),
        None => lost(
            "ClaimLost",
            "Bound claim has lost its PersistentVolume. Data on the volume is lost!",
        ),
        Some(volume) if claim_ref(volume).is_none() || is_for(volume, claim) => {
            Step::Bind(volume.clone())
        }
        Some(_) => lost(
            "ClaimMisbound",
            "Two claims are bound to the same volume, this one is bound incorrectly",
        ),
    }
}

fn unbound(view: &View<'_>) -> Step {
    let claim = view.claim;
    let early = view.class.is_some_and(waits) && view.node.is_none();
    if let Some(volume) = best(claim, view.volumes, view.node, !early) {
        return Step::Bind(volume);
    }
    if claim.metadata.deletion_timestamp.is_some() {
        return Step::Wait(None);
    }
    if early {
        let message = "waiting for first consumer to be created before binding";
        return Step::Wait(Some(notice(Severity::Normal, "WaitForFirstConsumer", message)));
    }
    if class(claim).is_empty() {
        let message = "no persistent volumes available for this claim and no storage class is set";
        return Step::Wait(Some(notice(Severity::Normal, "FailedBinding", message)));
    }
    let failed = |message: String| {
        Step::Wait(Some(notice(Severity::Warning, "ProvisioningFailed", message)))
    };
    let spec = claim.spec.as_ref();
    let fails = |why: &str| {
        let name = class(claim);
        failed(format!("failed to provision volume with StorageClass {name:?}: {why}"))
    };
    match view.class.map(|class| class.provisioner.as_str()) {
        None => failed(format!("storageclass.storage.k8s.io {:?} not found", class(claim))),
        Some(PROVISIONER) if spec.is_some_and(|spec| is_block(spec.volume_mode.as_ref())) => {
            fails("block volumes are not made here; volumeMode must be Filesystem")
        }
        Some(PROVISIONER) if spec.is_some_and(|spec| spec.selector.is_some()) => {
            fails("claim Selector is not supported")
        }
        Some(PROVISIONER) => Step::Provision,
        Some("kubernetes.io/no-provisioner") => {
            failed("no volume plugin matched name: kubernetes.io/no-provisioner".into())
        }
        Some(other) => Step::Await(other.to_owned()),
    }
}

/// What is to be done about a volume.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is nobody's yet.
    Offer,
    /// Its claim does not say so yet, and is looked at.
    Claim,
    /// It is its claim's.
    Keep,
    /// Its claim has another: it is free again.
    Unbind,
    /// Its claim has another, but it is meant for that claim.
    Leave,
    /// Its claim is gone.
    Release,
}

/// `claim` is the one of the name that the volume is for.
pub(super) fn of_volume(volume: &PersistentVolume, claim: Option<&PersistentVolumeClaim>) -> Turn {
    let Some(reference) = claim_ref(volume) else { return Turn::Offer };
    if reference.uid.as_deref().unwrap_or_default().is_empty() {
        return Turn::Offer;
    }
    let Some(claim) = claim.filter(|claim| is_for(volume, claim)) else { return Turn::Release };
    match volume_of(claim) {
        "" => Turn::Claim,
        name if name == volume.name_any() => Turn::Keep,
        // One that was made for the claim is of no use to others.
        _ if volume.annotations().contains_key(PROVISIONED_BY) && policy(volume) == "Delete" => {
            Turn::Release
        }
        _ if volume.annotations().contains_key(BY_CONTROLLER) => Turn::Unbind,
        // Its author has kept it for that claim.
        _ => Turn::Leave,
    }
}

/// What becomes of a volume whose claim is gone.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reclaim {
    /// It stays as it is, with what is on it.
    Retain,
    /// It goes, and its directory with it.
    Remove,
    /// Who made it removes it.
    Others,
    /// Nobody can do what it says.
    Fail(&'static str, String),
}

pub(super) fn reclaim(volume: &PersistentVolume, directory: Option<&Path>) -> Reclaim {
    let name = volume.name_any();
    let made_by = volume.annotations().get(PROVISIONED_BY).map(String::as_str);
    match (policy(volume), made_by) {
        ("Retain", _) => Reclaim::Retain,
        ("Delete", Some(PROVISIONER)) if is_ours(volume, directory) => Reclaim::Remove,
        ("Delete", Some(other)) if other != PROVISIONER => Reclaim::Others,
        ("Delete", _) => Reclaim::Fail(
            "VolumeFailedDelete",
            format!(
                "error getting deleter volume plugin for volume {name:?}: no volume plugin matched"
            ),
        ),
        _ => Reclaim::Fail(
            "VolumeFailedRecycle",
            format!("no recycler for volume {name:?}: use the policy Delete or Retain"),
        ),
    }
}

/// Whether a volume is one of the node's directories, and says so: nothing else is ever removed.
pub(super) fn is_ours(volume: &PersistentVolume, directory: Option<&Path>) -> bool {
    let path = volume.spec.as_ref().and_then(|spec| spec.host_path.as_ref()).map(|host| &host.path);
    volume.annotations().get(PROVISIONED_BY).map(String::as_str) == Some(PROVISIONER)
        && directory.is_some_and(|directory| path.is_some_and(|path| Path::new(path) == directory))
}

/// Whether a volume that is being deleted may go, as far as its claim is concerned.
pub(super) fn may_go(volume: &PersistentVolume) -> bool {
    volume.metadata.deletion_timestamp.is_some() && phase(volume) != "Bound"
}

#[cfg(test)]
mod tests;
