//! The first process of a process namespace that several containers share: it does nothing, and is there.

use std::convert::Infallible;
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{pause, setsid};

use super::child::report_failure;
use super::spawn::{Failure, Process, Step, parse_failure, pipe, read_report};
use super::sys::{self, Forked};

/// Makes a process namespace. It lasts as long as its first process, which ends with the caller.
///
/// The caller must be single-threaded.
pub(crate) fn init() -> Result<Process, Failure> {
    let (report, report_write) = pipe()?;
    let flags = u64::from(CloneFlags::CLONE_NEWPID.bits().unsigned_abs());
    match sys::clone3(flags).step("fork")? {
        Forked::Child => {
            drop(report);
            let prepared = prepare(report_write.as_fd());
            if let Err(failure) = prepared {
                report_failure(Err::<Infallible, _>(failure), report_write);
            }
            // The report ends with this, and with it go the caller's sockets.
            sys::close_from(3);
            loop {
                pause();
            }
        }
        Forked::Parent { pid, pidfd } => {
            drop(report_write);
            match read_report(report).step("wait for the first process") {
                Ok(said) if said.is_empty() => Ok(Process { pid, pidfd }),
                Ok(said) => Err(parse_failure(&said)),
                Err(failure) => Err(failure),
            }
        }
    }
}

fn prepare(report: std::os::fd::BorrowedFd<'_>) -> Result<(), Failure> {
    sys::reset_signals().step("reset signals")?;
    // Whoever loses its parent in here becomes its child, and is gone when it ends.
    sys::ignore(Signal::SIGCHLD).step("ignore the ends of processes")?;
    setsid().step("start a session")?;
    prctl::set_pdeathsig(Signal::SIGKILL).step("tie the first process to its shim")?;
    let mut parent = [PollFd::new(report, PollFlags::empty())];
    match poll(&mut parent, PollTimeout::ZERO) {
        Ok(0) => Ok(()),
        _ => Err(Failure::new("start the first process", "the shim is gone")),
    }
}
