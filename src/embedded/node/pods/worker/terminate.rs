//! The end of a pod: gracefully if its object says so, at once if the object is gone.
//!
//! Its containers end together, its sidecars after them, last begun first; all within one grace period, or, as with a
//! kubelet, the last of them a moment after it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, PodSpec};
use kube::ResourceExt;
use kube::api::{DeleteParams, Preconditions};

use super::Worker;
use crate::node::pods::ephemeral;
use crate::node::pods::events::Severity;
use crate::node::pods::runtime::{Runtime, is_sidecar};
use crate::node::pods::status::{EVICTED, EXPIRED};
use crate::node::pods::storage::Eviction;

/// What a sidecar has left at least whose turn comes when the grace period is nearly over.
const LAST_GRACE: Duration = Duration::from_secs(2);

/// What a pod has that is evicted, whatever it asks for, as with a kubelet.
const EVICTION_GRACE: Duration = Duration::from_secs(1);

/// No end takes longer, whatever a pod asks for: times of a hundred thousand years have no instant.
const LONGEST_GRACE: Duration = Duration::from_secs(365 * 24 * 3600);

/// An end that goes on.
pub(super) struct Ending {
    pub(super) since: Instant,
    /// The grace period, and when it is over.
    grace: Duration,
    until: Instant,
    /// Containers that were asked to end, and by when.
    asked: BTreeMap<String, Instant>,
}

impl Worker {
    /// Goes on with the termination; `true` when nothing is left.
    pub(super) async fn terminate(&mut self) -> bool {
        let grace = if self.removed {
            0
        } else {
            self.pod.metadata.deletion_grace_period_seconds.unwrap_or(30)
        };
        self.end_within(Duration::from_secs(u64::try_from(grace).unwrap_or(0)));
        self.end_due().await;
        if self.runtimes.values().any(Runtime::is_running) && self.sandbox.is_some() {
            return false;
        }
        self.close_sandbox(Duration::ZERO).await;
        self.publish().await;
        if !self.removed && !self.confirm().await {
            return false;
        }
        self.remove_files().await;
        true
    }

