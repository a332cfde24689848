//! A Deployment's status and conditions.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::facts::{max_unavailable, wanted};
use super::rollout::Sets;

const AVAILABLE: &str = "Available";
const PROGRESSING: &str = "Progressing";
const FAILURE: &str = "ReplicaFailure";
const COMPLETE: &str = "NewReplicaSetAvailable";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";
/// A deadline that nobody meant: "for ever".
const NO_DEADLINE: i32 = i32::MAX;

/// Something that happened in this reconciliation and belongs in the Progressing condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    None,
    Created,
    Found,
    Paused,
    Resumed,
}

/// Counts and conditions as they follow from the ReplicaSets.
pub(super) fn compute(
    deployment: &Deployment,
    sets: Sets<'_>,
    collisions: Option<i32>,
    step: Step,
    syncing: bool,
    now: Timestamp,
) -> DeploymentStatus {
    let all = sets.all();
    let sum =
        |f: &dyn Fn(&ReplicaSet) -> Option<i32>| all.iter().filter_map(|set| f(set)).sum::<i32>();
    let some = |n: i32| (n != 0).then_some(n);
    let replicas = sum(&|set| set.status.as_ref().map(|s| s.replicas));
    let available = sum(&|set| set.status.as_ref()?.available_replicas);
    let ready = sum(&|set| set.status.as_ref()?.ready_replicas);
    let terminating: Vec<i32> =
        all.iter().filter_map(|set| set.status.as_ref()?.terminating_replicas).collect();
    let updated =
        sets.new.and_then(|set| set.status.as_ref()).map(|s| s.replicas).unwrap_or_default();
    let former = deployment.status.clone().unwrap_or_default();
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: some(replicas),
        updated_replicas: some(updated),
        ready_replicas: some(ready),
        available_replicas: some(available),
        unavailable_replicas: some((wanted_total(sets) - available).max(0)),
        terminating_replicas: (!terminating.is_empty()).then(|| terminating.iter().sum()),
        collision_count: collisions,
        conditions: former.conditions.clone(),
    };
    let mut conditions = Conditions { list: status.conditions.take().unwrap_or_default(), now };
    if available >= wanted(deployment) - max_unavailable(deployment) {
        conditions.set(
            AVAILABLE,
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        );
    } else {
        let message = "Deployment does not have minimum availability.";
        conditions.set(AVAILABLE, "False", "MinimumReplicasUnavailable", message);
    }
    match deadline(deployment) {
        None => conditions.list.retain(|c| c.type_.as_deref() != Some(PROGRESSING)),
        Some(seconds) => {
            progress(deployment, sets, &former, &status, &mut conditions, step, syncing, seconds);
        }
    }
    let failure = all.iter().rev().find_map(|set| {
        let conditions = set.status.as_ref()?.conditions.as_ref()?;
        conditions.iter().find(|c| c.type_.as_deref() == Some(FAILURE)).cloned()
    });
    match failure {
        Some(failure) => conditions.set(
            FAILURE,
            failure.status.as_deref().unwrap_or_default(),
            failure.reason.as_deref().unwrap_or_default(),
            failure.message.as_deref().unwrap_or_default(),
        ),
        None => conditions.list.retain(|c| c.type_.as_deref() != Some(FAILURE)),
    }
    status.conditions = (!conditions.list.is_empty()).then_some(conditions.list);
    status
}

fn wanted_total(sets: Sets<'_>) -> i32 {
    super::facts::total(&sets.all())
}

/// The progress deadline in seconds, if there is one.
pub(super) fn deadline(deployment: &Deployment) -> Option<i32> {
    let seconds = deployment.spec.progress_deadline_seconds.unwrap_or(600);
    (seconds != NO_DEADLINE).then_some(seconds)
}

