//! What the node knows of a container, and what follows from its end. Pure.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ContainerStatus, PodSpec};

use super::backoff::Backoff;
use crate::node::shim::Exit;

/// A container of a pod.
#[derive(Debug, Clone)]
pub(super) struct Runtime {
    /// Number of the current or next start; equals the number of restarts so far.
    pub(super) attempt: u32,
    pub(super) state: State,
    /// How the attempt before the current one ended.
    pub(super) last: Option<Terminated>,
    pub(super) ready: bool,
    /// Whether the startup probe has succeeded, or there is none.
    pub(super) started: bool,
    /// Digest of the image it runs.
    pub(super) image_id: String,
    pub(super) backoff: Backoff,
    /// Not to be started before this.
    pub(super) start_at: Option<Instant>,
}

/// The three states of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Waiting { reason: &'static str, message: Option<String> },
    Running { since: String },
    Terminated(Terminated),
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Terminated {
    pub(super) exit_code: i32,
    pub(super) signal: Option<i32>,
    pub(super) reason: String,
    pub(super) message: Option<String>,
    pub(super) started_at: String,
    pub(super) finished_at: String,
}

impl Terminated {
    pub(super) fn of(exit: &Exit, message: Option<String>) -> Self {
        let reason = match exit {
            Exit { oom_killed: true, code, .. } if *code != 0 => "OOMKilled",
            Exit { code: 0, .. } => "Completed",
            _ => "Error",
        };
        Self {
            exit_code: exit.code,
            signal: exit.signal,
            reason: reason.to_owned(),
            message: message.filter(|message| !message.is_empty()),
            started_at: exit.started_at.clone(),
            finished_at: exit.finished_at.clone(),
        }
    }

    /// An end that nobody saw.
    pub(super) fn unseen(reason: &str, message: &str, exit_code: i32) -> Self {
        let now = Timestamp::now().to_string();
        Self {
            exit_code,
            reason: reason.to_owned(),
            message: Some(message.to_owned()),
            started_at: now.clone(),
            finished_at: now,
            ..Self::default()
        }
    }

    fn ran(&self) -> Duration {
        let parse = |text: &str| text.parse::<Timestamp>().ok();
        match (parse(&self.started_at), parse(&self.finished_at)) {
            (Some(from), Some(to)) => to.duration_since(from).try_into().unwrap_or_default(),
            _ => Duration::ZERO,
        }
    }
}

/// When containers of a pod are started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restart {
    Always,
    OnFailure,
    Never,
}

impl Restart {
    /// The rule for a container: the pod's, except that an init container of a pod that restarts is done after
    /// success, that one with a rule of its own is a sidecar, and that what was added to the pod runs once.
    pub(super) fn of(spec: &PodSpec, container: &Container) -> Self {
        let is = |one: &Container| one.name == container.name;
        let init = spec.init_containers.iter().flatten().any(is);
        if !init && !spec.containers.iter().any(is) {
            return Self::Never;
        }
        let pod = match spec.restart_policy.as_deref() {
            Some("Never") => Self::Never,
            Some("OnFailure") => Self::OnFailure,
            _ => Self::Always,
        };
        match (init, is_sidecar(container)) {
            (true, true) => Self::Always,
            (true, false) if pod == Self::Always => Self::OnFailure,
            _ => pod,
        }
    }

    fn again(self, exit_code: i32) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => exit_code != 0,
            Self::Never => false,
        }
    }
}

/// An init container that goes on beside the others.
pub(super) fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

impl Runtime {
    pub(super) fn new() -> Self {
        Self {
            attempt: 0,
            state: State::Waiting { reason: "ContainerCreating", message: None },
            last: None,
            ready: false,
            started: false,
            image_id: String::new(),
            backoff: Backoff::default(),
            start_at: None,
        }
    }

    /// A container that an earlier node has left behind, as the API tells. Whether it still runs, its shim knows.
    pub(super) fn from_status(status: &ContainerStatus) -> Self {
        let mut runtime = Self::new();
        let restarts = u32::try_from(status.restart_count).unwrap_or(0);
        runtime.backoff = Backoff::after(restarts);
        runtime.attempt = restarts;
        runtime.image_id.clone_from(&status.image_id);
        let time = |at: Option<&k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| {
            at.map(|at| at.0.to_string()).unwrap_or_default()
        };
        let ended = |state: Option<&k8s_openapi::api::core::v1::ContainerState>| {
            let terminated = state?.terminated.as_ref()?;
            Some(Terminated {
                exit_code: terminated.exit_code,
                signal: terminated.signal,
                reason: terminated.reason.clone().unwrap_or_default(),
                message: terminated.message.clone(),
                started_at: time(terminated.started_at.as_ref()),
                finished_at: time(terminated.finished_at.as_ref()),
            })
        };
        runtime.last = ended(status.last_state.as_ref());
        let waiting = status
            .state
            .as_ref()
            .is_none_or(|state| state.running.is_none() && state.terminated.is_none());
        if waiting && runtime.last.is_some() {
            runtime.attempt += 1;
        }
        let state = status.state.as_ref();
        if let Some(terminated) = ended(state) {
            runtime.state = State::Terminated(terminated);
        } else if let Some(running) = state.and_then(|state| state.running.as_ref()) {
            runtime.state = State::Running { since: time(running.started_at.as_ref()) };
        }
        runtime
    }

