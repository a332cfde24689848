//! What becomes of a pod that waits for a node, and in which words it is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;

use super::case::{Case, Refusal, View, Waits};
use super::claims::Volumes;
use super::preempt::{self, Plan};

/// What to do with a pod.
#[derive(Debug)]
pub(super) enum Decision {
    /// Put it onto this node.
    Bind(String),
    /// First let these claims have their volumes on this node.
    Provision(Vec<Arc<PersistentVolumeClaim>>, String),
    /// Let it wait.
    Wait(Verdict),
}

/// Why a pod waits.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) message: String,
    pub(super) nomination: Nomination,
    pub(super) waits: Waits,
}

/// Whether others make way for a pod that waits.
#[derive(Debug)]
pub(super) enum Nomination {
    /// As before.
    Keep,
    /// Nobody does, or will.
    Clear,
    /// These will.
    Make(Plan),
}

/// Decides about a pod; `barred` is why it may run on no node at all.
pub(super) fn decide(
    case: &Case<'_>,
    view: &View<'_>,
    barred: Option<&str>,
    budgets: impl Fn() -> Vec<Arc<PodDisruptionBudget>>,
    now: Timestamp,
) -> Decision {
    let count = view.places.len();
    if count == 0 {
        let message = "no nodes available to schedule pods".to_owned();
        let (nomination, waits) = (Nomination::Keep, Waits::default());
        return Decision::Wait(Verdict { message, nomination, waits });
    }
    let mut refusals = Vec::new();
    for (at, place) in view.places.iter().enumerate() {
        if barred.is_some() {
            refusals.push(Refusal { hopeless: true, ..Refusal::default() });
            continue;
        }
        match view.admits(case, at) {
            Ok(Volumes::Ready) => return Decision::Bind(place.node.name_any()),
            Ok(Volumes::Wanted(claims)) => {
                return Decision::Provision(claims, place.node.name_any());
            }
            Err(refusal) => refusals.push(refusal),
        }
    }
    let waits = refusals.iter().fold(Waits::default(), |all, it| all.and(it.waits));
    let mut message = match barred {
        Some(reason) => format!("0/{count} nodes are available: {reason}."),
        None => counted(count, &refusals),
    };
    let found = match preempt::may(case, view, &refusals) {
        Err(why) => Err((why, Nomination::Keep)),
        Ok(()) => preempt::plan(case, view, &refusals, &budgets(), now)
            .map_err(|failures| (counted(count, &failures), Nomination::Clear)),
    };
    let nomination = match found {
        Ok(plan) => Nomination::Make(plan),
        Err((why, nomination)) => {
            message.push_str(" preemption: ");
            message.push_str(&why);
            nomination
        }
    };
    Decision::Wait(Verdict { message, nomination, waits })
}

/// How many nodes say what.
fn counted(nodes: usize, refusals: &[Refusal]) -> String {
    let mut counts = BTreeMap::<&str, usize>::new();
    for reason in refusals.iter().flat_map(|refusal| &refusal.reasons) {
        *counts.entry(reason).or_default() += 1;
    }
    let mut lines: Vec<String> =
        counts.into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    lines.sort();
    format!("0/{nodes} nodes are available: {}.", lines.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::case::tests::{World, pod};
    use super::super::needs::Needs;
    use super::*;

    fn decided(world: &World, pod: Value, barred: Option<&str>) -> Decision {
        let pod = self::pod(pod);
        let (spec, view) = (pod.spec.as_ref().expect("a spec"), world.view());
        let needs = Needs::of(spec);
        let case = Case { pod: &pod, spec, needs: &needs, storage: &world.storage };
        decide(&case, &view, barred, Vec::new, Timestamp::UNIX_EPOCH)
    }

    fn told(world: &World, pod: Value, barred: Option<&str>) -> String {
        match decided(world, pod, barred) {
            Decision::Wait(verdict) => verdict.message,
            other => format!("{other:?}"),
        }
    }

    fn asks(priority: i32, requests: Value) -> Value {
        json!({"spec": {"priority": priority, "containers": [{"name": "c", "resources": {"requests": requests}}]}})
    }

    #[test]
    fn reasons_are_counted_sorted_and_joined() {
        let mut world = World::with(json!({"a": {}, "b": {}, "c": {}}));
        for at in [0, 1] {
            world.put(at, "full", asks(0, json!({"cpu": "2"})));
        }
        world.node(2).spec =
            serde_json::from_value(json!({"unschedulable": true})).expect("a NodeSpec");
        let none = "No preemption victims found for incoming pod";
        let useless = "Preemption is not helpful for scheduling";
        for (asked, barred, expected) in [
            (
                asks(0, json!({"cpu": "1"})),
                None,
                format!(
                    "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu. preemption: 0/3 nodes are available: 1 {useless}, 2 {none}."
                ),
            ),
            (
                asks(0, json!({"cpu": "1", "memory": "1Ti"})),
                None,
                format!(
                    "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu, 2 Insufficient memory. preemption: 0/3 nodes are available: 3 {useless}."
                ),
            ),
            (
                asks(9, json!({"cpu": "1"})),
                None,
                "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu.".into(),
            ),
            (
                asks(9, json!({})),
                Some("persistentvolumeclaim \"data\" not found"),
                format!(
                    "0/3 nodes are available: persistentvolumeclaim \"data\" not found. preemption: 0/3 nodes are available: 3 {useless}."
                ),
            ),
        ] {
            assert_eq!(told(&world, asked.clone(), barred), expected, "{asked}");
        }
        let mut never = asks(9, json!({"cpu": "1"}));
        never["spec"]["preemptionPolicy"] = "Never".into();
        let why = " preemption: not eligible due to preemptionPolicy=Never.";
        assert!(told(&world, never, None).ends_with(why));
        assert_eq!(
            told(&World::with(json!({})), asks(9, json!({})), None),
            "no nodes available to schedule pods"
        );
    }

    #[test]
    fn a_pod_goes_where_it_can_or_waits_for_what_may_change() {
        let mut world = World::with(json!({"a": {}, "b": {}}));
        world.put(0, "full", asks(0, json!({"cpu": "2"})));
        let asked = asks(5, json!({"cpu": "1"}));
        assert!(
            matches!(decided(&world, asked.clone(), None), Decision::Bind(node) if node == "b")
        );
        world.put(1, "full", asks(7, json!({"cpu": "2"})));
        let Decision::Wait(verdict) = decided(&world, asked.clone(), None) else {
            panic!("it is full")
        };
        assert_eq!(verdict.waits, Waits { room: true, company: false });
        let Nomination::Make(plan) = verdict.nomination else { panic!("one is less important") };
        assert_eq!((plan.node.as_str(), plan.victims.len()), ("a", 1));
        let clears = |asked: Value| {
            let Decision::Wait(verdict) = decided(&world, asked, None) else {
                panic!("it is full")
            };
            matches!(verdict.nomination, Nomination::Clear)
        };
        assert!(clears(asks(0, json!({"cpu": "1"}))));
        let mut never = asked;
        never["spec"]["preemptionPolicy"] = "Never".into();
        assert!(!clears(never));
    }
}
