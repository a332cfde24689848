//! Whether a Job has come to its end, and why.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{Job, JobCondition};
use k8s_openapi::api::core::v1::Pod;

use super::pods::{is_suspended, spec};
use super::policy;
use super::tally::Tally;
use crate::controllers::pods::phase;

/// The interim condition of a Job that will fail, and of one that will complete.
pub(super) const TARGETS: [&str; 2] = ["FailureTarget", "SuccessCriteriaMet"];

/// A Job's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) success: bool,
    pub(super) reason: String,
    pub(super) message: String,
}

impl Verdict {
    fn new(success: bool, reason: &str, message: &str) -> Self {
        Verdict { success, reason: reason.to_owned(), message: message.to_owned() }
    }

    fn failure(reason: &str, message: &str) -> Option<Self> {
        Some(Self::new(false, reason, message))
    }

    /// The condition that says that it is going to end like this.
    pub(super) fn target(&self) -> &'static str {
        TARGETS[usize::from(self.success)]
    }

    /// The condition that says that it has ended like this.
    pub(super) fn end(&self) -> &'static str {
        if self.success { "Complete" } else { "Failed" }
    }
}

/// The condition of this type, if it is true.
pub(super) fn condition<'j>(job: &'j Job, kind: &str) -> Option<&'j JobCondition> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|c| c.type_ == kind && c.status == "True")
}

/// The condition by which the Job has ended.
pub(in crate::controllers) fn end(job: &Job) -> Option<&JobCondition> {
    condition(job, "Complete").or_else(|| condition(job, "Failed"))
}

/// How the Job ends; `None` while it goes on. What was decided before stays.
pub(super) fn verdict(
    job: &Job,
    pods: &[Arc<Pod>],
    tally: &Tally,
    now: Timestamp,
) -> Option<Verdict> {
    for (success, kind) in [(true, TARGETS[1]), (false, TARGETS[0])] {
        if let Some(known) = condition(job, kind) {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            return Some(Verdict::new(success, &text(&known.reason), &text(&known.message)));
        }
    }
    failure(job, pods, tally, now).or_else(|| success(job, tally))
}

fn failure(job: &Job, pods: &[Arc<Pod>], tally: &Tally, now: Timestamp) -> Option<Verdict> {
    let spec = spec(job);
    if let Some(message) = policy::fails_job(job, pods) {
        return Verdict::failure("PodFailurePolicy", &message);
    }
    let limit = spec.backoff_limit.unwrap_or(6);
    if tally.failed > limit || has_restarted_too_often(job, pods, limit) {
        let message = "Job has reached the specified backoff limit";
        return Verdict::failure("BackoffLimitExceeded", message);
    }
    if deadline(job).is_some_and(|until| until <= now) {
        let message = "Job was active longer than specified deadline";
        return Verdict::failure("DeadlineExceeded", message);
    }
    let given_up = tally.given_up.as_ref()?.total();
    if spec.max_failed_indexes.is_some_and(|max| given_up > max) {
        let message = "Job has exceeded the specified maximal number of failed indexes";
        return Verdict::failure("MaxFailedIndexesExceeded", message);
    }
    if given_up > 0 && given_up + tally.done.total() >= spec.completions.unwrap_or_default() {
        return Verdict::failure("FailedIndexes", "Job has failed indexes");
    }
    None
}

fn success(job: &Job, tally: &Tally) -> Option<Verdict> {
    if let Some(message) = policy::succeeds(job, &tally.done) {
        return Some(Verdict::new(true, "SuccessPolicy", &message));
    }
    let enough = match spec(job).completions {
        Some(completions) => tally.succeeded >= completions,
        // One success is enough; those that still run may come to their own end.
        None => tally.succeeded > 0,
    };
    let message = "Reached expected number of succeeded pods";
    (enough && tally.active.is_empty()).then(|| Verdict::new(true, "CompletionsReached", message))
}

/// Containers that are started again in their pods count against the limit by their restarts.
fn has_restarted_too_often(job: &Job, pods: &[Arc<Pod>], limit: i32) -> bool {
    let policy = spec(job).template.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
    if policy != Some("OnFailure") {
        return false;
    }
    let restarts: i32 = pods
        .iter()
        .filter(|pod| matches!(phase(pod), "Running" | "Pending"))
        .filter_map(|pod| pod.status.as_ref())
        .flat_map(|s| s.init_container_statuses.iter().chain(&s.container_statuses).flatten())
        .map(|container| container.restart_count)
        .sum();
    if limit == 0 { restarts > 0 } else { restarts >= limit }
}

/// Until when the Job may be active; `None` when that is not bounded or does not count.
pub(super) fn deadline(job: &Job) -> Option<Timestamp> {
    let seconds = spec(job).active_deadline_seconds.filter(|_| !is_suspended(job))?;
    let start = job.status.as_ref()?.start_time.as_ref()?.0;
    start.checked_add(SignedDuration::from_secs(seconds)).ok()
}

/// When a Job that has ended is deleted; `None` when it stays or goes already.
pub(super) fn expiry(job: &Job) -> Option<Timestamp> {
    let seconds = i64::from(spec(job).ttl_seconds_after_finished?);
    let ended = end(job)?.last_transition_time.as_ref()?.0;
    let until = ended.checked_add(SignedDuration::from_secs(seconds)).ok()?;
    job.metadata.deletion_timestamp.is_none().then_some(until)
}
