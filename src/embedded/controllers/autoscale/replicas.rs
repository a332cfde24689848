//! How many pods it takes for the use of each to be what is aimed at.
//!
//! `ceil(pods × use / target)`, but nothing for a small difference, and carefully where not all is known: pods that are
//! not ready, or have no metrics, are taken to use what makes the step smaller, and what turns its direction makes none.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;

use super::super::pods::phase;

/// So long after its start a pod's processor use counts only when it is ready, and was so for all of the window.
const INITIALIZATION: SignedDuration = SignedDuration::from_secs(5 * 60);
/// A pod that became unready in this time has never been ready.
const INITIAL_READINESS: SignedDuration = SignedDuration::from_secs(30);

/// What is aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A share of what is requested, in per cent.
    Utilization(i64),
    /// An amount a pod, in thousandths.
    Average(i64),
}

/// What a pod was measured to use, in thousandths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Used {
    pub(super) amount: i64,
    pub(super) ended: Timestamp,
    pub(super) window: Duration,
}

/// How far a pod's use counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It does.
    Counted,
    /// It is not ready: it does not, unless the others ask for more pods.
    Unready,
    /// There are no metrics.
    Missing,
    /// It is on its way out.
    Ignored,
}

/// A pod as the formula sees it; amounts are thousandths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) stage: Stage,
    pub(super) used: i64,
    pub(super) request: i64,
}

/// By how much the use may differ from the target, as a share, before something is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tolerance {
    pub(super) up: f64,
    pub(super) down: f64,
}

/// How many pods there should be, and what they use now on average: per cent of the requests, and thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Proposal {
    pub(super) replicas: i32,
    pub(super) utilization: Option<i32>,
    pub(super) average: i64,
}

/// Of the processor only what a pod uses when it has started says something.
pub(super) fn stage(pod: &Pod, used: Option<&Used>, cpu: bool, now: Timestamp) -> Stage {
    if pod.metadata.deletion_timestamp.is_some() || phase(pod) == "Failed" {
        return Stage::Ignored;
    }
    if phase(pod) == "Pending" {
        return Stage::Unready;
    }
    let Some(used) = used else { return Stage::Missing };
    if !cpu {
        return Stage::Counted;
    }
    let status = pod.status.as_ref();
    let ready = status
        .and_then(|status| status.conditions.as_ref())
        .and_then(|all| all.iter().find(|condition| condition.type_ == "Ready"));
    let started = status.and_then(|status| status.start_time.as_ref());
    let (Some(ready), Some(started)) = (ready, started) else { return Stage::Unready };
    let changed = ready.last_transition_time.as_ref().map_or(Timestamp::MIN, |time| time.0);
    let no = ready.status == "False";
    let unready = if now.duration_since(started.0) < INITIALIZATION {
        no || used.ended.duration_since(changed) < signed(used.window)
    } else {
        no && changed.duration_since(started.0) < INITIAL_READINESS
    };
    if unready { Stage::Unready } else { Stage::Counted }
}

fn signed(window: Duration) -> SignedDuration {
    SignedDuration::try_from(window).unwrap_or(SignedDuration::MAX)
}

/// `Err` says why nothing can be said.
pub(super) fn propose(
    current: i32,
    target: Target,
    pods: &[Facts],
    tolerance: Tolerance,
) -> Result<Proposal, String> {
    let at = |stage: Stage| pods.iter().filter(move |pod| pod.stage == stage);
    let counted: Vec<(i64, i64)> = at(Stage::Counted).map(|pod| (pod.used, pod.request)).collect();
    if counted.is_empty() {
        return Err("did not receive metrics for targeted pods (pods might be unready)".into());
    }
    let (ratio, utilization, average) = ratio(&counted, target)?;
    let answer = |replicas| Ok(Proposal { replicas, utilization, average });
    let raise = ratio > 1.0 && at(Stage::Unready).next().is_some();
    let missing = at(Stage::Missing).next().is_some();
    if !raise && !missing {
        return answer(if tolerance.has(ratio) { current } else { times(ratio, counted.len()) });
    }
    let mut all = counted;
    for pod in at(Stage::Missing).filter(|_| ratio != 1.0) {
        let used = match target {
            _ if ratio > 1.0 => 0,
            Target::Utilization(share) => pod.request.saturating_mul(share.max(100)) / 100,
            Target::Average(amount) => amount,
        };
        all.push((used, pod.request));
    }
    if raise {
        all.extend(at(Stage::Unready).map(|pod| (0, pod.request)));
    }
    let (careful, ..) = self::ratio(&all, target)?;
    let replicas = times(careful, all.len());
    let turned = (ratio < 1.0 && careful > 1.0) || (ratio > 1.0 && careful < 1.0);
    let backwards = (careful < 1.0 && replicas > current) || (careful > 1.0 && replicas < current);
    answer(if tolerance.has(careful) || turned || backwards { current } else { replicas })
}

impl Tolerance {
    fn has(self, ratio: f64) -> bool {
        1.0 - self.down <= ratio && ratio <= 1.0 + self.up
    }
}

fn times(ratio: f64, pods: usize) -> i32 {
    (ratio * pods as f64).ceil() as i32
}

/// How the use of these pods (amount and request) compares to the target; the share of the requests, and the average.
fn ratio(pods: &[(i64, i64)], target: Target) -> Result<(f64, Option<i32>, i64), String> {
    let used: i64 = pods.iter().map(|pod| pod.0).fold(0, i64::saturating_add);
    let average = used / (pods.len() as i64).max(1);
    match target {
        Target::Average(amount) => Ok((average as f64 / amount as f64, None, average)),
        Target::Utilization(share) => {
            let requests: i64 = pods.iter().map(|pod| pod.1).fold(0, i64::saturating_add);
            if requests == 0 {
                return Err("no metrics returned matched known pods".into());
            }
            let utilization = i32::try_from(used.saturating_mul(100) / requests);
            let utilization = utilization.unwrap_or(i32::MAX);
            Ok((f64::from(utilization) / share as f64, Some(utilization), average))
        }
    }
}

#[cfg(test)]
mod tests;