    /// When `activeDeadlineSeconds` are over. They count from the pod's start, whatever happened to the node since.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let seconds = u64::try_from(self.spec.active_deadline_seconds?).ok()?;
        let active = Timestamp::now().duration_since(self.start_time);
        let active = Duration::try_from(active).unwrap_or_default();
        let left = Duration::from_secs(seconds).saturating_sub(active);
        Instant::now().checked_add(left)
    }

    /// Ends the pod's containers when its time is over.
    pub(super) fn expire(&mut self) {
        let over = self.deadline().is_some_and(|at| at <= Instant::now());
        if self.expired || !over || self.is_finished() {
            return;
        }
        self.expired = true;
        self.ctx.events.report(&self.pod, None, Severity::Normal, EXPIRED.0, EXPIRED.1);
        self.end_within(self.grace());
    }

    /// Ends a pod because of what it takes of the node. It is not deleted: whoever wants another makes one.
    pub(super) fn evict(&mut self, eviction: Eviction) {
        let goes = self.removed || self.pod.metadata.deletion_timestamp.is_some();
        if goes || self.evicted.is_some() || self.is_finished() {
            return;
        }
        let message = eviction.message.as_str();
        self.ctx.events.report(&self.pod, None, Severity::Warning, EVICTED, message);
        self.evicted = Some(eviction);
        self.to_clear = true;
        self.end_within(EVICTION_GRACE);
    }

    /// Why it was ended before its containers had, once they have: reason and message.
    pub(super) fn cut_short(&self) -> Option<(&str, &str)> {
        if self.runtimes.values().any(Runtime::is_running) {
            return None;
        }
        let evicted = self.evicted.as_ref().map(|eviction| (EVICTED, eviction.message.as_str()));
        evicted.or(self.expired.then_some(EXPIRED))
    }

    /// Has the files of a pod removed that has ended, all but its logs, if somebody needs the room.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.to_clear) && self.places.dir.exists() {
            self.remove_dir();
        }
    }

    /// Whether it is deleted and nothing of it runs.
    pub(super) fn is_gone(&self) -> bool {
        self.pod.metadata.deletion_timestamp.is_some()
            && self.ending.is_some()
            && self.sandbox.is_none()
    }

    /// Begins the end of all containers, or shortens one that goes on.
    pub(super) fn end_within(&mut self, grace: Duration) {
        if end_within(&mut self.ending, grace) {
            self.probing.clear();
            // Containers may be slow to be asked.
            self.post();
        }
    }

    /// Asks every container to end whose turn it is.
    pub(super) async fn end_due(&mut self) {
        for container in ending_now(&self.spec, &self.runtimes, self.overdue()) {
            let Some(ending) = &mut self.ending else { return };
            let name = container.name.as_str();
            let asked = ending.asked.insert(container.name.clone(), ending.until);
            if asked == Some(ending.until) {
                continue;
            }
            let mut grace = ending.until.saturating_duration_since(Instant::now());
            if is_sidecar(&container) && !ending.grace.is_zero() {
                grace = grace.max(LAST_GRACE);
            }
            if asked.is_none() && !self.removed {
                let text = format!("Stopping container {name}");
                self.ctx.events.report(&self.pod, Some(name), Severity::Normal, "Killing", text);
            }
            self.stop_container(&container, grace).await;
            if let Some(runtime) = self.runtimes.get_mut(name) {
                runtime.ready = false;
            }
        }
    }

    /// When sidecars are not waited with any longer, while there are some that wait.
    pub(super) fn ending_due(&self) -> Option<Instant> {
        let ending = self.ending.as_ref()?;
        let waits = |(name, runtime): (&String, &Runtime)| {
            runtime.is_running() && !ending.asked.contains_key(name)
        };
        self.runtimes.iter().any(waits).then_some(ending.until)
    }

    fn overdue(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| ending.until <= Instant::now())
    }

    /// Tells the API server that the pod has ended, upon which it removes the object.
    async fn confirm(&mut self) -> bool {
        let params = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions {
                uid: Some(self.uid.clone()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match self.api().delete(&self.pod.name_any(), &params).await {
            Ok(_) => true,
            Err(kube::Error::Api(error)) if matches!(error.code, 404 | 409) => true,
            Err(error) => {
                tracing::warn!(pod = self.pod.name_any(), %error, "the pod's end was not confirmed");
                self.confirm_at = Some(Instant::now() + super::report::AGAIN);
                false
            }
        }
    }
}

/// Begins an end, or shortens the one that goes on; whether anything is new.
fn end_within(ending: &mut Option<Ending>, grace: Duration) -> bool {
    let grace = grace.min(LONGEST_GRACE);
    let since = Instant::now();
    let until = since + grace;
    match ending {
        Some(ending) if ending.grace <= grace => return false,
        Some(ending) => (ending.grace, ending.until) = (grace, until),
        none => *none = Some(Ending { since, grace, until, asked: BTreeMap::new() }),
    }
    true
}

/// The running containers whose turn to end it is: a sidecar's comes when all that was begun after it has ended, or when
/// there is no time left.
fn ending_now(
    spec: &PodSpec,
    runtimes: &BTreeMap<String, Runtime>,
    overdue: bool,
) -> Vec<Container> {
    let runs = |one: &Container| runtimes.get(&one.name).is_some_and(Runtime::is_running);
    let added = ephemeral::containers(spec);
    let mut due: Vec<Container> =
        spec.containers.iter().cloned().chain(added).filter(runs).collect();
    for container in spec.init_containers.iter().flatten().rev().filter(|one| runs(one)) {
        if due.is_empty() || overdue || !is_sidecar(container) {
            due.push(container.clone());
        }
    }
    due
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sidecars_end_after_what_they_serve_and_in_turn() {
        let sidecar = |name: &str| json!({"name": name, "restartPolicy": "Always"});
        let spec: PodSpec = serde_json::from_value(json!({
            "containers": [{"name": "a"}, {"name": "b"}],
            "initContainers": [sidecar("mesh"), {"name": "prepare"}, sidecar("log")],
        }))
        .unwrap();
        let due = |running: &[&str], overdue: bool| {
            let mut runtimes = BTreeMap::new();
            for name in running {
                let mut runtime = Runtime::new();
                runtime.running("2026-01-01T00:00:00Z".to_owned(), String::new(), false);
                runtimes.insert((*name).to_owned(), runtime);
            }
            let due = ending_now(&spec, &runtimes, overdue);
            due.into_iter().map(|one| one.name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(due(&["a", "b", "mesh", "log"], false), "a b");
        assert_eq!(due(&["b", "mesh", "log"], false), "b");
        assert_eq!(due(&["mesh", "log"], false), "log");
        assert_eq!(due(&["mesh"], false), "mesh");
        assert_eq!(due(&["mesh", "prepare"], false), "prepare");
        assert_eq!(due(&["a", "mesh", "log"], true), "a log mesh");
    }

    #[test]
    fn the_longest_grace_period_has_an_end() {
        let mut ending = None;
        assert!(end_within(&mut ending, Duration::from_secs(i64::MAX.unsigned_abs())));
        assert!(!end_within(&mut ending, Duration::MAX), "it goes on");
        assert!(end_within(&mut ending, Duration::from_secs(1)), "it is shortened");
        let until = ending.map(|ending| ending.until);
        assert!(until.is_some_and(|until| until <= Instant::now() + Duration::from_secs(1)));
    }
}
