//! A DaemonSet's status.

use k8s_openapi::api::apps::v1::DaemonSetStatus;
use kube::ResourceExt;

use super::decide::View;
use super::nodes::{Fit, by_node, fit};
use crate::controllers::pods::is_ready;

/// Counts of nodes, as they follow from the oldest pod of each.
pub(super) fn status(view: &View<'_>) -> DaemonSetStatus {
    let former = view.set.status.as_ref();
    let mut status = DaemonSetStatus {
        observed_generation: view.set.metadata.generation,
        collision_count: former.and_then(|s| s.collision_count),
        conditions: former.and_then(|s| s.conditions.clone()),
        ..DaemonSetStatus::default()
    };
    let (mut updated, mut available) = (0, 0);
    let by_node = by_node(view.pods);
    for node in view.nodes {
        let pod = by_node.get(&node.name_any()).and_then(|pods| pods.first());
        match (fit(view.set, node), pod) {
            (Fit::Wanted, pod) => {
                status.desired_number_scheduled += 1;
                let Some(pod) = pod else { continue };
                status.current_number_scheduled += 1;
                status.number_ready += i32::from(is_ready(pod));
                available += i32::from(view.is_available(pod));
                updated += i32::from(view.is_updated(pod));
            }
            (_, Some(_)) => status.number_misscheduled += 1,
            (_, None) => {}
        }
    }
    let some = |count: i32| (count > 0).then_some(count);
    status.updated_number_scheduled = some(updated);
    status.number_available = some(available);
    status.number_unavailable = some(status.desired_number_scheduled - available);
    status
}
