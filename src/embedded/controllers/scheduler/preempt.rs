//! Which less important pods make way for one that finds no room.
//!
//! On a node: as few as there must be, the least important ones, and budgets are violated only if nothing else helps. Of
//! several nodes: the one where least is lost.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;

use super::case::{Case, Refusal, View, Waits, priority};
use super::load::Tenant;
use crate::controllers::key::Key;
use crate::controllers::selector::{is_empty, matches};

/// What real schedulers say of a node where nobody is less important.
const NOBODY: &str = "No preemption victims found for incoming pod";
/// What they say of a node that refuses the pod whoever else is there.
const HOPELESS: &str = "Preemption is not helpful for scheduling";
/// What a pod is marked with that makes way.
pub(super) const CONDITION: &str = "DisruptionTarget";
pub(super) const REASON: &str = "PreemptionByScheduler";

/// Who makes way, and where.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) node: String,
    /// The most important one first.
    pub(super) victims: Vec<Arc<Pod>>,
    /// How many of them a budget would have kept.
    violations: usize,
}

/// May the pod make others go?
///
/// # Errors
/// Why it may not.
pub(super) fn may(case: &Case<'_>, view: &View<'_>, refusals: &[Refusal]) -> Result<(), String> {
    if case.spec.preemption_policy.as_deref() == Some("Never") {
        return Err("not eligible due to preemptionPolicy=Never.".into());
    }
    let Some(name) = nominated(case.pod) else { return Ok(()) };
    let at = view.places.iter().position(|place| place.node.name_any() == name);
    let Some(at) = at.filter(|at| !refusals[*at].hopeless) else { return Ok(()) };
    let mine = priority(case.pod);
    let leaves = |pod: &Pod| {
        let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
        let marked = conditions.into_iter().flatten().any(|condition| {
            condition.type_ == CONDITION
                && condition.status == "True"
                && condition.reason.as_deref() == Some(REASON)
        });
        priority(pod) < mine && pod.metadata.deletion_timestamp.is_some() && marked
    };
    if view.places[at].load.pods().any(leaves) {
        return Err("not eligible due to a terminating pod on the nominated node.".into());
    }
    Ok(())
}

/// The node that others make way on for a pod.
pub(super) fn nominated(pod: &Pod) -> Option<&str> {
    let name = pod.status.as_ref()?.nominated_node_name.as_deref()?;
    (!name.is_empty()).then_some(name)
}

/// Where least is lost.
///
/// # Errors
/// For each node, why it does not help that others make way.
pub(super) fn plan(
    case: &Case<'_>,
    view: &View<'_>,
    refusals: &[Refusal],
    budgets: &[Arc<PodDisruptionBudget>],
    now: Timestamp,
) -> Result<Plan, Vec<Refusal>> {
    let (mut plans, mut failures) = (Vec::new(), Vec::new());
    for (at, refusal) in refusals.iter().enumerate() {
        let found = if refusal.hopeless {
            Err(refused(HOPELESS))
        } else {
            victims(case, view, at, budgets, now)
        };
        match found {
            Ok(plan) => plans.push(plan),
            Err(refusal) => failures.push(refusal),
        }
    }
    plans.into_iter().min_by_key(|plan| loss(plan, now)).ok_or(failures)
}

/// What is lost; of equals the first is taken.
fn loss(plan: &Plan, now: Timestamp) -> impl Ord + use<> {
    let priorities = || plan.victims.iter().map(|pod| i64::from(priority(pod)));
    let most = priorities().max().unwrap_or(i64::MIN);
    let top = plan.victims.iter().filter(|pod| i64::from(priority(pod)) == most);
    // The more of them, the worse, also below zero.
    let sum: i64 = priorities().map(|it| it - i64::from(i32::MIN)).sum();
    let youngest = Reverse(top.map(|pod| started(pod, now)).min());
    (plan.violations, most, sum, plan.victims.len(), youngest)
}

fn refused(reason: &str) -> Refusal {
    Refusal { reasons: vec![reason.to_owned()], hopeless: true, waits: Waits::default() }
}

/// Who has to leave a node.
fn victims(
    case: &Case<'_>,
    view: &View<'_>,
    at: usize,
    budgets: &[Arc<PodDisruptionBudget>],
    now: Timestamp,
) -> Result<Plan, Refusal> {
    let mut view = view.clone();
    let mine = priority(case.pod);
    let lesser = |(_, tenant): &(&Key, &Tenant)| priority(&tenant.pod) < mine;
    let tenants = view.places[at].load.tenants().filter(lesser);
    let mut lesser: Vec<(Key, Tenant)> =
        tenants.map(|(key, tenant)| (key.clone(), tenant.clone())).collect();
    if lesser.is_empty() {
        return Err(refused(NOBODY));
    }
    for (key, _) in &lesser {
        view.places[at].load.to_mut().remove(key);
    }
    view.admits(case, at)?;
    let importance = |pod: &Pod| (Reverse(priority(pod)), started(pod, now));
    lesser.sort_by_key(|(_, tenant)| importance(&tenant.pod));
    let (kept, free) = by_budget(lesser, budgets);
    let mut plan = Plan { node: view.places[at].node.name_any(), victims: vec![], violations: 0 };
    // Whoever may stay does, and those first whom a budget keeps.
    let both = kept.into_iter().map(|it| (it, 1)).chain(free.into_iter().map(|it| (it, 0)));
    for ((key, tenant), violates) in both {
        view.places[at].load.to_mut().add(key.clone(), tenant.clone());
        if view.admits(case, at).is_err() {
            view.places[at].load.to_mut().remove(&key);
            plan.victims.push(tenant.pod);
            plan.violations += violates;
        }
    }
    plan.victims.sort_by_key(|pod| importance(pod));
    Ok(plan)
}

