//! Which ReplicaSet gets which size next: pure functions of the Deployment and its ReplicaSets.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use kube::ResourceExt;

use super::facts::{
    DESIRED, MAX, annotated, available, is_rolling, max_surge, max_unavailable, size, total, wanted,
};

/// A ReplicaSet and its next size.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    pub(super) set: Arc<ReplicaSet>,
    pub(super) to: i32,
}

/// The current ReplicaSet, if it exists, and the old ones, by age.
#[derive(Clone, Copy)]
pub(super) struct Sets<'a> {
    pub(super) new: Option<&'a Arc<ReplicaSet>>,
    pub(super) old: &'a [Arc<ReplicaSet>],
}

impl Sets<'_> {
    pub(super) fn all(&self) -> Vec<Arc<ReplicaSet>> {
        self.old.iter().chain(self.new).cloned().collect()
    }

    /// Those that want pods.
    fn active(&self) -> Vec<Arc<ReplicaSet>> {
        self.all().into_iter().filter(|set| size(set) > 0).collect()
    }
}

/// The size that the new ReplicaSet may have now: as far up as the surge allows.
pub(super) fn new_size(deployment: &Deployment, sets: Sets<'_>) -> i32 {
    let wanted = wanted(deployment);
    if !is_rolling(deployment) {
        return wanted;
    }
    let current = sets.new.map(|set| size(set)).unwrap_or_default();
    let others: i32 = sets.old.iter().map(|set| size(set)).sum();
    let room = wanted + max_surge(deployment) - (others + current);
    if room <= 0 { current } else { current + room.min(wanted - current).max(0) }
}

/// Whether the Deployment was scaled since its ReplicaSets were.
pub(super) fn is_scaling(deployment: &Deployment, sets: Sets<'_>) -> bool {
    sets.active()
        .iter()
        .any(|set| annotated(set, DESIRED).is_some_and(|desired| desired != wanted(deployment)))
}

/// One step of a rolling update. The new one grows first; once it has what it may have, old ones shrink.
pub(super) fn rolling(deployment: &Deployment, sets: Sets<'_>) -> Vec<Scale> {
    let Some(new) = sets.new else { return Vec::new() };
    let target = if size(new) > wanted(deployment) {
        wanted(deployment)
    } else {
        new_size(deployment, sets)
    };
    if target != size(new) {
        return vec![Scale { set: new.clone(), to: target }];
    }
    shrink_old(deployment, new, sets)
}

fn shrink_old(deployment: &Deployment, new: &Arc<ReplicaSet>, sets: Sets<'_>) -> Vec<Scale> {
    if total(sets.old) == 0 {
        return Vec::new();
    }
    let min_available = wanted(deployment) - max_unavailable(deployment);
    let new_unavailable = size(new) - available(new);
    let budget = total(&sets.all()) - min_available - new_unavailable;
    if budget <= 0 {
        return Vec::new();
    }
    let mut sizes: Vec<i32> = sets.old.iter().map(|set| size(set)).collect();
    // Pods that do not work anyway go first, whatever that does to availability.
    let mut left = budget;
    for (set, size) in sets.old.iter().zip(&mut sizes) {
        let broken = (*size - available(set)).max(0).min(left);
        *size -= broken;
        left -= broken;
    }
    // Then working ones, as far as enough stay available.
    let working: i32 = sets.all().iter().map(|set| available(set)).sum();
    let mut surplus = (working - min_available).max(0);
    for size in &mut sizes {
        let gone = (*size).min(surplus);
        *size -= gone;
        surplus -= gone;
    }
    changed(sets.old, &sizes)
}

/// All old ones to zero.
pub(super) fn stop_old(sets: Sets<'_>) -> Vec<Scale> {
    changed(sets.old, &vec![0; sets.old.len()])
}

