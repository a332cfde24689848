//! Starting a container and knowing whether it started.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::unistd::{Pid, pipe2};

use super::child::{self, Plan};
use super::join::fork_into;
use super::spec::ContainerSpec;
use super::stdio::{Ends, Stdio};
use super::sys::{self, Forked};
use super::{capabilities, seccomp};
use crate::node::cgroup::Group;
use crate::node::rootless::Ids;

/// Longest time from the fork to the program's first instruction.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A program running in a sandbox.
#[derive(Debug)]
pub(crate) struct Process {
    /// Its id outside the container.
    pub(crate) pid: Pid,
    /// Readable once the process has ended.
    pub(crate) pidfd: OwnedFd,
}

/// A step of the start that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {step}: {message}")]
pub(crate) struct Failure {
    /// What was tried.
    pub(crate) step: String,
    /// What happened.
    pub(crate) message: String,
}

impl Failure {
    pub(super) fn new(step: impl Into<String>, message: impl ToString) -> Self {
        Self { step: step.into(), message: message.to_string() }
    }
}

/// `result.step("mount /proc")?`: names the step of a start that failed.
pub(super) trait Step<T> {
    fn step(self, what: impl Into<String>) -> Result<T, Failure>;
}

impl<T, E: ToString> Step<T> for Result<T, E> {
    fn step(self, what: impl Into<String>) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(what, error))
    }
}

/// Starts a container in new mount and control group namespaces, and in a process namespace of its own or that of the
/// process behind `beside`; the other namespaces are the caller's.
///
/// The caller must be single-threaded.
pub(crate) fn spawn(
    spec: &ContainerSpec,
    group: Option<&Group>,
    beside: Option<BorrowedFd<'_>>,
) -> Result<(Process, Ends), Failure> {
    if let Some(group) = group {
        group.create(&spec.limits).step("set the limits")?;
    }
    std::fs::create_dir_all(&spec.dir).step("make the container's directory")?;
    let (stdio, pending) = match spec.terminal {
        true => Stdio::terminal()?,
        false => Stdio::pipes(spec.stdin)?,
    };
    let plan = Plan {
        spec,
        group,
        capabilities: capabilities::mask(&spec.capabilities, spec.privileged)
            .step("read the capabilities")?,
        filters: filters(spec)?,
        ids: Ids::read(),
    };
    let process = match beside {
        None => fork_alone(&plan, &stdio)?,
        Some(target) => fork_into(target, CloneFlags::CLONE_NEWNS, |report| {
            child::become_container(&plan, &stdio, report)
        })?,
    };
    drop(stdio);
    match pending.take() {
        Ok(ends) => Ok((process, ends)),
        Err(failure) => {
            end(process.pid, process.pidfd);
            Err(failure)
        }
    }
}

/// Forks into a process namespace of its own, whose end is the end of all its processes.
fn fork_alone(plan: &Plan<'_>, stdio: &Stdio) -> Result<Process, Failure> {
    let (report, report_write) = pipe()?;
    let namespaces = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS;
    match sys::clone3(u64::from(namespaces.bits().unsigned_abs())).step("fork")? {
        Forked::Child => {
            // A process that has the other end could not see its parent die.
            drop(report);
            let Err(failure) = child::become_container(plan, stdio, report_write.as_fd());
            child::report_failure(Err(failure), report_write)
        }
        Forked::Parent { pid, pidfd } => {
            drop(report_write);
            let failure = match read_report(report) {
                (said, None) if said.is_empty() => return Ok(Process { pid, pidfd }),
                (said, None) => parse_failure(&said),
                (_, Some(late)) => late,
            };
            end(pid, pidfd);
            Err(failure)
        }
    }
}

/// Ends a child that is of no use, and waits for it.
pub(super) fn end(pid: Pid, pidfd: OwnedFd) {
    let _ = sys::pidfd_signal(pidfd.as_fd(), libc::SIGKILL);
    let _ = nix::sys::wait::waitpid(pid, None);
}

/// The system call filters of a container.
pub(super) fn filters(spec: &ContainerSpec) -> Result<Vec<seccompiler::BpfProgram>, Failure> {
    let programs = match &spec.profile {
        _ if spec.privileged => return Ok(Vec::new()),
        Some(profile) => profile.programs(),
        None if spec.seccomp => seccomp::programs(),
        None => return Ok(Vec::new()),
    };
    programs.step("compile the system call filter")
}

/// A close-on-exec pipe: read end, write end.
pub(super) fn pipe() -> Result<(OwnedFd, OwnedFd), Failure> {
    pipe2(OFlag::O_CLOEXEC).step("make a pipe")
}

/// Reads a report until its writers have executed, ended or failed: what they said, and why they were not heard out.
pub(super) fn read_report(report: OwnedFd) -> (String, Option<Failure>) {
    let mut said = Vec::new();
    let heard = hear(report, &mut said).step("wait for the program to start");
    (String::from_utf8_lossy(&said).into_owned(), heard.err())
}

fn hear(report: OwnedFd, said: &mut Vec<u8>) -> std::io::Result<()> {
    let deadline = Instant::now() + START_LIMIT;
    let mut file = File::from(report);
    let mut buffer = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout =
            PollTimeout::try_from(left.as_millis().min(60_000) as u64).unwrap_or(PollTimeout::ZERO);
        let ready = match poll(&mut [PollFd::new(file.as_fd(), PollFlags::POLLIN)], timeout) {
            Err(Errno::EINTR) => continue,
            result => result?,
        };
        if ready == 0 {
            return Err(std::io::Error::new(
                std::io::ErrorKind::TimedOut,
                format!("nothing within {} s", START_LIMIT.as_secs()),
            ));
        }
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            count => said.extend_from_slice(&buffer[..count]),
        }
    }
}

/// The inverse of what a failing child writes.
pub(super) fn parse_failure(said: &str) -> Failure {
    let (step, message) = said.split_once('\u{0}').unwrap_or(("start", said));
    Failure::new(step, message)
}
