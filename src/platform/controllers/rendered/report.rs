//! `status.resources`: the live objects of a release in the order of its manifests.

use super::remote::{Child, Place, Remote};
use super::{Desired, Gvk, Health};
use crate::controllers::context::now;
use crate::types::AppliedResource;
use serde_json::Value;

/// The entries for what is desired, then for what is still there although it is not.
pub(super) fn resources(
    remote: &Remote,
    release_uid: &str,
    desired: &[Desired],
    before: &[AppliedResource],
) -> Vec<AppliedResource> {
    let children = remote.children(release_uid);
    let mut entries: Vec<AppliedResource> = desired
        .iter()
        .map(|d| {
            let child =
                children.iter().find(|(place, _)| *place == d.place).map(|(_, child)| child);
            entry(&d.id, &d.place, child, before)
        })
        .collect();
    for (place, child) in &children {
        if !desired.iter().any(|d| d.place == *place) {
            let id = find(before, place).map_or_else(|| place.name.clone(), |e| e.id.clone());
            entries.push(entry(&id, place, Some(child), before));
        }
    }
    entries
}

/// Entries for objects that are not in the status yet; nothing is known of them.
pub(super) fn not_yet_listed(
    desired: &[Desired],
    before: &[AppliedResource],
) -> Vec<AppliedResource> {
    desired
        .iter()
        .filter(|d| find(before, &d.place).is_none())
        .map(|d| entry(&d.id, &d.place, None, before))
        .collect()
}

fn find<'a>(entries: &'a [AppliedResource], place: &Place) -> Option<&'a AppliedResource> {
    entries.iter().find(|e| place_of(e) == *place)
}

/// Where an entry's object is.
pub(super) fn place_of(entry: &AppliedResource) -> Place {
    Place {
        gvk: Gvk::of_applied(entry),
        namespace: entry.namespace.clone().unwrap_or_default(),
        name: entry.name.clone(),
    }
}

fn entry(
    id: &str,
    place: &Place,
    child: Option<&Child>,
    before: &[AppliedResource],
) -> AppliedResource {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let status: Option<Value> =
        child.filter(|c| !c.status.is_empty()).and_then(|c| serde_json::from_str(&c.status).ok());
    let health = child.map_or(Health::Unknown, |c| c.health).as_str().to_owned();
    let old = find(before, place);
    let same = old.is_some_and(|o| o.status == status && o.health_status.as_ref() == Some(&health));
    let last_observed_time = match old {
        Some(old) if same => old.last_observed_time.clone(),
        _ => Some(now()),
    };
    AppliedResource {
        id: id.to_owned(),
        group: some(&place.gvk.group),
        version: place.gvk.version.clone(),
        kind: place.gvk.kind.clone(),
        name: place.name.clone(),
        namespace: some(&place.namespace),
        status,
        health_status: Some(health),
        last_observed_time,
    }
}