/// One that has not begun yet has been here for the shortest time.
fn started(pod: &Pod, now: Timestamp) -> Timestamp {
    let start = pod.status.as_ref().and_then(|status| status.start_time.as_ref());
    start.map_or(now, |time| time.0)
}

type Tenants = Vec<(Key, Tenant)>;

/// Those whom a budget would keep, and the others.
fn by_budget(all: Tenants, budgets: &[Arc<PodDisruptionBudget>]) -> (Tenants, Tenants) {
    let allowed = |budget: &Arc<PodDisruptionBudget>| budget.status.as_ref()?.disruptions_allowed;
    let mut left: Vec<i32> = budgets.iter().map(|it| allowed(it).unwrap_or_default()).collect();
    all.into_iter().partition(|(_, tenant)| {
        let mut kept = false;
        for (budget, left) in budgets.iter().zip(&mut left) {
            let disrupted = budget.status.as_ref().and_then(|it| it.disrupted_pods.as_ref());
            // One that is about to go was counted when it was allowed to.
            if selects(budget, &tenant.pod)
                && !disrupted.is_some_and(|it| it.contains_key(&tenant.pod.name_any()))
            {
                *left -= 1;
                kept |= *left < 0;
            }
        }
        kept
    })
}

fn selects(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    budget.namespace() == pod.namespace()
        && !pod.labels().is_empty()
        && selector.is_some_and(|it| !is_empty(it) && matches(it, pod.metadata.labels.as_ref()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::case::tests::{World, pod};
    use super::super::needs::Needs;
    use super::*;

    fn asks(priority: i32, cpu: &str) -> Value {
        json!({"spec": {"priority": priority, "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}})
    }

    /// One of these, with the seconds since when it has run.
    fn runs(priority: i32, cpu: &str, since: i64, app: &str) -> Value {
        let mut whole = asks(priority, cpu);
        let time = Timestamp::from_second(since).expect("a time").to_string();
        whole["metadata"] = json!({"labels": {"app": app}});
        whole["status"] = json!({"startTime": time});
        whole
    }

    fn planned(
        world: &World,
        pod: &Pod,
        budgets: &[Value],
    ) -> Result<(String, Vec<String>), Vec<String>> {
        let (spec, view) = (pod.spec.as_ref().expect("a spec"), world.view());
        let needs = Needs::of(spec);
        let case = Case { pod, spec, needs: &needs, storage: &world.storage };
        let refusals: Vec<_> =
            world.asked(pod).into_iter().map(|it| it.expect_err("it is refused")).collect();
        let budget = |(at, it): (usize, &Value)| {
            let mut whole = json!({"metadata": {"namespace": "default", "name": format!("b{at}")}});
            whole
                .as_object_mut()
                .expect("an object")
                .extend(it.as_object().cloned().expect("an object"));
            Arc::new(serde_json::from_value(whole).expect("a budget"))
        };
        let budgets: Vec<_> = budgets.iter().enumerate().map(budget).collect();
        let now = Timestamp::from_second(1000).expect("a time");
        match plan(&case, &view, &refusals, &budgets, now) {
            Ok(plan) => Ok((plan.node, plan.victims.iter().map(|pod| pod.name_any()).collect())),
            Err(failures) => Err(failures.into_iter().flat_map(|it| it.reasons).collect()),
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn as_few_as_must_be_make_way_and_the_least_important() {
        let mut world = World::with(json!({"n": {}}));
        world.put(0, "old", runs(0, "500m", 1, "a"));
        world.put(0, "young", runs(0, "500m", 9, "a"));
        world.put(0, "better", runs(5, "500m", 5, "b"));
        world.put(0, "best", runs(9, "500m", 5, "b"));
        for (priority, cpu, expected) in [
            (7, "500m", Ok(&["young"][..])),
            (7, "1", Ok(&["old", "young"])),
            (7, "1500m", Ok(&["better", "old", "young"])),
            (7, "2", Err(&["Insufficient cpu"][..])),
            (5, "1500m", Err(&["Insufficient cpu"])),
            (0, "500m", Err(&[NOBODY])),
            (9, "3", Err(&[HOPELESS])),
        ] {
            let found = planned(&world, &pod(asks(priority, cpu)), &[]);
            let found = found.map(|(_, victims)| victims);
            assert_eq!(found, expected.map(names).map_err(names), "{priority} {cpu}");
        }
    }

    #[test]
    fn budgets_are_kept_as_long_as_somebody_else_can_go() {
        let mut world = World::with(json!({"n": {}}));
        world.put(0, "old", runs(0, "1", 1, "a"));
        world.put(0, "young", runs(0, "1", 9, "b"));
        let budget = |app: &str, status: Value| json!({"spec": {"selector": {"matchLabels": {"app": app}}}, "status": status});
        let none = |app: &str| budget(app, json!({"disruptionsAllowed": 0}));
        let gone =
            json!({"disruptionsAllowed": 0, "disruptedPods": {"young": "2026-01-01T00:00:00Z"}});
        let mut everybody = none("b");
        everybody["spec"]["selector"] = json!({});
        for (budgets, cpu, expected) in [
            (vec![], "1", &["young"][..]),
            (vec![none("b")], "1", &["old"]),
            (vec![none("b"), none("a")], "1", &["young"]),
            (vec![budget("b", json!({"disruptionsAllowed": 1}))], "1", &["young"]),
            (vec![budget("b", gone)], "1", &["young"]),
            (vec![everybody], "1", &["young"]),
            (vec![none("b")], "2", &["old", "young"]),
        ] {
            let found = planned(&world, &pod(asks(7, cpu)), &budgets).map(|(_, victims)| victims);
            assert_eq!(found, Ok(names(expected)), "{budgets:?}");
        }
    }

    #[test]
    fn of_several_nodes_the_one_is_taken_where_least_is_lost() {
        let spot = |nodes: &[&[Value]], budgets: &[Value]| {
            let labels = (0..nodes.len()).map(|at| (format!("n{at}"), json!({}))).collect();
            let mut world = World::with(Value::Object(labels));
            for (at, pods) in nodes.iter().enumerate() {
                for (number, pod) in pods.iter().enumerate() {
                    world.put(at, &format!("p{at}{number}"), pod.clone());
                }
            }
            planned(&world, &pod(asks(9, "2")), budgets).expect("a plan").0
        };
        let one = |priority: i32, since: i64| runs(priority, "2", since, "a");
        let half = |priority: i32| runs(priority, "1", 1, "a");
        let kept = json!({"spec": {"selector": {"matchLabels": {"app": "kept"}}}});
        assert_eq!(spot(&[&[runs(0, "2", 1, "kept")], &[one(5, 1)]], &[kept]), "n1");
        assert_eq!(spot(&[&[one(5, 1)], &[one(4, 1)]], &[]), "n1");
        assert_eq!(spot(&[&[half(5), half(4)], &[half(5), half(3)]], &[]), "n1");
        assert_eq!(spot(&[&[half(5), half(-5)], &[one(5, 1)]], &[]), "n1");
        assert_eq!(spot(&[&[one(5, 1)], &[one(5, 9)]], &[]), "n1");
        assert_eq!(spot(&[&[one(5, 1)], &[one(5, 1)]], &[]), "n0");
    }

    #[test]
    fn others_make_way_for_more_than_room() {
        let mut world = World::with(json!({"n": {"zone": "1"}}));
        let port = json!({"spec": {"containers": [{"name": "c", "ports": [{"containerPort": 1, "hostPort": 80}]}]}});
        world.put(0, "port", port.clone());
        world.put(0, "web", json!({"metadata": {"labels": {"app": "web"}}}));
        let mut alone = port;
        alone["spec"]["priority"] = 1.into();
        alone["spec"]["affinity"] = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            [{"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "web"}}}]}});
        let (_, victims) = planned(&world, &pod(alone), &[]).expect("a plan");
        assert_eq!(victims, ["port", "web"]);
    }

    #[test]
    fn who_may_not_or_need_not_makes_nobody_go() {
        let mut world = World::with(json!({"n": {}}));
        let mut leaving = runs(0, "2", 1, "a");
        leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        let mut asked = asks(7, "1");
        let said = |world: &World, asked: &Value| {
            let pod = pod(asked.clone());
            let (spec, view) = (pod.spec.as_ref().expect("a spec"), world.view());
            let needs = Needs::of(spec);
            let case = Case { pod: &pod, spec, needs: &needs, storage: &world.storage };
            let refusals: Vec<_> =
                world.asked(&pod).into_iter().map(|it| it.err().unwrap_or_default()).collect();
            may(&case, &view, &refusals).err().unwrap_or_default()
        };
        world.put(0, "leaving", leaving.clone());
        assert_eq!(said(&world, &asked), "");
        asked["status"] = json!({"nominatedNodeName": "n"});
        assert_eq!(said(&world, &asked), "", "it leaves for another reason");
        leaving["status"]["conditions"] =
            json!([{"type": CONDITION, "status": "True", "reason": REASON}]);
        world.put(0, "leaving", leaving);
        assert_eq!(
            said(&world, &asked),
            "not eligible due to a terminating pod on the nominated node."
        );
        asked["status"] = json!({"nominatedNodeName": "other"});
        assert_eq!(said(&world, &asked), "");
        asked["spec"]["preemptionPolicy"] = "Never".into();
        assert_eq!(said(&world, &asked), "not eligible due to preemptionPolicy=Never.");
    }
}
