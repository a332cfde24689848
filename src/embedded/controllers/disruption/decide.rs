//! What a budget allows, from its pods and the number of them that there should be.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use super::super::pods::is_ready;
use super::super::share::share;

const CONDITION: &str = "DisruptionAllowed";
/// An evicted pod that is still there after so many seconds is taken to stay.
const DELETION_SECONDS: i64 = 120;

/// How many pods there should be, and how many of them healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) pods: i32,
    pub(super) healthy: i32,
}

/// Does it take what controls the pods to know how many there should be?
pub(super) fn asks_controllers(budget: &PodDisruptionBudget) -> bool {
    let Some(spec) = &budget.spec else { return false };
    spec.max_unavailable.is_some() || matches!(spec.min_available, Some(IntOrString::String(_)))
}

/// `pods` is the number of pods that there are, `scale` of those that there should be. Shares are rounded up.
pub(super) fn expected(budget: &PodDisruptionBudget, pods: usize, scale: i32) -> Expected {
    let spec = budget.spec.as_ref();
    let max_unavailable = spec.and_then(|spec| spec.max_unavailable.as_ref());
    match (max_unavailable, spec.and_then(|spec| spec.min_available.as_ref())) {
        (Some(max), _) => {
            Expected { pods: scale, healthy: (scale - share(max, scale, true)).max(0) }
        }
        (None, Some(IntOrString::Int(min))) => {
            Expected { pods: i32::try_from(pods).unwrap_or(i32::MAX), healthy: *min }
        }
        (None, Some(min)) => Expected { pods: scale, healthy: share(min, scale, true) },
        (None, None) => Expected { pods: 0, healthy: 0 },
    }
}

/// The new status, and in how many seconds to look again.
pub(super) fn status(
    budget: &PodDisruptionBudget,
    pods: &[Arc<Pod>],
    expected: &Expected,
    now: Timestamp,
) -> (PodDisruptionBudgetStatus, Option<u64>) {
    let announced = budget.status.as_ref().and_then(|status| status.disrupted_pods.as_ref());
    let left = |at: &Time| at.0.as_second() + DELETION_SECONDS - now.as_second();
    // Those that were announced to go, and have neither begun to nor had their time.
    let disrupted: BTreeMap<String, Time> = pods
        .iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
        .filter_map(|pod| announced?.get_key_value(&pod.name_any()))
        .filter(|(_, at)| left(at) >= 0)
        .map(|(name, at)| (name.clone(), at.clone()))
        .collect();
    let recheck = disrupted.values().map(left).min().map(|seconds| seconds.unsigned_abs() + 1);
    let healthy = pods
        .iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
        .filter(|pod| is_ready(pod) && !disrupted.contains_key(&pod.name_any()))
        .count();
    let current = i32::try_from(healthy).unwrap_or(i32::MAX);
    // A budget without pods allows nothing, so that it is safe when the first of them come.
    let allowed = if expected.pods <= 0 { 0 } else { (current - expected.healthy).max(0) };
    let (told, reason) =
        if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let status = PodDisruptionBudgetStatus {
        conditions: Some(conditions(budget, told, reason, "", now)),
        current_healthy: Some(current),
        desired_healthy: Some(expected.healthy),
        disrupted_pods: (!disrupted.is_empty()).then_some(disrupted),
        disruptions_allowed: Some(allowed),
        expected_pods: Some(expected.pods),
        observed_generation: budget.metadata.generation,
    };
    (status, recheck)
}

/// When it cannot be said how many pods there should be, nothing is allowed.
pub(super) fn failed(
    budget: &PodDisruptionBudget,
    why: &str,
    now: Timestamp,
) -> PodDisruptionBudgetStatus {
    let mut status = budget.status.clone().unwrap_or_default();
    status.disruptions_allowed = Some(0);
    status.observed_generation = budget.metadata.generation;
    status.conditions = Some(conditions(budget, "False", "SyncFailed", why, now));
    status
}

