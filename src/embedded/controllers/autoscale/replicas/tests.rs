//! The formula, and what it does where not all is known.

use serde_json::json;

use super::*;

const TENTH: Tolerance = Tolerance { up: 0.1, down: 0.1 };

fn pod(stage: Stage, used: i64) -> Facts {
    Facts { stage, used, request: 1000 }
}

fn proposed(target: Target, pods: &[Facts]) -> i32 {
    let current = pods.iter().filter(|pod| pod.stage != Stage::Ignored).count() as i32;
    propose(current, target, pods, TENTH).expect("a proposal").replicas
}

#[test]
fn the_formula_of_the_documentation() {
    use Stage::Counted;
    let average = Target::Average(100);
    // "if the current metric value is 200m, and the desired value is 100m, the number of replicas will be doubled"
    assert_eq!(proposed(average, &[pod(Counted, 200)]), 2);
    // "if the current value is instead 50m, you'll halve the number of replicas"
    assert_eq!(proposed(average, &[pod(Counted, 50), pod(Counted, 50)]), 1);
    for (used, expected) in [(110, 3), (91, 3), (90, 3), (89, 3), (66, 2), (111, 4), (134, 5)] {
        let pods = [pod(Counted, used); 3];
        assert_eq!(proposed(average, &pods), expected, "{used}");
    }
    let share = Target::Utilization(50);
    let pods = [pod(Counted, 900), pod(Counted, 700)];
    let proposal = propose(2, share, &pods, TENTH).expect("a proposal");
    assert_eq!(proposal, Proposal { replicas: 4, utilization: Some(80), average: 800 });
    let wide = Tolerance { up: 0.7, down: 0.1 };
    assert_eq!(propose(2, share, &pods, wide).expect("a proposal").replicas, 2);
}

#[test]
fn what_is_not_known_makes_steps_smaller_and_never_turns_them() {
    use Stage::{Counted, Ignored, Missing, Unready};
    let share = Target::Utilization(50);
    let up = |stage| [pod(Counted, 1000), pod(Counted, 1000), pod(stage, 0)];
    // Three times as much as the target with the unknown one at nothing: 200 % / 3 = 66 % of 50 %, times three.
    assert_eq!(proposed(share, &up(Missing)), 4);
    assert_eq!(proposed(share, &up(Unready)), 4);
    assert_eq!(propose(3, share, &up(Ignored), TENTH).expect("a proposal").replicas, 4);
    // 20 % of 50 % would be one pod; the unknown one is taken to use all that it requests.
    let down = |stage| [pod(Counted, 200), pod(Counted, 200), pod(stage, 0)];
    assert_eq!(proposed(share, &down(Missing)), 3, "46 % is within the tolerance");
    assert_eq!(proposed(share, &down(Unready)), 1, "what starts does not hold others up");
    assert_eq!(proposed(Target::Average(500), &[pod(Counted, 100), pod(Missing, 0)]), 2);
    // With the unknown ones it would go down instead of up.
    let turned = [pod(Counted, 600), pod(Missing, 0), pod(Missing, 0)];
    assert_eq!(proposed(share, &turned), 3);
    let why = propose(1, share, &[pod(Unready, 0)], TENTH).expect_err("nothing is counted");
    assert!(why.starts_with("did not receive metrics"), "{why}");
    let free = Facts { stage: Counted, used: 5, request: 0 };
    assert!(propose(1, share, &[free], TENTH).is_err());
}

#[test]
fn pods_that_start_or_end_are_looked_at_with_care() {
    let at = |second| Timestamp::from_second(second).expect("a time");
    let made = |ready: &str, changed: i64, phase: &str| -> Pod {
        let condition = json!({"type": "Ready", "status": ready, "lastTransitionTime": at(changed).to_string()});
        serde_json::from_value(json!({"metadata": {}, "status": {"phase": phase,
            "startTime": at(1000).to_string(), "conditions": [condition]}}))
        .expect("a Pod")
    };
    let used = |ended| Used { amount: 1, ended: at(ended), window: Duration::from_secs(15) };
    let seen = |pod: &Pod, ended, cpu, now| stage(pod, Some(&used(ended)), cpu, at(now));
    let ready = made("True", 1010, "Running");
    assert_eq!(seen(&ready, 1020, true, 1020), Stage::Unready, "not ready for a whole window");
    assert_eq!(seen(&ready, 1020, false, 1020), Stage::Counted, "memory counts at once");
    assert_eq!(seen(&ready, 1030, true, 1030), Stage::Counted);
    let never = made("False", 1010, "Running");
    assert_eq!(seen(&never, 2000, true, 2000), Stage::Unready, "has never been ready");
    let once = made("False", 1800, "Running");
    assert_eq!(seen(&once, 2000, true, 2000), Stage::Counted, "was ready once");
    assert_eq!(stage(&ready, None, true, at(2000)), Stage::Missing);
    assert_eq!(seen(&made("False", 1000, "Pending"), 2000, true, 2000), Stage::Unready);
    assert_eq!(seen(&made("False", 1000, "Failed"), 2000, true, 2000), Stage::Ignored);
    let empty = Pod::default();
    assert_eq!(seen(&empty, 2000, true, 2000), Stage::Unready, "nothing is known of it");
}
