//! Questions about pods that several controllers ask.

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use kube::ResourceExt;

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The pod's phase; "" before it has one.
pub(super) fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default()
}

/// Neither finished nor on its way out.
pub(super) fn is_active(pod: &Pod) -> bool {
    !is_finished(pod) && pod.metadata.deletion_timestamp.is_none()
}

pub(super) fn is_finished(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

fn ready_condition(pod: &Pod) -> Option<&PodCondition> {
    pod.status.as_ref()?.conditions.as_ref()?.iter().find(|c| c.type_ == "Ready")
}

pub(super) fn is_ready(pod: &Pod) -> bool {
    ready_condition(pod).is_some_and(|condition| condition.status == "True")
}

/// Since when the pod has been ready.
pub(super) fn ready_since(pod: &Pod) -> Option<Timestamp> {
    ready_condition(pod)
        .filter(|c| c.status == "True")?
        .last_transition_time
        .as_ref()
        .map(|time| time.0)
}

/// Ready for at least `min_ready_seconds`.
pub(super) fn is_available(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> bool {
    if !is_ready(pod) {
        return false;
    }
    min_ready_seconds <= 0
        || ready_since(pod).is_some_and(|since| {
            since.as_second().saturating_add(i64::from(min_ready_seconds)) <= now.as_second()
        })
}

/// In how many seconds a ready pod becomes available; `None` when none is waiting for it.
pub(super) fn next_available(
    min_ready_seconds: Option<i32>,
    pods: &[Arc<Pod>],
    now: Timestamp,
) -> Option<u64> {
    let min_ready = i64::from(min_ready_seconds.filter(|seconds| *seconds > 0)?);
    pods.iter()
        .filter(|pod| !is_available(pod, min_ready as i32, now))
        .filter_map(|pod| ready_since(pod))
        .map(|since| (since.as_second() + min_ready - now.as_second()).max(1) as u64)
        .min()
}

/// The node that the pod is bound to; "" before it is.
pub(super) fn node(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default()
}

/// Which of two pods goes first: the one that is missed least. `doubles` says how many pods that do the same there
/// are on a node.
pub(super) fn missed_least_first(a: &Pod, b: &Pod, doubles: &HashMap<&str, usize>) -> Ordering {
    let stage = |pod: &Pod| match phase(pod) {
        "Pending" | "" => 0,
        "Unknown" => 1,
        _ => 2,
    };
    let cost = |pod: &Pod| {
        pod.annotations()
            .get(DELETION_COST)
            .and_then(|cost| cost.parse::<i32>().ok())
            .unwrap_or_default()
    };
    let crowd = |pod: &Pod| Reverse(doubles.get(node(pod)).copied().unwrap_or_default());
    let restarts = |pod: &Pod| {
        let statuses = pod.status.as_ref().and_then(|s| s.container_statuses.as_ref());
        Reverse(statuses.into_iter().flatten().map(|s| s.restart_count).max().unwrap_or_default())
    };
    let created = |pod: &Pod| Reverse(pod.metadata.creation_timestamp.as_ref().map(|t| t.0));
    (!node(a).is_empty())
        .cmp(&!node(b).is_empty())
        .then_with(|| stage(a).cmp(&stage(b)))
        .then_with(|| is_ready(a).cmp(&is_ready(b)))
        .then_with(|| cost(a).cmp(&cost(b)))
        .then_with(|| crowd(a).cmp(&crowd(b)))
        .then_with(|| Reverse(ready_since(a)).cmp(&Reverse(ready_since(b))))
        .then_with(|| restarts(a).cmp(&restarts(b)))
        .then_with(|| created(a).cmp(&created(b)))
        .then_with(|| a.metadata.name.cmp(&b.metadata.name))
}
