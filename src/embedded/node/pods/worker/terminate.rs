//! The end of a pod: gracefully if its object says so, at once if the object is gone.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{DeleteParams, Preconditions};

use super::Worker;
use crate::node::pods::events::Severity;
use crate::node::pods::runtime::Runtime;
use crate::node::pods::status::EXPIRED;

impl Worker {
    /// Goes on with the termination; `true` when nothing is left.
    pub(super) async fn terminate(&mut self) -> bool {
        let grace = if self.removed {
            0
        } else {
            self.pod.metadata.deletion_grace_period_seconds.unwrap_or(30)
        };
        let grace = Duration::from_secs(u64::try_from(grace).unwrap_or(0));
        // Again if the grace period was shortened meanwhile.
        if self.stopping.is_none_or(|before| grace < before) {
            let first = self.stopping.is_none();
            self.stopping = Some(grace);
            self.probing.clear();
            self.stop_all(grace, first).await;
        }
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
    pub(super) async fn expire(&mut self) {
        let over = self.deadline().is_some_and(|at| at <= Instant::now());
        if self.expired || !over || self.is_finished() {
            return;
        }
        self.expired = true;
        self.ctx.events.report(&self.pod, None, Severity::Normal, EXPIRED.0, EXPIRED.1);
        let grace = self.grace();
        self.stopping = Some(grace);
        self.probing.clear();
        self.stop_all(grace, true).await;
    }

    /// Whether its time is over and its containers have ended.
    pub(super) fn has_expired(&self) -> bool {
        self.expired && !self.runtimes.values().any(Runtime::is_running)
    }

    async fn stop_all(&mut self, grace: Duration, first: bool) {
        let containers = self.spec.init_containers.iter().flatten().chain(&self.spec.containers);
        for container in containers.cloned().collect::<Vec<_>>() {
            let name = container.name.as_str();
            if !self.runtimes.get(name).is_some_and(Runtime::is_running) {
                continue;
            }
            if first && !self.removed {
                let text = format!("Stopping container {name}");
                self.ctx.events.report(&self.pod, Some(name), Severity::Normal, "Killing", text);
            }
            self.stop_container(&container, grace).await;
            if let Some(runtime) = self.runtimes.get_mut(name) {
                runtime.ready = false;
            }
        }
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
