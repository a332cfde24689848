//! One container as its shim sees it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

use jiff::Timestamp;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};

use super::copies::Copies;
use super::logs::{LogWriter, Stream};
use super::protocol::{ContainerState, Exit};
use super::stop::Hook;
use crate::node::cgroup::Group;
use crate::node::sandbox::{ContainerSpec, Ends, Process, Processes, sys};

/// Most bytes taken from one pipe before others get their turn.
const READ_SIZE: usize = 16 * 1024;

/// No pipe holds more.
const LARGEST_PIPE: usize = 4 << 20;

/// Most bytes of a program's last words.
const MESSAGE_LIMIT: u64 = 4096;

/// A started container.
pub(super) struct Container {
    pub(super) spec: ContainerSpec,
    pub(super) group: Option<Group>,
    pub(super) started_at: Timestamp,
    pub(super) exit: Option<Exit>,
    /// When a graceful stop turns into SIGKILL.
    pub(super) kill_at: Option<Instant>,
    /// Whether it was asked to end: what comes before that is done once.
    pub(super) asked: bool,
    /// What comes before the signal that asks it to end.
    pub(super) stopping: Option<Hook>,
    pid: i32,
    pidfd: OwnedFd,
    outputs: Vec<Output>,
    /// Who reads along.
    pub(super) copies: Copies,
    /// Where its standard input is written, if it has one and nobody has taken it for good.
    pub(super) stdin: Option<OwnedFd>,
    /// The controlling side of its terminal, if it has one.
    pub(super) terminal: Option<OwnedFd>,
    log: LogWriter,
    log_failed: bool,
    /// The layers of its images, which nobody removes while it runs.
    layers: Vec<File>,
}

struct Output {
    stream: Stream,
    pipe: File,
}

impl Container {
    pub(super) fn new(
        spec: ContainerSpec,
        group: Option<Group>,
        (process, ends): (Process, Ends),
        log: LogWriter,
        layers: Vec<File>,
    ) -> io::Result<Self> {
        let output = |stream, fd: OwnedFd| -> io::Result<Output> {
            fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
            Ok(Output { stream, pipe: fd.into() })
        };
        let (outputs, stdin, terminal) = match ends {
            Ends::Pipes { stdin, stdout, stderr } => {
                let outputs =
                    vec![output(Stream::Stdout, stdout)?, output(Stream::Stderr, stderr)?];
                (outputs, stdin, None)
            }
            Ends::Terminal(controller) => {
                let stdin = spec.stdin.then(|| controller.try_clone()).transpose()?;
                let terminal = controller.try_clone()?;
                (vec![output(Stream::Stdout, controller)?], stdin, Some(terminal))
            }
        };
        Ok(Self {
            spec,
            group,
            started_at: Timestamp::now(),
            exit: None,
            kill_at: None,
            asked: false,
            stopping: None,
            pid: process.pid.as_raw(),
            pidfd: process.pidfd,
            outputs,
            copies: Copies::default(),
            stdin,
            terminal,
            log,
            log_failed: false,
            layers,
        })
    }

    pub(super) fn state(&self) -> ContainerState {
        ContainerState {
            name: self.spec.name.clone(),
            attempt: self.spec.attempt,
            pid: self.pid,
            started_at: self.started_at.to_string(),
            exit: self.exit.clone(),
        }
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Pipes that may have output and are to be read.
    pub(super) fn pipes(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let wanted = |output: &&Output| !self.copies.are_behind(output.stream);
        self.outputs.iter().filter(wanted).map(|output| output.pipe.as_fd())
    }

    /// The outputs that have not ended.
    pub(super) fn has_output(&self, stream: Stream) -> bool {
        self.outputs.iter().any(|output| output.stream == stream)
    }

    pub(super) fn signal(&self, signal: i32) -> io::Result<()> {
        if self.exit.is_some() {
            return Ok(());
        }
        match sys::pidfd_signal(self.pidfd(), signal) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            result => result,
        }
    }