#[allow(clippy::too_many_arguments)] // one decision over everything a rollout knows
fn progress(
    deployment: &Deployment,
    sets: Sets<'_>,
    former: &DeploymentStatus,
    status: &DeploymentStatus,
    conditions: &mut Conditions,
    step: Step,
    syncing: bool,
    deadline: i32,
) {
    let name = sets.new.map(|set| set.name_any());
    let subject = match &name {
        Some(name) => format!("ReplicaSet {name:?}"),
        None => format!("Deployment {:?}", deployment.name_any()),
    };
    match step {
        Step::Paused => {
            return conditions.set(
                PROGRESSING,
                "Unknown",
                "DeploymentPaused",
                "Deployment is paused",
            );
        }
        Step::Resumed => {
            conditions.set(PROGRESSING, "Unknown", "DeploymentResumed", "Deployment is resumed");
        }
        Step::Created => {
            let message = format!("Created new replica set {:?}", name.clone().unwrap_or_default());
            conditions.set(PROGRESSING, "True", "NewReplicaSetCreated", &message);
        }
        Step::Found => {
            let message = format!("Found new replica set {:?}", name.clone().unwrap_or_default());
            conditions.set(PROGRESSING, "True", "FoundNewReplicaSet", &message);
        }
        Step::None => {}
    }
    if syncing {
        return;
    }
    let current = conditions.get(PROGRESSING).cloned();
    let reason = current.as_ref().and_then(|c| c.reason.as_deref());
    let was_complete = reason == Some(COMPLETE);
    if status.replicas == status.updated_replicas && was_complete {
        return;
    }
    if is_complete(deployment, status) {
        let message = format!("{subject} has successfully progressed.");
        conditions.set(PROGRESSING, "True", COMPLETE, &message);
    } else if is_progressing(former, status) {
        conditions.advance(&format!("{subject} is progressing."));
    } else if reason == Some(TIMED_OUT)
        || (!was_complete && current.is_some_and(|c| conditions.is_older(&c, deadline)))
    {
        let message = format!("{subject} has timed out progressing.");
        conditions.set(PROGRESSING, "False", TIMED_OUT, &message);
    }
}

/// Every pod is new and available.
pub(super) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = Some(wanted(deployment)).filter(|n| *n != 0);
    status.updated_replicas == wanted
        && status.replicas == wanted
        && status.available_replicas == wanted
        && status.observed_generation >= deployment.metadata.generation
}

fn is_progressing(former: &DeploymentStatus, status: &DeploymentStatus) -> bool {
    let n = |value: Option<i32>| value.unwrap_or_default();
    let old = |status: &DeploymentStatus| n(status.replicas) - n(status.updated_replicas);
    n(status.updated_replicas) > n(former.updated_replicas)
        || old(status) < old(former)
        || n(status.ready_replicas) > n(former.ready_replicas)
        || n(status.available_replicas) > n(former.available_replicas)
}

/// In how many seconds the deadline passes; `None` when nothing waits for it.
pub(super) fn seconds_left(
    deployment: &Deployment,
    status: &DeploymentStatus,
    now: Timestamp,
) -> Option<u64> {
    let deadline = i64::from(deadline(deployment)?);
    if is_complete(deployment, status) {
        return None;
    }
    let condition =
        status.conditions.as_ref()?.iter().find(|c| c.type_.as_deref() == Some(PROGRESSING))?;
    if matches!(condition.reason.as_deref(), Some(COMPLETE | TIMED_OUT | "DeploymentPaused")) {
        return None;
    }
    let since = condition.last_update_time.as_ref()?.0.as_second();
    Some((since + deadline + 1 - now.as_second()).max(1) as u64)
}

/// Whether the Progressing condition says that the Deployment is paused.
pub(super) fn says_paused(deployment: &Deployment) -> bool {
    let conditions = deployment.status.as_ref().and_then(|s| s.conditions.as_ref());
    conditions.into_iter().flatten().any(|c| {
        c.type_.as_deref() == Some(PROGRESSING) && c.reason.as_deref() == Some("DeploymentPaused")
    })
}

/// Whether there is a Progressing condition yet.
pub(super) fn has_progress(deployment: &Deployment) -> bool {
    let conditions = deployment.status.as_ref().and_then(|s| s.conditions.as_ref());
    conditions.into_iter().flatten().any(|c| c.type_.as_deref() == Some(PROGRESSING))
}

struct Conditions {
    list: Vec<DeploymentCondition>,
    now: Timestamp,
}

impl Conditions {
    fn get(&self, kind: &str) -> Option<&DeploymentCondition> {
        self.list.iter().find(|c| c.type_.as_deref() == Some(kind))
    }

    /// Sets a condition; nothing happens when it has this status and reason already.
    fn set(&mut self, kind: &str, status: &str, reason: &str, message: &str) {
        let former = self.get(kind);
        if former.is_some_and(|c| {
            c.status.as_deref() == Some(status) && c.reason.as_deref() == Some(reason)
        }) {
            return;
        }
        let transition = former
            .filter(|c| c.status.as_deref() == Some(status))
            .and_then(|c| c.last_transition_time.clone());
        self.replace(kind, status, reason, message, transition);
    }

    /// The rollout moved: the time of the update counts against the deadline.
    fn advance(&mut self, message: &str) {
        let former = self.get(PROGRESSING).filter(|c| c.status.as_deref() == Some("True"));
        let transition = former.and_then(|c| c.last_transition_time.clone());
        self.replace(PROGRESSING, "True", "ReplicaSetUpdated", message, transition);
    }

