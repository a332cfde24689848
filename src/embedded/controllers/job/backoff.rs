//! How long a Job waits before it replaces a failed pod: ten seconds, doubled with each failure in a row, at most
//! ten minutes.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;

use super::pods::{finish_time, has_failed, is_tracked};
use crate::controllers::pods::phase;

const FIRST: u64 = 10;
const LAST: u64 = 600;

/// What is left to wait after so many failures, the last at `since`.
pub(super) fn left(failures: u32, since: Timestamp, now: Timestamp) -> Option<Duration> {
    let wait = FIRST.saturating_mul(1 << failures.checked_sub(1)?.min(16)).min(LAST);
    let until = Timestamp::from_millisecond(since.as_millisecond() + wait as i64 * 1000).ok()?;
    Duration::try_from(until.duration_since(now)).ok().filter(|left| !left.is_zero())
}

/// What is left to wait by the failures after the last success.
pub(super) fn of_job(job: &Job, pods: &[Arc<Pod>], now: Timestamp) -> Option<Duration> {
    let last = |ended: &dyn Fn(&Pod) -> bool| {
        pods.iter().filter(|pod| ended(pod)).filter_map(|pod| finish_time(pod)).max()
    };
    let success = last(&|pod| phase(pod) == "Succeeded");
    // One that was deleted to have fewer is not tracked any more, and did not fail.
    let failed = |pod: &Pod| has_failed(job, pod) && (phase(pod) == "Failed" || is_tracked(pod));
    let since = last(&failed)?;
    let in_a_row = pods.iter().filter(|pod| failed(pod) && finish_time(pod) > success).count();
    left(u32::try_from(in_a_row).unwrap_or(u32::MAX), since, now)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn waits_double_and_end() {
        for (failures, now, expected) in [
            (0, 0, None),
            (1, 0, Some(10)),
            (1, 4, Some(6)),
            (1, 10, None),
            (3, 0, Some(40)),
            (9, 100, Some(500)),
            (u32::MAX, 0, Some(600)),
        ] {
            let expected = expected.map(Duration::from_secs);
            assert_eq!(left(failures, at(0), at(now)), expected, "{failures} at {now}");
        }
    }

    #[test]
    fn a_success_ends_the_row() {
        let job: Job = serde_json::from_value(json!({"spec":{"template":{}}})).expect("a Job");
        let pod = |phase: &str, second: i64| -> Arc<Pod> {
            let state = json!({"terminated":{"exitCode":0,"finishedAt":at(second).to_string()}});
            let container = json!({"name":"c","ready":false,"restartCount":0,"image":"","imageID":"","state":state});
            let pod = json!({"status":{"phase":phase,"containerStatuses":[container]}});
            Arc::new(serde_json::from_value(pod).expect("a Pod"))
        };
        let mut pods = vec![pod("Failed", 1), pod("Failed", 2)];
        assert_eq!(of_job(&job, &pods, at(2)), Some(Duration::from_secs(20)));
        pods.push(pod("Succeeded", 3));
        assert_eq!(of_job(&job, &pods, at(3)), None);
        pods.push(pod("Failed", 4));
        assert_eq!(of_job(&job, &pods, at(4)), Some(Duration::from_secs(10)));
    }
}