    /// Moves output that is there into the log, and to who reads along. With `all`, all that is there now: somebody may
    /// write on, whom a machine without control groups has let live.
    pub(super) fn copy_output(&mut self, all: bool) {
        self.copies.flush(Instant::now());
        let mut buffer = [0; READ_SIZE];
        let (mut index, mut rest) = (0, LARGEST_PIPE);
        while let Some(output) = self.outputs.get_mut(index) {
            let now = Timestamp::now();
            let stream = output.stream;
            if !all && self.copies.are_behind(stream) {
                index += 1;
                continue;
            }
            let written = match output.pipe.read(&mut buffer) {
                Ok(count) if count > 0 => {
                    rest = rest.saturating_sub(count);
                    if !all || rest == 0 {
                        (index, rest) = (index + 1, LARGEST_PIPE);
                    }
                    self.copies.write(stream, &buffer[..count], Instant::now());
                    self.log.write(stream, &buffer[..count], now)
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    index += 1;
                    Ok(())
                }
                // The end; of a terminal it is an error.
                _ => {
                    self.outputs.remove(index);
                    self.copies.finish(stream);
                    self.log.finish(stream, now)
                }
            };
            // A full disk must not stop the container: its output is lost until there is room again.
            if let Err(error) = written
                && !self.log_failed
            {
                self.log_failed = true;
                tracing::warn!(container = self.spec.name, %error, "cannot write the container's log");
            }
        }
    }

    /// Collects the exit status if the container has ended, and returns it, once.
    pub(super) fn reap(&mut self) -> Option<Exit> {
        if self.exit.is_some() {
            return None;
        }
        let mut exit = wait(self.pidfd.as_fd(), self.started_at)?;
        if let Some(group) = &self.group {
            exit.oom_killed = group.oom_kills() > 0;
            if self.spec.processes != Processes::Own {
                // What it has started would live on among the processes of others, and write on.
                group.kill();
            }
        }
        self.copy_output(true);
        self.outputs.clear();
        self.copies.finish(Stream::Stdout);
        self.copies.finish(Stream::Stderr);
        (self.stdin, self.terminal) = (None, None);
        self.kill_at = None;
        self.stopping = None;
        self.layers.clear();
        if let Some(group) = &self.group
            && let Err(error) = group.remove()
        {
            tracing::warn!(container = self.spec.name, %error, "cannot remove the container's control group");
        }
        exit.message = self.spec.message_file.as_deref().and_then(last_words);
        self.exit = Some(exit.clone());
        Some(exit)
    }
}

/// Whether the child behind `pidfd` has ended; it is collected then.
pub(super) fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    wait(pidfd, Timestamp::UNIX_EPOCH).is_some()
}

/// How the child behind `pidfd` ended, if it has.
pub(super) fn wait(pidfd: BorrowedFd<'_>, started_at: Timestamp) -> Option<Exit> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
    let (code, signal) = match waitid(Id::PIDFd(pidfd), flags) {
        Ok(WaitStatus::Exited(_, code)) => (code, None),
        Ok(WaitStatus::Signaled(_, signal, _)) => (128 + signal as i32, Some(signal as i32)),
        Ok(_) => return None,
        // No such child: collected elsewhere, which must not happen; better an odd code than waiting for ever.
        Err(_) => (255, None),
    };
    Some(Exit {
        code,
        signal,
        oom_killed: false,
        started_at: started_at.to_string(),
        finished_at: Timestamp::now().to_string(),
        message: None,
    })
}

/// The end of what a program wrote into its message file. The container has ended, so nobody changes it; it is not a
/// link, because it was made here and mounted over.
fn last_words(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MESSAGE_LIMIT))).ok()?;
    let mut bytes = Vec::new();
    file.take(MESSAGE_LIMIT).read_to_end(&mut bytes).ok()?;
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned())
}