    fn replace(
        &mut self,
        kind: &str,
        status: &str,
        reason: &str,
        message: &str,
        transition: Option<Time>,
    ) {
        let now = Time(self.now);
        self.list.retain(|c| c.type_.as_deref() != Some(kind));
        self.list.push(DeploymentCondition {
            type_: Some(kind.to_owned()),
            status: Some(status.to_owned()),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            last_transition_time: Some(transition.unwrap_or_else(|| now.clone())),
            last_update_time: Some(now),
        });
    }

    fn is_older(&self, condition: &DeploymentCondition, seconds: i32) -> bool {
        let since = condition.last_update_time.as_ref().map(|time| time.0.as_second());
        since.is_some_and(|since| since + i64::from(seconds) < self.now.as_second())
    }
}

/// Equal but for the order of conditions.
pub(super) fn same(a: Option<&DeploymentStatus>, b: &DeploymentStatus) -> bool {
    let sorted = |status: &DeploymentStatus| {
        let mut status = status.clone();
        if let Some(conditions) = &mut status.conditions {
            conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
        }
        status
    };
    a.is_some_and(|a| sorted(a) == sorted(b))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    const T0: &str = "2026-01-01T00:00:00Z";

    fn at(seconds: i64) -> Timestamp {
        let start: Timestamp = T0.parse().expect("a time");
        Timestamp::from_second(start.as_second() + seconds).expect("a time")
    }

    fn deployment() -> Deployment {
        serde_json::from_value(
            json!({"metadata":{"name":"web","generation":1},"spec":{"replicas":2,"selector":{},
            "progressDeadlineSeconds":10,"template":{"spec":{"containers":[]}}}}),
        )
        .expect("a Deployment")
    }

    fn set(replicas: i32, available: i32) -> Arc<ReplicaSet> {
        Arc::new(
            serde_json::from_value(json!({"metadata":{"name":"web-1"},"spec":{"replicas":2,"selector":{}},
                "status":{"replicas":replicas,"readyReplicas":available,"availableReplicas":available}}))
            .expect("a ReplicaSet"),
        )
    }

    fn condition<'s>(status: &'s DeploymentStatus, kind: &str) -> (&'s str, &'s str) {
        let list = status.conditions.as_ref().expect("conditions");
        let c = list.iter().find(|c| c.type_.as_deref() == Some(kind)).expect("the condition");
        (c.status.as_deref().unwrap_or_default(), c.reason.as_deref().unwrap_or_default())
    }

    #[test]
    fn a_rollout_progresses_and_completes() {
        let mut d = deployment();
        for (step, replicas, available, seconds, expected) in [
            (Step::Created, 0, 0, 0, ("True", "NewReplicaSetCreated")),
            (Step::None, 2, 0, 1, ("True", "ReplicaSetUpdated")),
            (Step::None, 2, 1, 2, ("True", "ReplicaSetUpdated")),
            (Step::None, 2, 2, 3, ("True", "NewReplicaSetAvailable")),
            (Step::None, 2, 1, 60, ("True", "NewReplicaSetAvailable")),
        ] {
            let new = set(replicas, available);
            let status =
                compute(&d, Sets { new: Some(&new), old: &[] }, None, step, false, at(seconds));
            assert_eq!(condition(&status, "Progressing"), expected, "at {seconds}");
            d.status = Some(status);
        }
        assert_eq!(condition(d.status.as_ref().expect("status"), "Available").0, "False");
    }

    #[test]
    fn a_stuck_rollout_misses_its_deadline_once() {
        let mut d = deployment();
        let new = set(2, 0);
        let sets = Sets { new: Some(&new), old: &[] };
        d.status = Some(compute(&d, sets, None, Step::Created, false, at(0)));
        let status = d.status.clone().expect("status");
        assert_eq!(seconds_left(&d, &status, at(3)), Some(8));
        d.status = Some(compute(&d, sets, None, Step::None, false, at(10)));
        assert_eq!(
            condition(d.status.as_ref().expect("status"), "Progressing").1,
            "ReplicaSetUpdated"
        );
        d.status = Some(compute(&d, sets, None, Step::None, false, at(21)));
        let late = d.status.clone().expect("status");
        assert_eq!(condition(&late, "Progressing"), ("False", "ProgressDeadlineExceeded"));
        assert_eq!(seconds_left(&d, &late, at(21)), None);
        assert!(same(Some(&late), &compute(&d, sets, None, Step::None, false, at(99))));
    }

    #[test]
    fn availability_counts_against_the_wanted_number() {
        let d = deployment();
        let new = set(2, 2);
        let status =
            compute(&d, Sets { new: Some(&new), old: &[] }, None, Step::None, false, at(0));
        assert_eq!(condition(&status, "Available"), ("True", "MinimumReplicasAvailable"));
        assert_eq!((status.replicas, status.unavailable_replicas), (Some(2), None));
    }
}
