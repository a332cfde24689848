//! Which pods a Job makes or takes away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{
    Container, EnvVar, EnvVarSource, ObjectFieldSelector, Pod, PodSpec,
};
use kube::ResourceExt;

use super::backoff;
use super::pods::{
    FAILURES, IGNORED, INDEX, TRACKING, finish_time, index, is_indexed, is_suspended,
    is_terminating, number, order, spec, waits_for_the_terminating,
};
use super::policy::{Failure, failure};
use super::tally::Tally;
use crate::controllers::pod_control::from_template;

/// At most this many pods are created or deleted at once.
const BURST: usize = 500;
/// Names that end in five random characters have this many before them.
const LONGEST_PREFIX: usize = 58;
const INDEX_VARIABLE: &str = "JOB_COMPLETION_INDEX";

/// What to do about the pods.
#[derive(Debug)]
pub(super) enum Plan {
    Nothing,
    /// There are more than there should be.
    Remove(Vec<Arc<Pod>>),
    Create(Vec<Pod>),
    /// Failed pods are replaced later.
    Wait(Duration),
}

/// Compares the pods with what a Job wants that has not come to its end.
pub(super) fn plan(job: &Job, pods: &[Arc<Pod>], tally: &Tally, now: Timestamp) -> Plan {
    let active = tally.active.len();
    let wanted = if is_suspended(job) { 0 } else { wanted(job, tally) };
    let surplus = surplus(job, tally, active.saturating_sub(wanted));
    if !surplus.is_empty() {
        return Plan::Remove(surplus);
    }
    let waiting = if waits_for_the_terminating(job) { tally.terminating } else { 0 };
    let missing = wanted.saturating_sub(active).saturating_sub(waiting as usize).min(BURST);
    if missing == 0 {
        return Plan::Nothing;
    }
    let per_index = spec(job).backoff_limit_per_index.is_some();
    if let Some(left) = backoff::of_job(job, pods, now).filter(|_| !per_index) {
        return Plan::Wait(left);
    }
    if !is_indexed(job) {
        return Plan::Create(vec![pod(job); missing].into_iter().flatten().collect());
    }
    let (due, later): (Vec<_>, Vec<_>) = pending(job, pods, tally, missing)
        .into_iter()
        .map(|index| (index, tally.held.get(&index).and_then(|held| wait(held, now))))
        .partition(|(_, wait)| wait.is_none());
    match later.into_iter().filter_map(|(_, wait)| wait).min() {
        Some(wait) if due.is_empty() => Plan::Wait(wait),
        // What is missing belongs to indexes that are given up.
        None if due.is_empty() => Plan::Nothing,
        _ => {
            let pods =
                due.into_iter().filter_map(|(index, _)| indexed_pod(job, index, &tally.held));
            Plan::Create(pods.collect())
        }
    }
}

/// How many pods should be active.
fn wanted(job: &Job, tally: &Tally) -> usize {
    let parallelism = spec(job).parallelism.unwrap_or(1);
    let wanted = match spec(job).completions {
        Some(completions) => (completions - tally.succeeded).min(parallelism),
        // After one success no more are started, and those that run go on.
        None if tally.succeeded > 0 => return tally.active.len(),
        None => parallelism,
    };
    usize::try_from(wanted).unwrap_or_default()
}

/// Which active pods go: those without an index of their own, then those that are missed least.
fn surplus(job: &Job, tally: &Tally, at_least: usize) -> Vec<Arc<Pod>> {
    let mut ranked = tally.active.clone();
    ranked.sort_by(|a, b| order(a, b));
    let (mut surplus, mut rest) = (Vec::new(), Vec::new());
    if is_indexed(job) {
        let mut seen = BTreeSet::new();
        // From the one that is missed most.
        for pod in ranked.into_iter().rev() {
            let first = index(job, &pod).is_some_and(|index| seen.insert(index));
            if first { rest.push(pod) } else { surplus.push(pod) }
        }
        rest.reverse();
    } else {
        rest = ranked;
    }
    let more = at_least.saturating_sub(surplus.len());
    surplus.extend(rest.into_iter().take(more));
    surplus.truncate(BURST);
    surplus
}

/// The first indexes that nobody works on and that are not settled.
fn pending(job: &Job, pods: &[Arc<Pod>], tally: &Tally, count: usize) -> Vec<i32> {
    let waiting = waits_for_the_terminating(job);
    let terminating = pods.iter().filter(|pod| waiting && is_terminating(pod));
    let taken: BTreeSet<i32> =
        tally.active.iter().chain(terminating).filter_map(|pod| index(job, pod)).collect();
    (0..spec(job).completions.unwrap_or_default())
        .filter(|index| !taken.contains(index) && !tally.done.has(*index))
        .filter(|index| !tally.given_up.as_ref().is_some_and(|given_up| given_up.has(*index)))
        .take(count)
        .collect()
}

/// What is left to wait until the pod of an index is replaced.
fn wait(held: &Pod, now: Timestamp) -> Option<Duration> {
    let failures = number(held, FAILURES) + number(held, IGNORED) + 1;
    backoff::left(u32::try_from(failures).unwrap_or(1), finish_time(held)?, now)
}

fn pod(job: &Job) -> Option<Pod> {
    let mut pod = from_template(job, &spec(job).template)?;
    let finalizers = pod.metadata.finalizers.get_or_insert_default();
    if !finalizers.iter().any(|name| name == TRACKING) {
        finalizers.push(TRACKING.into());
    }
    Some(pod)
}

fn indexed_pod(job: &Job, index: i32, held: &BTreeMap<i32, Arc<Pod>>) -> Option<Pod> {
    let mut pod = pod(job)?;
    let suffix = format!("-{index}-");
    let mut prefix = job.name_any();
    prefix.truncate(LONGEST_PREFIX - suffix.len());
    pod.metadata.generate_name = Some(prefix + &suffix);
    pod.labels_mut().insert(INDEX.into(), index.to_string());
    pod.annotations_mut().insert(INDEX.into(), index.to_string());
    if spec(job).backoff_limit_per_index.is_some() {
        let before = |annotation: &str| held.get(&index).map_or(0, |pod| number(pod, annotation));
        let last = held.get(&index).map(|pod| failure(job, pod));
        let ignored = before(IGNORED) + i32::from(last == Some(Failure::Ignore));
        let counted = before(FAILURES) + i32::from(last.is_some_and(|f| f != Failure::Ignore));
        pod.annotations_mut().insert(FAILURES.into(), counted.to_string());
        if ignored > 0 {
            pod.annotations_mut().insert(IGNORED.into(), ignored.to_string());
        }
    }
    let spec = pod.spec.as_mut()?;
    spec.hostname = Some(format!("{}-{index}", job.name_any()));
    tell_index(spec);
    Some(pod)
}

/// Gives every container the variable with its index, unless it has one of this name.
fn tell_index(spec: &mut PodSpec) {
    let tell = |container: &mut Container| {
        let variables = container.env.get_or_insert_default();
        if variables.iter().all(|variable| variable.name != INDEX_VARIABLE) {
            let path = format!("metadata.labels['{INDEX}']");
            let field = ObjectFieldSelector { field_path: path, ..Default::default() };
            let source = EnvVarSource { field_ref: Some(field), ..Default::default() };
            variables.push(EnvVar {
                name: INDEX_VARIABLE.into(),
                value_from: Some(source),
                ..EnvVar::default()
            });
        }
    };
    spec.init_containers.iter_mut().flatten().chain(&mut spec.containers).for_each(tell);
}
