//! What a ReplicaSet needs: pure functions of it and its pods.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use crate::controllers::pods::{is_available, is_ready, missed_least_first, node};
use crate::controllers::selector::controller;

/// At most this many pods are created or deleted at once.
const BURST: usize = 500;

/// What to do about the number of pods.
#[derive(Debug)]
pub(super) enum Plan {
    Nothing,
    Create(usize),
    Delete(Vec<Arc<Pod>>),
}

/// Compares the wanted number with `pods`, the active ones it controls. `related` are the active pods of all
/// ReplicaSets with the same owner: where a pod has doubles on its node, it goes first.
pub(super) fn plan(set: &ReplicaSet, pods: &[Arc<Pod>], related: &[Arc<Pod>]) -> Plan {
    let wanted = usize::try_from(replicas(set)).unwrap_or_default();
    match pods.len().cmp(&wanted) {
        Ordering::Equal => Plan::Nothing,
        Ordering::Less => Plan::Create((wanted - pods.len()).min(BURST)),
        Ordering::Greater => {
            let surplus = (pods.len() - wanted).min(BURST);
            let mut doubles: HashMap<&str, usize> = HashMap::new();
            for pod in related {
                *doubles.entry(node(pod)).or_default() += 1;
            }
            let mut ranked: Vec<&Arc<Pod>> = pods.iter().collect();
            ranked.sort_by(|a, b| missed_least_first(a, b, &doubles));
            Plan::Delete(ranked.into_iter().take(surplus).cloned().collect())
        }
    }
}

/// Wanted replicas: one when nothing is said.
pub(super) fn replicas(set: &ReplicaSet) -> i32 {
    set.spec.replicas.unwrap_or(1)
}

/// The status that follows from the active pods. `failure` is the error of the last attempt to create or
/// delete pods, with its reason.
pub(super) fn status(
    set: &ReplicaSet,
    pods: &[Arc<Pod>],
    terminating: usize,
    failure: Option<(&str, &str)>,
    now: Timestamp,
) -> ReplicaSetStatus {
    let template = set.spec.template.as_ref().and_then(|t| t.metadata.as_ref()?.labels.as_ref());
    let min_ready = set.spec.min_ready_seconds.unwrap_or_default();
    let count = |test: &dyn Fn(&Pod) -> bool| pods.iter().filter(|pod| test(pod)).count() as i32;
    let labelled = |pod: &Pod| {
        template.is_none_or(|wanted| wanted.iter().all(|(k, v)| pod.labels().get(k) == Some(v)))
    };
    let some = |count: i32| (count > 0).then_some(count);
    let former = set.status.as_ref();
    let mut conditions: Vec<ReplicaSetCondition> =
        former.and_then(|s| s.conditions.clone()).unwrap_or_default();
    let known = conditions.iter().any(|c| c.type_.as_deref() == Some("ReplicaFailure"));
    match failure {
        Some((reason, message)) if !known => conditions.push(ReplicaSetCondition {
            type_: Some("ReplicaFailure".into()),
            status: Some("True".into()),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            last_transition_time: Some(Time(now)),
        }),
        Some(_) => {}
        None => conditions.retain(|c| c.type_.as_deref() != Some("ReplicaFailure")),
    }
    ReplicaSetStatus {
        replicas: pods.len() as i32,
        fully_labeled_replicas: some(count(&labelled)),
        ready_replicas: some(count(&is_ready)),
        available_replicas: some(count(&|pod| is_available(pod, min_ready, now))),
        terminating_replicas: Some(terminating as i32)
            .filter(|_| has_terminating(former, terminating)),
        observed_generation: set.metadata.generation,
        conditions: (!conditions.is_empty()).then_some(conditions),
    }
}

/// The count of terminating pods is written once there was one.
fn has_terminating(former: Option<&ReplicaSetStatus>, terminating: usize) -> bool {
    terminating > 0 || former.is_some_and(|s| s.terminating_replicas.is_some())
}