fn changed(sets: &[Arc<ReplicaSet>], sizes: &[i32]) -> Vec<Scale> {
    sets.iter()
        .zip(sizes)
        .filter(|(set, to)| size(set) != **to)
        .map(|(set, to)| Scale { set: set.clone(), to: *to })
        .collect()
}

/// Follows a change of the wanted number while a rollout is paused or under way: all active ReplicaSets
/// change in proportion, so that the risk of the rollout stays the same.
pub(super) fn scaled(deployment: &Deployment, sets: Sets<'_>) -> Vec<Scale> {
    let wanted = wanted(deployment);
    let active = sets.active();
    let only = match active.as_slice() {
        [] => sets.new.cloned().or_else(|| sets.old.last().cloned()),
        [only] => Some(only.clone()),
        _ => None,
    };
    if let Some(only) = only {
        return if size(&only) == wanted {
            Vec::new()
        } else {
            vec![Scale { set: only, to: wanted }]
        };
    }
    if sets.new.is_some_and(|new| {
        size(new) == wanted && annotated(new, DESIRED) == Some(wanted) && available(new) == wanted
    }) {
        return stop_old(sets);
    }
    if !is_rolling(deployment) {
        return Vec::new();
    }
    proportional(deployment, active)
}

fn proportional(deployment: &Deployment, mut active: Vec<Arc<ReplicaSet>>) -> Vec<Scale> {
    let wanted = wanted(deployment);
    let allowed = if wanted > 0 { wanted + max_surge(deployment) } else { 0 };
    let to_add = allowed - total(&active);
    // The larger ones first; of equals, the newer when growing, the older when shrinking.
    active.sort_by(|a, b| {
        let age = a.creation_timestamp().map(|t| t.0).cmp(&b.creation_timestamp().map(|t| t.0));
        size(b).cmp(&size(a)).then(if to_add > 0 { age.reverse() } else { age })
    });
    let mut sizes = Vec::with_capacity(active.len());
    let mut added = 0;
    for set in &active {
        let mut share = 0;
        if to_add != 0 && size(set) != 0 {
            let fraction = fraction(deployment, set);
            let left = to_add - added;
            share = if to_add > 0 { fraction.min(left) } else { fraction.max(left) };
        }
        added += share;
        sizes.push(size(set) + share);
    }
    if let Some(first) = sizes.first_mut() {
        *first = (*first + to_add - added).max(0);
    }
    changed(&active, &sizes)
}

/// How much a ReplicaSet changes for its part, given what it was part of when it was last scaled.
fn fraction(deployment: &Deployment, set: &ReplicaSet) -> i32 {
    let wanted = wanted(deployment);
    if wanted == 0 {
        return -size(set);
    }
    let whole = f64::from(wanted + max_surge(deployment));
    let before = annotated(set, MAX)
        .filter(|max| *max > 0)
        .or_else(|| deployment.status.as_ref().and_then(|status| status.replicas))
        .filter(|max| *max > 0)
        .unwrap_or(wanted);
    (f64::from(size(set)) * whole / f64::from(before)).round() as i32 - size(set)
}

/// Old ReplicaSets beyond the history limit, oldest revision first.
pub(super) fn expired(deployment: &Deployment, old: &[Arc<ReplicaSet>]) -> Vec<Arc<ReplicaSet>> {
    let limit = deployment.spec.revision_history_limit.unwrap_or(10);
    let mut idle: Vec<Arc<ReplicaSet>> =
        old.iter().filter(|set| set.metadata.deletion_timestamp.is_none()).cloned().collect();
    let surplus = idle.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
    idle.sort_by_key(|set| super::facts::revision(set.annotations()));
    idle.into_iter()
        .take(surplus)
        .filter(|set| {
            let status = set.status.as_ref();
            size(set) == 0
                && status.is_none_or(|s| s.replicas == 0)
                && status.and_then(|s| s.observed_generation) >= set.metadata.generation
        })
        .collect()
}

#[cfg(test)]
mod tests;
