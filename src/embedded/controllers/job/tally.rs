//! What a Job's pods amount to, with what its status has counted already.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;

use super::indexes::Indexes;
use super::pods::{
    FAILURES, IGNORED, has_failed, index, is_indexed, is_terminating, is_tracked, number, spec,
};
use super::policy::{Failure, failure};
use crate::controllers::pods::{is_active, is_ready, phase};

/// A Job's pods, counted.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) active: Vec<Arc<Pod>>,
    pub(super) ready: i32,
    pub(super) terminating: i32,
    pub(super) succeeded: i32,
    pub(super) failed: i32,
    /// Indexes that the status has counted as succeeded.
    pub(super) counted: Indexes,
    /// All indexes that have succeeded.
    pub(super) done: Indexes,
    /// Indexes that are given up; absent unless each has its own limit.
    pub(super) given_up: Option<Indexes>,
    /// The last failed pod of an index that waits for its replacement, which takes over its count of failures.
    pub(super) held: BTreeMap<i32, Arc<Pod>>,
}

/// Whether the status has this pod among those that are counted and not released yet.
pub(super) fn is_uncounted(list: Option<&Vec<String>>, pod: &Pod) -> bool {
    let uid = pod.metadata.uid.as_ref();
    list.into_iter().flatten().any(|known| Some(known) == uid)
}

/// Counts `pods`, all that the Job controls.
pub(super) fn tally(job: &Job, pods: &[Arc<Pod>]) -> Tally {
    let active: Vec<_> = pods.iter().filter(|pod| is_active(pod)).cloned().collect();
    let mut tally = Tally {
        ready: active.iter().filter(|pod| is_ready(pod)).count() as i32,
        terminating: pods.iter().filter(|pod| is_terminating(pod)).count() as i32,
        active,
        ..Tally::default()
    };
    let status = job.status.as_ref();
    let uncounted = status.and_then(|s| s.uncounted_terminated_pods.as_ref());
    let succeeded = uncounted.and_then(|u| u.succeeded.as_ref());
    let failed = uncounted.and_then(|u| u.failed.as_ref());
    let before = |count: Option<i32>, more: Option<&Vec<String>>| {
        count.unwrap_or_default() + more.map_or(0, |more| more.len() as i32)
    };
    tally.succeeded = before(status.and_then(|s| s.succeeded), succeeded);
    tally.failed = before(status.and_then(|s| s.failed), failed);
    // Those without the finalizer are in the status, and so are those that wait for it to go.
    let fresh = pods.iter().filter(|pod| {
        is_tracked(pod) && !is_uncounted(succeeded, pod) && !is_uncounted(failed, pod)
    });
    let indexed = is_indexed(job);
    for pod in fresh.filter(|pod| !indexed || index(job, pod).is_some()) {
        if phase(pod) == "Succeeded" {
            tally.succeeded += 1;
        } else if has_failed(job, pod) && failure(job, pod) != Failure::Ignore {
            tally.failed += 1;
        }
    }
    if indexed {
        tally.count_indexes(job, pods);
    }
    tally
}

impl Tally {
    fn count_indexes(&mut self, job: &Job, pods: &[Arc<Pod>]) {
        let completions = spec(job).completions.unwrap_or_default();
        let status = job.status.as_ref();
        let completed = status.and_then(|s| s.completed_indexes.as_deref()).unwrap_or_default();
        self.counted = Indexes::parse(completed, completions);
        self.done = self.counted.clone();
        let tracked: Vec<_> = pods
            .iter()
            .filter(|pod| is_tracked(pod))
            .filter_map(|pod| Some((index(job, pod)?, pod)))
            .collect();
        for (index, _) in tracked.iter().filter(|(_, pod)| phase(pod) == "Succeeded") {
            self.done.add(*index);
        }
        self.succeeded = self.done.total();
        let Some(limit) = spec(job).backoff_limit_per_index else { return };
        let failed = status.and_then(|s| s.failed_indexes.as_deref()).unwrap_or_default();
        let mut given_up = Indexes::parse(failed, completions);
        let failed: Vec<_> = tracked.into_iter().filter(|(_, pod)| has_failed(job, pod)).collect();
        for (index, pod) in &failed {
            let gone = match failure(job, pod) {
                Failure::FailIndex => true,
                Failure::Ignore => false,
                Failure::Count | Failure::FailJob(_) => number(pod, FAILURES) >= limit,
            };
            if gone {
                given_up.add(*index);
            }
        }
        let replaced: Vec<i32> = self.active.iter().filter_map(|pod| index(job, pod)).collect();
        let attempts = |pod: &Pod| number(pod, FAILURES) + number(pod, IGNORED);
        for (index, pod) in failed {
            let settled = given_up.has(index) || self.done.has(index) || replaced.contains(&index);
            let later = |held: &Arc<Pod>| attempts(held) > attempts(pod);
            if !settled && !self.held.get(&index).is_some_and(later) {
                self.held.insert(index, pod.clone());
            }
        }
        self.given_up = Some(given_up);
    }
}
