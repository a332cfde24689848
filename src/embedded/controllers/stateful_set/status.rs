//! A StatefulSet's status.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetStatus};
use k8s_openapi::api::core::v1::Pod;

use super::identity::{replicas, revision};
use crate::controllers::pods::{is_available, is_ready, phase};

/// Counts as they follow from the pods. `current` and `update` are names of revisions.
pub(super) fn status(
    set: &StatefulSet,
    pods: &[Arc<Pod>],
    current: &str,
    update: &str,
    now: Timestamp,
) -> StatefulSetStatus {
    let min_ready = set.spec.min_ready_seconds.unwrap_or_default();
    let count = |test: &dyn Fn(&Pod) -> bool| pods.iter().filter(|pod| test(pod)).count() as i32;
    let some = |count: i32| (count > 0).then_some(count);
    let ready = |pod: &Pod| phase(pod) == "Running" && is_ready(pod);
    let stays = |pod: &Pod| pod.metadata.deletion_timestamp.is_none();
    let of = |name: &str| count(&|pod| stays(pod) && revision(pod) == name);
    let (all, ready_count, updated) = (pods.len() as i32, count(&ready), of(update));
    let wanted = replicas(set);
    let strategy = set.spec.update_strategy.as_ref().and_then(|s| s.type_.as_deref());
    let rolls = strategy.is_none_or(|kind| kind == "RollingUpdate");
    // The update is complete, so it is what is current.
    let complete = rolls && [all, ready_count, updated].iter().all(|count| *count == wanted);
    let former = set.status.as_ref();
    StatefulSetStatus {
        replicas: all,
        ready_replicas: some(ready_count),
        available_replicas: Some(count(&|pod| ready(pod) && is_available(pod, min_ready, now))),
        current_replicas: some(if complete { updated } else { of(current) }),
        updated_replicas: some(updated),
        current_revision: Some(if complete { update } else { current }.to_owned()),
        update_revision: Some(update.to_owned()),
        observed_generation: set.metadata.generation,
        collision_count: Some(former.and_then(|s| s.collision_count).unwrap_or_default()),
        conditions: former.and_then(|s| s.conditions.clone()),
    }
}
