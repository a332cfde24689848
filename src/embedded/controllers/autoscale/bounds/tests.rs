//! Windows, policies and bounds.

use serde_json::json;

use super::*;

fn behavior(value: serde_json::Value) -> HorizontalPodAutoscalerBehavior {
    serde_json::from_value(value).expect("a behavior")
}

fn policy(kind: &str, value: i32, period: i32) -> serde_json::Value {
    json!({"type": kind, "value": value, "periodSeconds": period})
}

const RANGE: Range = Range { min: 1, max: 100, current: 10 };

#[test]
fn going_down_waits_for_the_highest_of_the_last_five_minutes() {
    let (mut memory, start) = (Memory::default(), Instant::now());
    let at = |second| start + Duration::from_secs(second);
    memory.begin(10, start);
    memory.begin(90, start);
    let held = memory.bound(2, RANGE, None, at(299));
    assert_eq!((held.replicas, held.able, held.limited), (10, HELD_UP, (false, WITHIN)));
    let down = memory.bound(2, RANGE, None, at(300));
    assert_eq!((down.replicas, down.able), (2, READY));
}

#[test]
fn without_rules_it_doubles_at_most() {
    let (mut memory, now) = (Memory::default(), Instant::now());
    let mut bound = |desired, current, max| {
        let bounded = memory.bound(desired, Range { min: 2, max, current }, None, now);
        (bounded.replicas, bounded.limited)
    };
    assert_eq!(bound(1, 2, 5), (2, (true, TOO_FEW)));
    assert_eq!(bound(9, 1, 100), (4, (true, TOO_FAST_UP)));
    assert_eq!(bound(30, 10, 100), (20, (true, TOO_FAST_UP)));
    assert_eq!(bound(30, 10, 15), (15, (true, TOO_MANY)));
}

#[test]
fn policies_limit_what_is_done_in_their_periods() {
    // "allow 4 replicas to be scaled down in one minute … at most 10% of the current replicas"
    let rules = json!({"scaleDown": {"stabilizationWindowSeconds": 0,
        "policies": [policy("Pods", 4, 60), policy("Percent", 10, 60)]}});
    let rules = behavior(rules);
    let (mut memory, start) = (Memory::default(), Instant::now());
    let mut seen = Vec::new();
    let mut current = 80;
    for minute in 0..5 {
        let now = start + Duration::from_secs(60 * minute);
        let range = Range { min: 10, max: 100, current };
        let to = memory.bound(10, range, Some(&rules), now).replicas;
        memory.changed(to - current, now);
        seen.push(to);
        current = to;
        let again = Range { current, ..range };
        let later = now + Duration::from_secs(30);
        let bounded = memory.bound(10, again, Some(&rules), later);
        assert_eq!((bounded.replicas, bounded.limited), (current, (true, TOO_FAST_DOWN)));
    }
    assert_eq!(seen, [72, 64, 57, 51, 45], "10 % are more than 4 here");
}

#[test]
fn the_policy_of_the_smallest_change_or_none_may_be_chosen() {
    let policies = json!([policy("Pods", 4, 15), policy("Percent", 100, 15)]);
    for (select, up, down) in [("Max", 20, 0), ("Min", 14, 6), ("Disabled", 10, 10)] {
        let rules =
            json!({"stabilizationWindowSeconds": 0, "selectPolicy": select, "policies": policies});
        let rules = behavior(json!({"scaleUp": rules, "scaleDown": rules}));
        let bound = |desired, min| {
            let range = Range { min, ..RANGE };
            Memory::default().bound(desired, range, Some(&rules), Instant::now()).replicas
        };
        assert_eq!((bound(50, 1), bound(0, 0)), (up, down), "{select}");
    }
    let ceiling = behavior(json!({"scaleUp": {"policies": [policy("Percent", 25, 15)]}}));
    let range = Range { min: 1, max: 100, current: 3 };
    let to = Memory::default().bound(50, range, Some(&ceiling), Instant::now()).replicas;
    assert_eq!(to, 4, "3.75 is rounded up");
}

#[test]
fn windows_hold_both_directions() {
    let rules = json!({"scaleUp": {"stabilizationWindowSeconds": 60, "policies": [policy("Pods", 99, 15)]},
        "scaleDown": {"stabilizationWindowSeconds": 60, "policies": [policy("Pods", 99, 15)]}});
    let rules = behavior(rules);
    let (mut memory, start) = (Memory::default(), Instant::now());
    let mut at = |second, desired| {
        let now = start + Duration::from_secs(second);
        let bounded = memory.bound(desired, RANGE, Some(&rules), now);
        (bounded.replicas, bounded.able)
    };
    assert_eq!(at(0, 12), (12, READY));
    assert_eq!(at(10, 20), (12, HELD_DOWN));
    assert_eq!(at(20, 5), (10, HELD_UP));
    assert_eq!(at(81, 5), (5, READY));
}