fn conditions(
    budget: &PodDisruptionBudget,
    told: &str,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> Vec<Condition> {
    let known = budget.status.as_ref().and_then(|status| status.conditions.clone());
    let mut all = known.unwrap_or_default();
    let new = Condition {
        last_transition_time: Time(now),
        message: message.into(),
        observed_generation: budget.metadata.generation,
        reason: reason.into(),
        status: told.into(),
        type_: CONDITION.into(),
    };
    match all.iter_mut().find(|condition| condition.type_ == CONDITION) {
        Some(old) if old.status == new.status => {
            *old = Condition { last_transition_time: old.last_transition_time.clone(), ..new };
        }
        Some(old) => *old = new,
        None => all.push(new),
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn budget(spec: Value, status: Value) -> PodDisruptionBudget {
        let budget = json!({"metadata":{"name":"web","generation":3},"spec":spec,"status":status});
        serde_json::from_value(budget).expect("a budget")
    }

    fn pod(name: &str, ready: bool) -> Arc<Pod> {
        let ready = if ready { "True" } else { "False" };
        let pod = json!({"metadata":{"name":name},"status":{"phase":"Running",
            "conditions":[{"type":"Ready","status":ready}]}});
        Arc::new(serde_json::from_value(pod).expect("a pod"))
    }

    #[test]
    fn shares_are_rounded_up() {
        for (spec, pods, scale, expected) in [
            (json!({"minAvailable":2}), 3, 0, (3, 2)),
            (json!({"minAvailable":"50%"}), 9, 7, (7, 4)),
            (json!({"maxUnavailable":1}), 9, 3, (3, 2)),
            (json!({"maxUnavailable":"30%"}), 9, 7, (7, 4)),
            (json!({"maxUnavailable":5}), 9, 3, (3, 0)),
            (json!({}), 3, 0, (0, 0)),
        ] {
            let found = expected_of(&spec, pods, scale);
            assert_eq!((found.pods, found.healthy), expected, "{spec}");
        }
    }

    fn expected_of(spec: &Value, pods: usize, scale: i32) -> Expected {
        expected(&budget(spec.clone(), json!(null)), pods, scale)
    }

    #[test]
    fn what_is_allowed_is_what_is_healthy_beyond_what_is_desired() {
        let pods = [pod("a", true), pod("b", true), pod("c", false)];
        let now = Timestamp::UNIX_EPOCH;
        let of = |spec: Value| {
            let budget = budget(spec.clone(), json!(null));
            status(&budget, &pods, &expected(&budget, pods.len(), 3), now).0
        };
        let one = of(json!({"minAvailable":1}));
        let counts = (one.current_healthy, one.desired_healthy, one.disruptions_allowed);
        assert_eq!(counts, (Some(2), Some(1), Some(1)));
        assert_eq!(one.observed_generation, Some(3));
        let reason = |status: &PodDisruptionBudgetStatus| {
            let conditions = status.conditions.clone().expect("conditions");
            format!("{} {}", conditions[0].status, conditions[0].reason)
        };
        assert_eq!(reason(&one), "True SufficientPods");
        let none = of(json!({"minAvailable":3}));
        assert_eq!(none.disruptions_allowed, Some(0));
        assert_eq!(reason(&none), "False InsufficientPods");
        assert_eq!(of(json!({})).disruptions_allowed, Some(0), "nothing is expected");
    }

    #[test]
    fn pods_that_are_about_to_go_are_not_counted_for_two_minutes() {
        let announced = json!({"currentHealthy":2,"desiredHealthy":1,"disruptionsAllowed":0,"expectedPods":2,
            "disruptedPods":{"a":"1970-01-01T00:00:00Z","gone":"1970-01-01T00:00:00Z"}});
        let budget = budget(json!({"minAvailable":1}), announced);
        let pods = [pod("a", true), pod("b", true)];
        let at = |seconds: i64| {
            let now = Timestamp::from_second(seconds).expect("a time");
            status(&budget, &pods, &expected(&budget, pods.len(), 0), now)
        };
        let (then, recheck) = at(60);
        assert_eq!((then.current_healthy, then.disruptions_allowed), (Some(1), Some(0)));
        assert_eq!(recheck, Some(61));
        assert!(then.disrupted_pods.expect("one").contains_key("a"));
        let (later, recheck) = at(121);
        assert_eq!((later.current_healthy, later.disruptions_allowed), (Some(2), Some(1)));
        assert_eq!(recheck, None);
        assert_eq!(later.disrupted_pods, None);
    }

    #[test]
    fn who_does_not_know_allows_nothing() {
        let before =
            json!({"currentHealthy":2,"desiredHealthy":1,"disruptionsAllowed":1,"expectedPods":2});
        let budget = budget(json!({"maxUnavailable":1}), before);
        let status = failed(&budget, "daemonsets.apps does not implement", Timestamp::UNIX_EPOCH);
        assert_eq!((status.disruptions_allowed, status.current_healthy), (Some(0), Some(2)));
        let condition = &status.conditions.expect("conditions")[0];
        assert_eq!(condition.reason, "SyncFailed");
    }
}
