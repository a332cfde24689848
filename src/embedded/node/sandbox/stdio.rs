//! What a program reads and writes: pipes, or a terminal.
//!
//! A terminal belongs to the container: the program's own side opens it in the container's `devpts`, and hands the
//! controlling side out. So nothing of a container's file system is opened from outside.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::unistd::{Gid, Uid, dup2_stderr, dup2_stdin, dup2_stdout, fchown};

use super::spawn::{Failure, Step, pipe};
use super::sys;
use crate::node::wire::{Channel, Received};

/// The standard streams of a program that is about to start.
pub(crate) enum Stdio {
    /// What it is given; without a standard input it finds nothing to read.
    Pipes { stdin: Option<OwnedFd>, stdout: OwnedFd, stderr: OwnedFd },
    /// A terminal of the container; its controlling side is sent here.
    Terminal(Channel),
}

/// The other ends, once the program has started.
pub(crate) enum Ends {
    Pipes {
        stdin: Option<OwnedFd>,
        stdout: OwnedFd,
        stderr: OwnedFd,
    },
    /// The controlling side of its terminal: input, output and errors.
    Terminal(OwnedFd),
}

/// The other ends, before the program has started.
pub(crate) enum Pending {
    Known(Ends),
    Terminal(Channel),
}

impl Stdio {
    /// Pipes.
    pub(crate) fn pipes(stdin: bool) -> Result<(Self, Pending), Failure> {
        let (output, errors) = (pipe()?, pipe()?);
        let (read, write) = match stdin {
            true => pipe().map(|(read, write)| (Some(read), Some(write)))?,
            false => (None, None),
        };
        let ends = Ends::Pipes { stdin: write, stdout: output.0, stderr: errors.0 };
        let own = Self::Pipes { stdin: read, stdout: output.1, stderr: errors.1 };
        Ok((own, Pending::Known(ends)))
    }

    /// A terminal.
    pub(crate) fn terminal() -> Result<(Self, Pending), Failure> {
        let (theirs, ours) = Channel::pair().step("make a socket")?;
        Ok((Self::Terminal(theirs), Pending::Terminal(ours)))
    }

    /// Nothing to read, and output that nobody wants.
    pub(crate) fn null() -> std::io::Result<Self> {
        let null = || File::options().write(true).open("/dev/null").map(OwnedFd::from);
        Ok(Self::Pipes { stdin: None, stdout: null()?, stderr: null()? })
    }

    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal(_))
    }

    /// Makes them the calling process' own; it is in the container already, leads a session, and has its privileges
    /// still. A terminal becomes `owner`'s, if there is one.
    pub(super) fn connect(&self, owner: Option<u32>) -> Result<(), Failure> {
        match self {
            Self::Pipes { stdin, stdout, stderr } => {
                match stdin {
                    Some(stdin) => dup2_stdin(stdin),
                    None => {
                        let null = File::open("/dev/null").step("open /dev/null")?;
                        dup2_stdin(&null)
                    }
                }
                .step("connect standard input")?;
                dup2_stdout(stdout).step("connect standard output")?;
                dup2_stderr(stderr).step("connect standard error")
            }
            Self::Terminal(channel) => {
                let (controller, terminal) = open_terminal().step("open a terminal")?;
                channel.send(&(), &[controller.as_fd()]).step("hand the terminal over")?;
                fchown(&terminal, owner.map(Uid::from_raw), None::<Gid>)
                    .step("give the terminal to the user")?;
                sys::control_terminal(terminal.as_fd()).step("take control of the terminal")?;
                dup2_stdin(&terminal).step("connect standard input")?;
                dup2_stdout(&terminal).step("connect standard output")?;
                dup2_stderr(&terminal).step("connect standard error")
            }
        }
    }
}

impl Pending {
    /// To be called when the program has started.
    pub(crate) fn take(self) -> Result<Ends, Failure> {
        let channel = match self {
            Self::Known(ends) => return Ok(ends),
            Self::Terminal(channel) => channel,
        };
        // It was sent before the program was executed.
        match channel.receive::<()>().step("take the terminal over")? {
            Received::Message((), fds) => fds.into_iter().next().map(Ends::Terminal),
            Received::Nothing | Received::Closed => None,
        }
        .ok_or_else(|| Failure::new("take the terminal over", "the program sent none"))
    }
}

/// A new terminal of the file system that this process is in: the controlling side, and its own.
fn open_terminal() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let controller = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY)
        .open("/dev/pts/ptmx")?;
    let terminal = sys::open_terminal_of(controller.as_fd())?;
    Ok((controller.into(), terminal))
}