/// Whether two ReplicaSets belong together: the same controller, as the revisions of a Deployment have.
pub(super) fn are_related(a: &ReplicaSet, b: &ReplicaSet) -> bool {
    match (controller(&a.metadata), controller(&b.metadata)) {
        (Some(a), Some(b)) => a.uid == b.uid,
        _ => a.metadata.uid == b.metadata.uid,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controllers::pods::next_available;

    fn set(replicas: i32) -> ReplicaSet {
        serde_json::from_value(json!({"metadata":{"name":"web","uid":"u","generation":3},
            "spec":{"replicas":replicas,"minReadySeconds":10,"selector":{},"template":{"metadata":{"labels":{"a":"b"}}}}}))
        .expect("a ReplicaSet")
    }

    fn pod(name: &str, phase: &str, ready: Option<&str>, node: Option<&str>) -> Arc<Pod> {
        let conditions =
            ready.map(|since| json!([{"type":"Ready","status":"True","lastTransitionTime":since}]));
        Arc::new(
            serde_json::from_value(json!({"metadata":{"name":name,"labels":{"a":"b"}},"spec":{"containers":[],"nodeName":node},
                "status":{"phase":phase,"conditions":conditions}}))
            .expect("a Pod"),
        )
    }

    fn now() -> Timestamp {
        "2026-01-01T00:01:00Z".parse().expect("a time")
    }

    const LONG_AGO: &str = "2026-01-01T00:00:00Z";
    const JUST_NOW: &str = "2026-01-01T00:00:55Z";

    #[test]
    fn creates_what_is_missing() {
        assert!(matches!(plan(&set(3), &[pod("a", "Running", None, None)], &[]), Plan::Create(2)));
        assert!(matches!(plan(&set(1), &[pod("a", "Running", None, None)], &[]), Plan::Nothing));
        assert!(matches!(plan(&set(2000), &[], &[]), Plan::Create(500)));
    }

    #[test]
    fn deletes_what_is_missed_least_first() {
        let pods = [
            pod("oldest-ready", "Running", Some(LONG_AGO), Some("n")),
            pod("newly-ready", "Running", Some(JUST_NOW), Some("n")),
            pod("not-ready", "Running", None, Some("n")),
            pod("pending", "Pending", None, Some("n")),
            pod("unassigned", "Pending", None, None),
        ];
        let names = |wanted: i32| match plan(&set(wanted), &pods, &pods) {
            Plan::Delete(pods) => pods.iter().map(|p| p.name_any()).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(names(0), ["unassigned", "pending", "not-ready", "newly-ready", "oldest-ready"]);
        assert_eq!(names(3), ["unassigned", "pending"]);
    }

    #[test]
    fn pods_that_crowd_a_node_go_before_lonely_ones() {
        let pods = [
            pod("lonely", "Running", Some(LONG_AGO), Some("a")),
            pod("crowded", "Running", Some(LONG_AGO), Some("b")),
        ];
        let related =
            [pods[0].clone(), pods[1].clone(), pod("other", "Running", Some(LONG_AGO), Some("b"))];
        let Plan::Delete(gone) = plan(&set(1), &pods, &related) else { panic!("one too many") };
        assert_eq!(gone[0].name_any(), "crowded");
    }

    #[test]
    fn status_counts_and_keeps_the_time_of_a_failure() {
        let pods = [
            pod("a", "Running", Some(LONG_AGO), None),
            pod("b", "Running", Some(JUST_NOW), None),
            pod("c", "Pending", None, None),
        ];
        let mut set = set(3);
        let first = status(&set, &pods, 0, Some(("FailedCreate", "no")), now());
        assert_eq!(
            serde_json::to_value(&first).expect("JSON"),
            json!({"replicas":3,"fullyLabeledReplicas":3,"readyReplicas":2,"availableReplicas":1,"observedGeneration":3,
                "conditions":[{"type":"ReplicaFailure","status":"True","reason":"FailedCreate","message":"no","lastTransitionTime":"2026-01-01T00:01:00Z"}]})
        );
        set.status = Some(first.clone());
        assert_eq!(status(&set, &pods, 0, Some(("FailedCreate", "again")), now()), first);
        assert_eq!(status(&set, &pods, 0, None, now()).conditions, None);
        assert_eq!(next_available(set.spec.min_ready_seconds, &pods, now()), Some(5));
    }
}
