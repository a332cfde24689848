//! What is to be done next about a StatefulSet's pods.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::identity::{is_wanted, missing_labels, ordinal, replicas, revision, start};
use crate::controllers::pods::{is_available, is_finished, phase};
use crate::controllers::share::share;

/// At most so many steps are taken at once; the changes that they make bring the set back.
const BURST: usize = 500;

/// Something to do about one pod.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Make the pod of this ordinal, of the current revision or of the update's.
    Create { ordinal: i32, updated: bool },
    /// The pod has ended and is made anew.
    Recreate(Arc<Pod>),
    /// It has lost labels that tell who it is.
    Label(Arc<Pod>, i32),
    /// It is one too many.
    Condemn(Arc<Pod>),
    /// It is of an old revision.
    Update(Arc<Pod>),
}

fn is_rolling(set: &StatefulSet) -> bool {
    let kind = set.spec.update_strategy.as_ref().and_then(|strategy| strategy.type_.as_deref());
    kind.is_none_or(|kind| kind == "RollingUpdate")
}

/// Whether pods come and go one after the other.
pub(super) fn is_ordered(set: &StatefulSet) -> bool {
    set.spec.pod_management_policy.as_deref() != Some("Parallel")
}

/// Pods below this ordinal stay at the current revision.
fn partition(set: &StatefulSet) -> i32 {
    let rolling = set.spec.update_strategy.as_ref().and_then(|s| s.rolling_update.as_ref());
    rolling.and_then(|rolling| rolling.partition).unwrap_or_default()
}

/// How many pods may be missing during an update.
fn max_unavailable(set: &StatefulSet) -> i32 {
    let rolling = set.spec.update_strategy.as_ref().and_then(|s| s.rolling_update.as_ref());
    let value = rolling.and_then(|rolling| rolling.max_unavailable.clone());
    share(&value.unwrap_or(IntOrString::Int(1)), replicas(set), false).max(1)
}

/// Whether a new pod of this ordinal is of the update's revision.
fn is_updated(set: &StatefulSet, ordinal: i32) -> bool {
    let strategy = set.spec.update_strategy.as_ref();
    let current = match strategy.and_then(|strategy| strategy.rolling_update.as_ref()) {
        _ if !is_rolling(set) => 0,
        Some(_) => partition(set),
        None => set.status.as_ref().and_then(|s| s.current_replicas).unwrap_or_default(),
    };
    ordinal >= start(set).saturating_add(current)
}

fn is_deleted(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Decides about `pods`, all that the set controls. `update` is the name of the revision of its template.
pub(super) fn decide(
    set: &StatefulSet,
    pods: &[Arc<Pod>],
    update: &str,
    now: Timestamp,
) -> Vec<Step> {
    let mut steps = Vec::new();
    if set.metadata.deletion_timestamp.is_some() {
        return steps;
    }
    let min_ready = set.spec.min_ready_seconds.unwrap_or_default();
    let is_up = |pod: &Pod| phase(pod) == "Running" && is_available(pod, min_ready, now);
    let is_healthy = |pod: &Pod| is_up(pod) && !is_deleted(pod);
    let ordered = is_ordered(set);
    let by_ordinal = |wanted: bool| {
        let pods = pods.iter().filter_map(|pod| Some((ordinal(set, pod)?, pod)));
        pods.filter(|(ordinal, _)| is_wanted(set, *ordinal) == wanted)
            .collect::<BTreeMap<i32, &Arc<Pod>>>()
    };
    let (wanted, condemned) = (by_ordinal(true), by_ordinal(false));

    // There may be a billion: only the first are looked at that are not there.
    let ordinals = start(set)..start(set).saturating_add(replicas(set));
    for ordinal in ordinals.clone() {
        if steps.len() >= BURST {
            return steps;
        }
        let Some(pod) = wanted.get(&ordinal).copied() else {
            steps.push(Step::Create { ordinal, updated: is_updated(set, ordinal) });
            if ordered {
                return steps;
            }
            continue;
        };
        if is_finished(pod) {
            if !is_deleted(pod) {
                steps.push(Step::Recreate(pod.clone()));
            }
            if ordered {
                return steps;
            }
            continue;
        }
        // Each pod waits for those before it.
        if ordered && !is_healthy(pod) {
            return steps;
        }
        if missing_labels(pod, ordinal).is_some() {
            steps.push(Step::Label(pod.clone(), ordinal));
        }
    }

    // The one that holds the others up may go before its turn.
    let first_unhealthy = condemned.iter().find(|(_, pod)| !is_healthy(pod)).map(|(o, _)| *o);
    for (ordinal, pod) in condemned.into_iter().rev() {
        if is_deleted(pod) {
            if ordered {
                return steps;
            }
            continue;
        }
        if ordered && !is_up(pod) && first_unhealthy != Some(ordinal) {
            return steps;
        }
        steps.push(Step::Condemn(pod.clone()));
        if ordered {
            return steps;
        }
    }
    if is_rolling(set) {
        let healthy = wanted.values().filter(|pod| is_healthy(pod)).count();
        let missing = ordinals.len().saturating_sub(healthy);
        let mut budget = (max_unavailable(set) as usize).saturating_sub(missing);
        for (ordinal, pod) in wanted.iter().rev() {
            let old = revision(pod) != update && !is_deleted(pod) && !is_finished(pod);
            if *ordinal < start(set).saturating_add(partition(set)) || !old {
                continue;
            }
            // One that is not there for anybody is not missed.
            if is_healthy(pod) {
                if budget == 0 {
                    continue;
                }
                budget -= 1;
            }
            steps.push(Step::Update(Arc::clone(pod)));
        }
    }
    steps.truncate(BURST);
    steps
}

#[cfg(test)]
mod tests;