    /// The next end is not the container's own: the node was stopped under it. It starts again with no wait, however
    /// often it was restarted before.
    pub(super) fn forgive(&mut self) {
        self.backoff = Backoff::default();
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    /// Ended for good.
    pub(super) fn finished(&self) -> Option<&Terminated> {
        match &self.state {
            State::Terminated(terminated) => Some(terminated),
            _ => None,
        }
    }

    /// How it ended last, while it does not run.
    pub(super) fn last_end(&self) -> Option<&Terminated> {
        match &self.state {
            State::Terminated(terminated) => Some(terminated),
            State::Waiting { .. } => self.last.as_ref(),
            State::Running { .. } => None,
        }
    }

    /// The container has started.
    pub(super) fn running(&mut self, since: String, image_id: String, probed: bool) {
        self.state = State::Running { since };
        self.image_id = image_id;
        self.started = !probed;
        self.ready = false;
        self.start_at = None;
    }

    /// The container has ended: it waits for its next start, or is finished. `describe` makes the message of a wait.
    pub(super) fn ended(
        &mut self,
        terminated: Terminated,
        restart: Restart,
        now: Instant,
        describe: impl FnOnce(Duration) -> String,
    ) {
        self.ready = false;
        self.started = false;
        if !restart.again(terminated.exit_code) {
            self.state = State::Terminated(terminated);
            return;
        }
        let (at, wait) = self.backoff.ended(now, terminated.ran());
        self.last = Some(terminated);
        self.attempt += 1;
        self.start_at = Some(at);
        self.state = if wait.is_zero() {
            State::Waiting { reason: "ContainerCreating", message: None }
        } else {
            State::Waiting { reason: "CrashLoopBackOff", message: Some(describe(wait)) }
        };
    }

    /// The number of restarts to report: a container that waits has not restarted yet.
    pub(super) fn restarts(&self) -> u32 {
        match self.state {
            State::Waiting { .. } => self.attempt.saturating_sub(u32::from(self.last.is_some())),
            _ => self.attempt,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(code: i32) -> Terminated {
        Terminated { exit_code: code, ..Terminated::default() }
    }

    #[test]
    fn a_crashing_container_waits_longer_each_time() {
        let mut runtime = Runtime::new();
        let now = Instant::now();
        let describe = |wait: Duration| format!("back-off {}s", wait.as_secs());
        runtime.running("t".into(), "i".into(), false);
        runtime.ended(ended(1), Restart::Always, now, describe);
        assert_eq!((runtime.attempt, runtime.restarts()), (1, 0));
        assert_eq!(runtime.start_at, Some(now));
        runtime.running("t".into(), "i".into(), false);
        assert_eq!(runtime.restarts(), 1);
        runtime.ended(ended(1), Restart::Always, now, describe);
        assert_eq!(
            runtime.state,
            State::Waiting { reason: "CrashLoopBackOff", message: Some("back-off 10s".into()) }
        );
        assert_eq!(runtime.restarts(), 1);
    }

    #[test]
    fn a_container_whose_node_was_stopped_under_it_starts_at_once_however_often() {
        let now = Instant::now();
        let mut status = ContainerStatus { restart_count: 6, ..ContainerStatus::default() };
        status.state = Some(k8s_openapi::api::core::v1::ContainerState {
            running: Some(Default::default()),
            ..Default::default()
        });
        let mut runtime = Runtime::from_status(&status);
        runtime.forgive();
        runtime.ended(ended(137), Restart::Always, now, |_| String::new());
        assert_eq!(runtime.start_at, Some(now));
        assert_eq!(runtime.state, State::Waiting { reason: "ContainerCreating", message: None });
    }

    #[test]
    fn success_is_final_unless_restarts_are_always() {
        let now = Instant::now();
        for (restart, code, again) in [
            (Restart::Always, 0, true),
            (Restart::OnFailure, 0, false),
            (Restart::OnFailure, 1, true),
            (Restart::Never, 1, false),
        ] {
            let mut runtime = Runtime::new();
            runtime.ended(ended(code), restart, now, |_| String::new());
            assert_eq!(runtime.finished().is_none(), again, "{restart:?} {code}");
        }
    }

    #[test]
    fn memory_kills_are_told_apart() {
        let exit = |code, oom_killed| Exit {
            code,
            signal: None,
            oom_killed,
            started_at: String::new(),
            finished_at: String::new(),
            message: None,
        };
        assert_eq!(Terminated::of(&exit(137, true), None).reason, "OOMKilled");
        assert_eq!(Terminated::of(&exit(137, false), None).reason, "Error");
        // A child was killed, the program went on and ended well.
        assert_eq!(Terminated::of(&exit(0, true), None).reason, "Completed");
    }
}
