//! What a Job reads from its pods.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::controllers::pods::{missed_least_first, phase};

/// Keeps a pod until its Job has counted it.
pub(super) const TRACKING: &str = "batch.kubernetes.io/job-tracking";
/// Label and annotation of an indexed Job's pods.
pub(super) const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// Failures of the same index before this pod.
pub(super) const FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
/// Failures of the same index before this pod that a rule says to ignore.
pub(super) const IGNORED: &str = "batch.kubernetes.io/job-index-ignored-failure-count";

/// What the Job asks for. The server stores none that asks for nothing.
pub(super) fn spec(job: &Job) -> &JobSpec {
    static NOTHING: LazyLock<JobSpec> = LazyLock::new(JobSpec::default);
    job.spec.as_ref().unwrap_or(&NOTHING)
}

pub(super) fn is_indexed(job: &Job) -> bool {
    spec(job).completion_mode.as_deref() == Some("Indexed")
}

pub(super) fn is_suspended(job: &Job) -> bool {
    spec(job).suspend == Some(true)
}

/// Pods on their way out are replaced only when they are gone.
pub(super) fn waits_for_the_terminating(job: &Job) -> bool {
    spec(job).pod_replacement_policy.as_deref() == Some("Failed")
}

pub(super) fn is_tracked(pod: &Pod) -> bool {
    pod.finalizers().iter().any(|name| name == TRACKING)
}

/// Whether the pod counts as failed: those that are deleted do, because they may never say how they ended.
pub(super) fn has_failed(job: &Job, pod: &Pod) -> bool {
    match phase(pod) {
        "Failed" => true,
        "Succeeded" => false,
        _ => pod.metadata.deletion_timestamp.is_some() && !waits_for_the_terminating(job),
    }
}

/// Deleted, and not finished.
pub(super) fn is_terminating(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some() && !matches!(phase(pod), "Failed" | "Succeeded")
}

/// The pod's completion index, if it is one that its Job has.
pub(super) fn index(job: &Job, pod: &Pod) -> Option<i32> {
    let written = pod.annotations().get(INDEX).or_else(|| pod.labels().get(INDEX))?;
    written.parse().ok().filter(|index| (0..spec(job).completions.unwrap_or(0)).contains(index))
}

/// The number that an annotation says.
pub(super) fn number(pod: &Pod, annotation: &str) -> i32 {
    pod.annotations().get(annotation).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// When the pod ended, as well as that is known.
pub(super) fn finish_time(pod: &Pod) -> Option<Timestamp> {
    let status = pod.status.as_ref();
    let containers = status.and_then(|s| s.container_statuses.as_ref()).into_iter().flatten();
    let ended =
        containers.map(|c| Some(c.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref()?.0));
    let ended: Option<Vec<Timestamp>> = ended.collect();
    let unready = || {
        let mut conditions = status?.conditions.iter().flatten();
        let ready = conditions.find(|c| c.type_ == "Ready" && c.status == "False")?;
        ready.last_transition_time.as_ref().map(|time| time.0)
    };
    let deleted = || {
        let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or_default();
        let at = pod.metadata.deletion_timestamp.as_ref()?.0.as_second();
        Timestamp::from_second(at - grace).ok()
    };
    ended
        .and_then(|times| times.into_iter().max())
        .or_else(unready)
        .or_else(deleted)
        .or_else(|| pod.metadata.creation_timestamp.as_ref().map(|time| time.0))
}

/// Which of two pods is missed least.
pub(super) fn order(a: &Pod, b: &Pod) -> Ordering {
    missed_least_first(a, b, &HashMap::new())
}
