use serde_json::json;

use super::*;

fn deployment(replicas: i32, surge: i32, unavailable: i32) -> Deployment {
    serde_json::from_value(json!({"metadata":{"name":"web"},"spec":{"replicas":replicas,"selector":{},
        "revisionHistoryLimit":2,
        "strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":surge,"maxUnavailable":unavailable}},
        "template":{"spec":{"containers":[]}}}}))
    .expect("a Deployment")
}

/// A ReplicaSet of a size, with available pods, last scaled for a Deployment of `desired` (+ `max`).
fn set(name: &str, size: i32, available: i32, desired: i32, max: i32) -> Arc<ReplicaSet> {
    Arc::new(
        serde_json::from_value(json!({"metadata":{"name":name,"annotations":{DESIRED:desired.to_string(),MAX:max.to_string()}},
            "spec":{"replicas":size,"selector":{}},"status":{"replicas":size,"availableReplicas":available}}))
        .expect("a ReplicaSet"),
    )
}

fn steps(scales: Vec<Scale>) -> Vec<(String, i32)> {
    scales.into_iter().map(|scale| (scale.set.name_any(), scale.to)).collect()
}

/// Carries out steps until nothing changes, with every pod available at once; checks the promises each time.
fn run(deployment: &Deployment, mut new: Arc<ReplicaSet>, mut old: Vec<Arc<ReplicaSet>>) -> usize {
    let (surge, unavailable) = (max_surge(deployment), max_unavailable(deployment));
    for step in 0..100 {
        let sets = Sets { new: Some(&new), old: &old };
        let up: i32 = sets.all().iter().map(|s| available(s)).sum();
        assert!(total(&sets.all()) <= wanted(deployment) + surge, "too many pods");
        assert!(up >= wanted(deployment) - unavailable, "too few available pods");
        let scales = rolling(deployment, sets);
        if scales.is_empty() {
            assert_eq!((size(&new), total(&old)), (wanted(deployment), 0));
            return step;
        }
        for Scale { set: target, to } in scales {
            let replaced =
                set(&target.name_any(), to, to, wanted(deployment), wanted(deployment) + surge);
            match old.iter_mut().find(|s| s.name_any() == target.name_any()) {
                Some(place) => *place = replaced,
                None => new = replaced,
            }
        }
    }
    panic!("the rollout does not end");
}

#[test]
fn a_rolling_update_keeps_its_promises_and_ends() {
    for (replicas, surge, unavailable) in
        [(1, 1, 0), (3, 1, 0), (3, 0, 1), (10, 3, 2), (5, 5, 5), (4, 2, 1)]
    {
        let d = deployment(replicas, surge, unavailable);
        let old = vec![set("old", replicas, replicas, replicas, replicas + surge)];
        let steps = run(&d, set("new", 0, 0, replicas, replicas + surge), old);
        assert!(steps > 0, "{replicas} {surge} {unavailable}");
    }
}

#[test]
fn old_pods_stay_until_new_ones_are_available() {
    let d = deployment(3, 1, 0);
    let old = [set("old", 3, 3, 3, 4)];
    let new = set("new", 1, 0, 3, 4);
    assert_eq!(steps(rolling(&d, Sets { new: Some(&new), old: &old })), []);
    let new = set("new", 1, 1, 3, 4);
    assert_eq!(steps(rolling(&d, Sets { new: Some(&new), old: &old })), [("old".into(), 2)]);
}

#[test]
fn broken_old_pods_go_first() {
    let d = deployment(3, 1, 1);
    let old = [set("broken", 2, 0, 3, 4), set("working", 1, 1, 3, 4)];
    let new = set("new", 1, 1, 3, 4);
    assert_eq!(steps(rolling(&d, Sets { new: Some(&new), old: &old })), [("broken".into(), 0)]);
}

#[test]
fn scaling_during_a_rollout_is_proportional() {
    let d = deployment(20, 5, 0);
    let old = [set("old", 10, 10, 10, 15)];
    let new = set("new", 5, 5, 10, 15);
    let sets = Sets { new: Some(&new), old: &old };
    assert!(is_scaling(&d, sets));
    assert_eq!(steps(scaled(&d, sets)), [("old".into(), 17), ("new".into(), 8)]);
    let zero = deployment(0, 5, 0);
    assert_eq!(steps(scaled(&zero, sets)), [("old".into(), 0), ("new".into(), 0)]);
}

#[test]
fn a_single_active_set_just_follows() {
    let d = deployment(5, 1, 0);
    let old = [set("old", 0, 0, 3, 4)];
    let new = set("new", 3, 3, 3, 4);
    assert_eq!(steps(scaled(&d, Sets { new: Some(&new), old: &old })), [("new".into(), 5)]);
    let new = set("new", 5, 5, 5, 6);
    assert!(!is_scaling(&d, Sets { new: Some(&new), old: &old }));
}

#[test]
fn recreate_wants_all_at_once() {
    let mut d = deployment(3, 1, 0);
    if let Some(strategy) = d.spec.strategy.as_mut() {
        strategy.type_ = Some("Recreate".into());
        strategy.rolling_update = None;
    }
    let old = [set("old", 3, 3, 3, 3)];
    let sets = Sets { new: None, old: &old };
    assert_eq!(new_size(&d, sets), 3);
    assert_eq!(steps(stop_old(sets)), [("old".into(), 0)]);
}

#[test]
fn the_oldest_idle_revisions_expire() {
    let d = deployment(1, 1, 0);
    let idle = |revision: i64, size: i32| {
        let mut set = (*set(&format!("r{revision}"), size, 0, 1, 2)).clone();
        set.annotations_mut().insert(super::super::facts::REVISION.into(), revision.to_string());
        Arc::new(set)
    };
    let old = [idle(3, 0), idle(1, 0), idle(2, 0), idle(4, 1)];
    let names: Vec<String> = expired(&d, &old).iter().map(|s| s.name_any()).collect();
    assert_eq!(names, ["r1", "r2"]);
}
