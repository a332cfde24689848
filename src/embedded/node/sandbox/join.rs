//! A process in a process namespace that is there already.
//!
//! A process namespace applies to children only, and going back is not possible: so a helper is forked, joins the
//! namespace, and forks with `CLONE_PARENT`, which makes the process a child of the shim.

use std::convert::Infallible;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sched::{CloneFlags, setns};
use nix::sys::prctl;
use nix::unistd::Pid;

use super::child::report_failure;
use super::spawn::{Failure, Process, Step, end, parse_failure, pipe, read_report};
use super::sys::{self, Forked};

/// Forks into the process namespace of the process behind `target`, with the other new namespaces of `flags`. The child
/// runs `become_program`, which either executes or fails. The caller must be single-threaded.
pub(super) fn fork_into(
    target: BorrowedFd<'_>,
    flags: CloneFlags,
    become_program: impl FnOnce(BorrowedFd<'_>) -> Result<Infallible, Failure>,
) -> Result<Process, Failure> {
    let (report, report_write) = pipe()?;
    match sys::clone3(0).step("fork")? {
        Forked::Child => {
            drop(report);
            helper(target, flags, become_program, report_write)
        }
        Forked::Parent { pid: helper, pidfd: helper_fd } => {
            drop(report_write);
            let (said, late) = read_report(report);
            // It has done its part, or never will.
            end(helper, helper_fd);
            let (pid, failure) = parse(&said);
            let Some(pid) = pid else {
                let none = || Failure::new("run the program", "no process was made");
                return Err(late.or(failure).unwrap_or_else(none));
            };
            // Our own child that nobody has waited for: the id cannot have been given away.
            let pidfd = sys::pidfd_open(pid).step("refer to the program")?;
            match late.or(failure) {
                None => Ok(Process { pid, pidfd }),
                Some(failure) => {
                    end(pid, pidfd);
                    Err(failure)
                }
            }
        }
    }
}

/// `pid <n>\n` from the helper, then a failure of either, if any.
fn parse(said: &str) -> (Option<Pid>, Option<Failure>) {
    let (pid, rest) = match said.strip_prefix("pid ").and_then(|rest| rest.split_once('\n')) {
        Some((pid, rest)) => (pid.parse().ok().map(Pid::from_raw), rest),
        None => (None, said),
    };
    (pid, (!rest.is_empty()).then(|| parse_failure(rest)))
}

fn helper(
    target: BorrowedFd<'_>,
    flags: CloneFlags,
    become_program: impl FnOnce(BorrowedFd<'_>) -> Result<Infallible, Failure>,
    report: OwnedFd,
) -> ! {
    let run = || {
        // Before it is the program, nobody in there may look into it: it has the shim's memory and descriptors still.
        prctl::set_dumpable(false).step("close the process to others")?;
        setns(target, CloneFlags::CLONE_NEWPID).step("join the container's processes")?;
        // The program waits until its id is reported, so that the id always comes first.
        let (gate_read, gate_write) = nix::unistd::pipe().step("make a pipe")?;
        let flags = u64::from(flags.bits().unsigned_abs()) | libc::CLONE_PARENT as u64;
        match sys::clone3(flags).step("fork")? {
            Forked::Parent { pid, .. } => {
                let mut report = std::fs::File::from(report.try_clone().step("report")?);
                report.write_all(format!("pid {pid}\n").as_bytes()).step("report")?;
                drop((gate_read, gate_write));
                sys::exit_now(0)
            }
            Forked::Child => {
                drop(gate_write);
                let mut byte = [0];
                let _ = nix::unistd::read(&gate_read, &mut byte);
                drop(gate_read);
                become_program(report.as_fd())
            }
        }
    };
    report_failure(run(), report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_of_helper_and_program_are_told_apart() {
        assert_eq!(parse("pid 7\n"), (Some(Pid::from_raw(7)), None));
        let (pid, failure) = parse("pid 7\nexecute \"x\"\u{0}not found");
        assert_eq!(pid, Some(Pid::from_raw(7)));
        assert_eq!(failure.unwrap().message, "not found");
        let (pid, failure) = parse("fork\u{0}EAGAIN");
        assert_eq!((pid, failure.unwrap().step.as_str()), (None, "fork"));
    }
}
