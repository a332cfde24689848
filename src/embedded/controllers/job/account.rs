//! A Job's status. Every pod is counted once: its uid goes into the status, then its finalizer goes, then the uid
//! becomes a number. Whoever is interrupted in between goes on where the status and the finalizers say.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::pods::{has_failed, index, is_indexed, is_suspended, is_tracked};
use super::policy::{Failure, failure};
use super::tally::{Tally, is_uncounted};
use super::verdict::{Verdict, condition};
use crate::controllers::pods::phase;

/// At most so many pods are counted at a time.
const AT_ONCE: usize = 500;

/// What the status is to be, and the pods whose finalizers go once it is written.
pub(super) struct Account {
    pub(super) status: JobStatus,
    pub(super) release: Vec<Arc<Pod>>,
    /// More pods are to be counted than are at a time.
    pub(super) more: bool,
}

/// Takes the pods that have ended into the status. `verdict` is there once no pod is active any more.
pub(super) fn account(
    job: &Job,
    pods: &[Arc<Pod>],
    tally: &Tally,
    verdict: Option<&Verdict>,
    now: Timestamp,
) -> Account {
    let mut status = job.status.clone().unwrap_or_default();
    status.active = Some(tally.active.len() as i32).filter(|count| *count > 0);
    status.ready = Some(tally.ready);
    status.terminating = Some(tally.terminating);
    clear(&mut status, pods);
    let mut done = tally.counted.clone();
    let (mut release, mut more) = (Vec::new(), false);
    let indexed = is_indexed(job);
    let succeeds = verdict.is_some_and(|verdict| verdict.success);
    let fails = verdict.is_some_and(|verdict| !verdict.success);
    for pod in pods.iter().filter(|pod| is_tracked(pod)) {
        let ended_well = phase(pod) == "Succeeded";
        // Pods that a successful Job does not need any more have not failed, and all that a failed one had have.
        let failed = if succeeds { phase(pod) == "Failed" } else { fails || has_failed(job, pod) };
        if !may_go(job, tally, pod, verdict.is_some(), ended_well, failed) {
            continue;
        }
        if release.len() >= AT_ONCE {
            more = true;
            break;
        }
        release.push(pod.clone());
        let uncounted = status.uncounted_terminated_pods.get_or_insert_default();
        let index = index(job, pod);
        if is_uncounted(uncounted.succeeded.as_ref(), pod)
            || is_uncounted(uncounted.failed.as_ref(), pod)
            || (indexed && index.is_none())
        {
            continue;
        }
        let uid = pod.metadata.uid.clone();
        if ended_well {
            match index.filter(|_| indexed) {
                Some(index) => done.add(index),
                None => uncounted.succeeded.get_or_insert_default().extend(uid),
            }
        } else if failed && failure(job, pod) != Failure::Ignore {
            uncounted.failed.get_or_insert_default().extend(uid);
        }
    }
    if indexed {
        status.succeeded = Some(done.total()).filter(|count| *count > 0);
        status.completed_indexes = Some(done.to_string()).filter(|text| !text.is_empty());
        status.failed_indexes = tally.given_up.as_ref().map(ToString::to_string);
    }
    if let Some(verdict) = verdict {
        let (reason, message) = (&verdict.reason, &verdict.message);
        set_condition(&mut status, verdict.target(), true, reason, message, now);
    }
    Account { status, release, more }
}

/// Whether a pod's finalizer may go once the pod is counted.
fn may_go(
    job: &Job,
    tally: &Tally,
    pod: &Arc<Pod>,
    ends: bool,
    succeeded: bool,
    failed: bool,
) -> bool {
    let held = || {
        let held = index(job, pod).and_then(|index| tally.held.get(&index));
        held.is_some_and(|held| held.metadata.uid == pod.metadata.uid)
    };
    job.metadata.deletion_timestamp.is_some() || ends || succeeded || (failed && !held())
}

/// Turns the uids of pods whose finalizers have gone into numbers. `pods` are those that there are.
pub(super) fn clear(status: &mut JobStatus, pods: &[Arc<Pod>]) {
    let tracked: HashSet<&str> = pods
        .iter()
        .filter(|pod| is_tracked(pod))
        .filter_map(|pod| pod.metadata.uid.as_deref())
        .collect();
    let uncounted = status.uncounted_terminated_pods.get_or_insert_default();
    let clear = |list: &mut Option<Vec<String>>, count: &mut Option<i32>| {
        let Some(uids) = list else { return };
        let before = uids.len();
        uids.retain(|uid| tracked.contains(uid.as_str()));
        let gone = (before - uids.len()) as i32;
        if gone > 0 {
            *count = Some(count.unwrap_or_default() + gone);
        }
        if uids.is_empty() {
            *list = None;
        }
    };
    clear(&mut uncounted.succeeded, &mut status.succeeded);
    clear(&mut uncounted.failed, &mut status.failed);
}

/// Says that the Job has ended, once every pod is counted and gone.
pub(super) fn finish(status: &mut JobStatus, verdict: &Verdict, now: Timestamp) -> bool {
    let uncounted = status.uncounted_terminated_pods.get_or_insert_default();
    let open = uncounted.succeeded.is_some() || uncounted.failed.is_some();
    if open || status.terminating.unwrap_or_default() > 0 {
        return false;
    }
    set_condition(status, verdict.end(), true, &verdict.reason, &verdict.message, now);
    if verdict.success {
        status.completion_time = Some(Time(now));
    }
    true
}

/// Says since when the Job may be active. One that goes on after it was suspended begins anew.
pub(super) fn start(job: &mut Job, now: Timestamp) {
    if is_suspended(job) {
        return;
    }
    let resumes = condition(job, "Suspended").is_some();
    let start = &mut job.status.get_or_insert_default().start_time;
    if resumes || start.is_none() {
        *start = Some(Time(now));
    }
}

/// Says whether the Job is suspended; `true` when that is news. A suspended one has not started.
pub(super) fn suspend(job: &Job, status: &mut JobStatus, now: Timestamp) -> bool {
    let suspended = is_suspended(job);
    let changed = if suspended {
        set_condition(status, "Suspended", true, "JobSuspended", "Job suspended", now)
    } else {
        let known = status.conditions.iter().flatten().any(|c| c.type_ == "Suspended");
        known && set_condition(status, "Suspended", false, "JobResumed", "Job resumed", now)
    };
    if changed && suspended {
        status.start_time = None;
    }
    changed
}

/// Sets a condition; `false` when it has this status already.
fn set_condition(
    status: &mut JobStatus,
    kind: &str,
    holds: bool,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> bool {
    let holds = if holds { "True" } else { "False" };
    let conditions = status.conditions.get_or_insert_default();
    let new = JobCondition {
        type_: kind.to_owned(),
        status: holds.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_probe_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    };
    match conditions.iter_mut().find(|c| c.type_ == kind) {
        Some(known) if known.status == holds => return false,
        Some(known) => *known = new,
        None => conditions.push(new),
    }
    true
}
