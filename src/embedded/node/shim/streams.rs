//! Programs beside a container's own, and who joins that one: what they read and write never passes the shim, except
//! the copies of a container's output.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::container::Container;
use super::logs::Stream;
use super::protocol::{Reply, Streams};
use super::serve::{Program, Shim};
use crate::node::sandbox::{self, Ends, ExecSpec, Process, Stdio};

/// What the node handed over, in the order of [`Streams`]; `None` for what it did not announce.
struct Given {
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
}

impl Given {
    fn new(streams: Streams, fds: Vec<OwnedFd>) -> Self {
        let mut fds = fds.into_iter();
        let mut next = |wanted: bool| if wanted { fds.next() } else { None };
        Self {
            stdin: next(streams.stdin),
            stdout: next(streams.stdout),
            stderr: next(streams.stderr),
        }
    }
}

impl Shim {
    pub(super) fn running(&mut self, name: &str) -> Result<&mut Container, String> {
        let found = self.containers.get_mut(name).filter(|one| one.exit.is_none());
        found.ok_or_else(|| format!("container {name} does not run"))
    }

    /// Runs a program whose output goes to the two descriptors, if they are there; it is killed after a while.
    pub(super) fn exec(
        &mut self,
        id: u64,
        name: &str,
        exec: &ExecSpec,
        limit: Duration,
        fds: Vec<OwnedFd>,
    ) -> Result<Reply, String> {
        let mut fds = fds.into_iter();
        let stdio = match (fds.next(), fds.next()) {
            (Some(stdout), Some(stderr)) => Stdio::Pipes { stdin: None, stdout, stderr },
            _ => Stdio::null().map_err(|error| error.to_string())?,
        };
        self.run_program(id, name, exec, &stdio, Some(Instant::now() + limit))
    }

    /// Runs a program for somebody. Its terminal, if it gets one, is added to `ends`.
    pub(super) fn stream(
        &mut self,
        id: u64,
        name: &str,
        exec: &ExecSpec,
        streams: Streams,
        fds: Vec<OwnedFd>,
        ends: &mut Vec<OwnedFd>,
    ) -> Result<Reply, String> {
        if streams.terminal {
            let (stdio, pending) = Stdio::terminal().map_err(|failure| failure.to_string())?;
            let reply = self.run_program(id, name, exec, &stdio, None)?;
            // The shim must not keep it: the program is to see when the other end goes.
            if let Ends::Terminal(end) = pending.take().map_err(|failure| failure.to_string())? {
                ends.push(end);
            }
            return Ok(reply);
        }
        let null = || std::fs::File::options().write(true).open("/dev/null").map(OwnedFd::from);
        let or_null = |given: Option<OwnedFd>| match given {
            Some(fd) => Ok(fd),
            None => null().map_err(|error| error.to_string()),
        };
        let given = Given::new(streams, fds);
        let stdio = Stdio::Pipes {
            stdin: given.stdin,
            stdout: or_null(given.stdout)?,
            stderr: or_null(given.stderr)?,
        };
        self.run_program(id, name, exec, &stdio, None)
    }

    fn run_program(
        &mut self,
        id: u64,
        name: &str,
        exec: &ExecSpec,
        stdio: &Stdio,
        kill_at: Option<Instant>,
    ) -> Result<Reply, String> {
        let container = self.running(name)?;
        let group = container.group.as_ref();
        let Process { pid, pidfd } =
            sandbox::exec(&container.spec, group, container.pidfd(), exec, stdio)
                .map_err(|failure| failure.to_string())?;
        let started_at = Timestamp::now();
        self.programs.insert(id, Program { pidfd, started_at, kill_at });
        Ok(Reply::Started { pid: pid.as_raw(), at: started_at.to_string() })
    }

    /// Lets somebody join a container's own program: its output is copied to what came along, its standard input and
    /// its terminal are added to `ends`.
    pub(super) fn attach(
        &mut self,
        name: &str,
        streams: Streams,
        fds: Vec<OwnedFd>,
        ends: &mut Vec<OwnedFd>,
    ) -> Result<Reply, String> {
        let container = self.running(name)?;
        let given = Given::new(Streams { stdin: false, ..streams }, fds);
        let outputs = [(Stream::Stdout, given.stdout), (Stream::Stderr, given.stderr)];
        for (stream, pipe) in outputs {
            if let Some(pipe) = pipe.filter(|_| container.has_output(stream)) {
                container.copies.add(stream, pipe).map_err(|error| error.to_string())?;
            }
        }
        let share = |fd: &OwnedFd| fd.try_clone().map_err(|error| error.to_string());
        let stdin = match &container.stdin {
            // A pipe that only one has ends with them, whatever becomes of the node.
            Some(_) if streams.stdin && container.spec.stdin_once => container.stdin.take(),
            Some(stdin) if streams.stdin => Some(share(stdin)?),
            _ => None,
        };
        let terminal = container.terminal.as_ref().map(share).transpose()?;
        let reply = Reply::Attached { stdin: stdin.is_some(), terminal: terminal.is_some() };
        ends.extend(stdin.into_iter().chain(terminal));
        Ok(reply)
    }
}
