//! Running one more program in a running container.

use std::os::fd::BorrowedFd;

use nix::sched::{CloneFlags, setns};
use nix::unistd::setsid;

use super::capabilities;
use super::child::{Plan, drop_privileges_and_execute};
use super::join::fork_into;
use super::spawn::{Failure, Process, Step, filters};
use super::spec::ContainerSpec;
use super::stdio::Stdio;
use super::sys;
use crate::node::cgroup::Group;
use crate::node::rootless::Ids;

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
    let plan = Plan {
        spec: container,
        group,
        capabilities: capabilities::mask(&container.capabilities, container.privileged)
            .step("read the capabilities")?,
        filters: filters(container)?,
        ids: Ids::read(),
    };
    fork_into(target, CloneFlags::empty(), |report| {
        sys::reset_signals().step("reset signals")?;
        setsid().step("start a session")?;
        let mut namespaces = CloneFlags::CLONE_NEWNS;
        if let Some(group) = plan.group {
            group.join().step("join the control group")?;
            // Without a group it has none of its own, and the machine's is not ours to join.
            namespaces |= CloneFlags::CLONE_NEWCGROUP;
        }
        setns(target, namespaces).step("join the container's file system")?;
        drop_privileges_and_execute(&plan, &spec.argv, stdio, report)
    })
}
