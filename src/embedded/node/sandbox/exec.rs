//! Running one more program in a running container.
//!
//! A process namespace applies to children only, and going back is not possible: so a helper is forked, joins the
//! container's process namespace, and forks with `CLONE_PARENT`, which makes the program a child of the shim.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sched::{CloneFlags, setns};
use nix::unistd::{Pid, setsid};

use super::capabilities;
use super::child::{Plan, drop_privileges_and_execute, report_failure};
use super::spawn::{Failure, Process, Step, filters, parse_failure, pipe, read_report};
use super::spec::ContainerSpec;
use super::stdio::Stdio;
use super::sys::{self, Forked};
use crate::node::cgroup::Group;

/// A program to run beside a container's own.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct ExecSpec {
    /// Program and arguments.
    pub(crate) argv: Vec<String>,
}

/// Starts a program in the namespaces of the container whose first process is behind `target`, with the container's
/// environment, user and limits. The caller must be single-threaded.
pub(crate) fn exec(
    container: &ContainerSpec,
    group: Option<&Group>,
    target: BorrowedFd<'_>,
    spec: &ExecSpec,
    stdio: &Stdio,
) -> Result<Process, Failure> {
    let (report, report_write) = pipe()?;
    let plan = Plan {
        spec: container,
        group,
        capabilities: capabilities::mask(&container.capabilities, container.privileged)
            .step("read the capabilities")?,
        filters: filters(container)?,
    };
    match sys::clone3(0).step("fork")? {
        Forked::Child => {
            drop(report);
            helper(&plan, target, spec, stdio, report_write)
        }
        Forked::Parent { pid: helper, .. } => {
            drop(report_write);
            let said = read_report(report).step("wait for the program to start");
            let _ = nix::sys::wait::waitpid(helper, None);
            let said = said?;
            let (pid, failure) = parse(&said);
            let Some(pid) = pid else {
                return Err(failure
                    .unwrap_or_else(|| Failure::new("run the program", "no process was made")));
            };
            if let Some(failure) = failure {
                let _ = nix::sys::wait::waitpid(pid, None);
                return Err(failure);
            }
            // Our own child that nobody has waited for: the id cannot have been given away.
            let pidfd = sys::pidfd_open(pid).step("refer to the program")?;
            Ok(Process { pid, pidfd })
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
    plan: &Plan<'_>,
    target: BorrowedFd<'_>,
    spec: &ExecSpec,
    stdio: &Stdio,
    report: OwnedFd,
) -> ! {
    let run = || {
        setns(target, CloneFlags::CLONE_NEWPID).step("join the container's processes")?;
        // The program waits until its id is reported, so that the id always comes first.
        let (gate_read, gate_write) = nix::unistd::pipe().step("make a pipe")?;
        match sys::clone3(libc::CLONE_PARENT as u64).step("fork")? {
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
                sys::reset_signals().step("reset signals")?;
                setsid().step("start a session")?;
                if let Some(group) = plan.group {
                    group.join().step("join the control group")?;
                }
                setns(target, CloneFlags::CLONE_NEWCGROUP | CloneFlags::CLONE_NEWNS)
                    .step("join the container's file system")?;
                drop_privileges_and_execute(plan, &spec.argv, stdio, report.as_fd())
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
