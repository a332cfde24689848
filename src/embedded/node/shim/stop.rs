//! Ending a container gracefully: the hook, the signal, the end of patience.
//!
//! It is all the shim's, so that a node which dies half-way changes nothing about it.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::protocol::{Event, Reply, StopHook};
use super::serve::{Program, Shim};
use crate::node::sandbox::{self, ExecSpec, Process, Stdio, sys};

/// What a container gets for itself when its hook took all of its grace period.
const AFTER_HOOK: Duration = Duration::from_secs(2);
/// Ids of hooks: the node's, of requests, are below.
const HOOKS: u64 = 1 << 63;

/// A hook on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hook {
    /// Sent when the hook is over.
    signal: i32,
    waits_for: WaitsFor,
}

/// What ends a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WaitsFor {
    /// The end of the program with this id.
    Program(u64),
    /// A moment.
    Time(Instant),
    /// Nothing but the end of the grace period: the moment is later than a clock can tell.
    Patience,
}

impl Hook {
    /// When the shim has to look at it again, if only time ends it.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        match self.waits_for {
            WaitsFor::Time(at) => Some(at),
            WaitsFor::Program(_) | WaitsFor::Patience => None,
        }
    }
}

impl Shim {
    /// Asks a container to end. Asked again, patience only becomes shorter, and a hook is not begun anew.
    pub(super) fn stop(
        &mut self,
        name: &str,
        signal: i32,
        grace: Duration,
        hook: Option<StopHook>,
    ) -> Result<Reply, String> {
        let now = Instant::now();
        let container =
            self.containers.get_mut(name).ok_or_else(|| format!("no container {name}"))?;
        if container.exit.is_some() {
            return Ok(Reply::Done);
        }
        let kill_at = now + grace;
        container.kill_at = Some(container.kill_at.map_or(kill_at, |before| before.min(kill_at)));
        let asked_before = std::mem::replace(&mut container.asked, true);
        if !grace.is_zero() {
            if container.stopping.is_some() {
                return Ok(Reply::Done);
            }
            if let Some(hook) = hook.filter(|_| !asked_before) {
                match self.begin(name, hook, now) {
                    Ok(waits_for) => {
                        let hook = Hook { signal, waits_for };
                        if let Some(container) = self.containers.get_mut(name) {
                            container.stopping = Some(hook);
                        }
                        return Ok(Reply::Done);
                    }
                    Err(message) => self.hook_failed(name, message),
                }
            }
        }
        let signal = if grace.is_zero() { libc::SIGKILL } else { signal };
        self.signal(name, signal)
            .map_err(|error| format!("cannot signal container {name}: {error}"))?;
        Ok(Reply::Done)
    }

    fn begin(&mut self, name: &str, hook: StopHook, now: Instant) -> Result<WaitsFor, String> {
        let argv = match hook {
            StopHook::Sleep(seconds) => {
                let until = now.checked_add(Duration::from_secs(seconds));
                return Ok(until.map_or(WaitsFor::Patience, WaitsFor::Time));
            }
            StopHook::Exec(argv) => argv,
        };
        let container = self.containers.get(name).ok_or("the container is gone")?;
        let stdio = Stdio::null().map_err(|error| format!("cannot open /dev/null: {error}"))?;
        let group = container.group.as_ref();
        let spec = ExecSpec { argv };
        let Process { pidfd, .. } =
            sandbox::exec(&container.spec, group, container.pidfd(), &spec, &stdio)
                .map_err(|failure| failure.to_string())?;
        self.hooks += 1;
        let id = HOOKS | self.hooks;
        // Ended with the container, whose deadline is watched.
        let program = Program { pidfd, started_at: Timestamp::now(), kill_at: None };
        self.programs.insert(id, program);
        Ok(WaitsFor::Program(id))
    }

    /// A program has ended; `true` if it was a hook, whose container is then asked to end.
    pub(super) fn hook_ended(&mut self, id: u64, code: i32) -> bool {
        if id & HOOKS == 0 {
            return false;
        }
        let waiting = |hook: &Hook| hook.waits_for == WaitsFor::Program(id);
        let found =
            self.containers.iter().find(|(_, one)| one.stopping.as_ref().is_some_and(waiting));
        if let Some(name) = found.map(|(name, _)| name.clone()) {
            if code != 0 {
                self.hook_failed(&name, format!("it ended with code {code}"));
            }
            self.hook_over(&name);
        }
        true
    }

    /// Ends hooks that only let time pass, hooks without time left, and patience.
    pub(super) fn enforce_stops(&mut self, now: Instant) {
        let names: Vec<String> = self.containers.keys().cloned().collect();
        for name in names {
            let Some(container) = self.containers.get_mut(&name) else {
                continue;
            };
            let late = container.kill_at.is_some_and(|at| at <= now);
            match container.stopping {
                Some(hook) if hook.wakes_at().is_some_and(|at| at <= now) => self.hook_over(&name),
                Some(hook) if late => {
                    container.kill_at = Some(now + AFTER_HOOK);
                    if let WaitsFor::Program(id) = hook.waits_for
                        && let Some(program) = self.programs.get(&id)
                    {
                        let _ = sys::pidfd_signal(program.pidfd.as_fd(), libc::SIGKILL);
                    }
                    self.hook_failed(&name, "it took all of the grace period".to_owned());
                    self.hook_over(&name);
                }
                None if late => {
                    container.kill_at = None;
                    let _ = container.signal(libc::SIGKILL);
                }
                _ => {}
            }
        }
    }

    /// Forgets a hook that only lets time pass, for its container to be asked to end now; whether there was one.
    pub(super) fn take_waiting(&mut self, name: &str) -> bool {
        let waits = |hook: &mut Hook| !matches!(hook.waits_for, WaitsFor::Program(_));
        let container = self.containers.get_mut(name);
        container.is_some_and(|one| one.stopping.take_if(waits).is_some())
    }

    fn hook_over(&mut self, name: &str) {
        let hook = self.containers.get_mut(name).and_then(|one| one.stopping.take());
        if let Some(hook) = hook {
            let _ = self.signal(name, hook.signal);
        }
    }

    fn signal(&self, name: &str, signal: i32) -> std::io::Result<()> {
        self.containers.get(name).map_or(Ok(()), |container| container.signal(signal))
    }

    fn hook_failed(&self, name: &str, message: String) {
        self.report(Event::HookFailed { name: name.to_owned(), message });
    }
}
