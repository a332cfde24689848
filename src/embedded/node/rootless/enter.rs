//! The way into a user namespace.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getegid, geteuid};

use super::obstacle;
use super::plan::{Mapping, Plan};
use crate::Error;
use crate::node::sandbox::sys::{self, Forked};

/// What a helper says when it has given the namespace its ids.
const DONE: u8 = b'+';

/// Moves the calling process into a new user namespace, in which it is root. It must have no second thread.
pub(super) fn user_namespace() -> Result<(), Error> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    match Plan::of_this_user() {
        Plan::Range { users, groups } => by_programs(&users, &groups),
        Plan::One { why } => {
            tracing::debug!(why, "the user namespace has one id");
            unshare_users()?;
            map_one(uid, gid)
        }
    }
}

fn unshare_users() -> Result<(), Error> {
    unshare(CloneFlags::CLONE_NEWUSER).map_err(|errno| {
        // What the kernel says is the same for many reasons.
        let (seen, fix) = match obstacle::obstacle() {
            Some(obstacle) => (obstacle.seen, obstacle.fix),
            None => (errno.to_string(), "run curtain as root".to_owned()),
        };
        Error::NoNamespaces { seen, fix }
    })
}

/// The one id is called root. Whoever maps no more than their own may do it themselves, once they give up changing groups.
fn map_one(uid: u32, gid: u32) -> Result<(), Error> {
    let write = |file: &str, text: &str| {
        fs::write(file, text).map_err(Error::system(format!("write {file}")))
    };
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/gid_map", &format!("0 {gid} 1"))?;
    write("/proc/self/uid_map", &format!("0 {uid} 1"))
}

/// Ids beside one's own are given from outside: by a helper that stays there.
fn by_programs(users: &Mapping, groups: &Mapping) -> Result<(), Error> {
    let pipe = || nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC);
    let (made, told) = (pipe().map_err(Error::errno("make a pipe"))?, pipe());
    let told = told.map_err(Error::errno("make a pipe"))?;
    let own = std::process::id().to_string();
    match sys::clone3(0).map_err(Error::system("fork"))? {
        Forked::Child => {
            drop((made.1, told.0));
            let mut byte = [0];
            // Nothing comes where the namespace could not be made.
            if fs::File::from(made.0).read_exact(&mut byte).is_ok() {
                let said = map_by(groups, &own).and_then(|()| map_by(users, &own));
                let text = said.map_or_else(|why| why.into_bytes(), |()| vec![DONE]);
                let _ = fs::File::from(told.1).write_all(&text);
            }
            sys::exit_now(0)
        }
        Forked::Parent { pid, .. } => {
            drop((made.0, told.1));
            let entered = unshare_users();
            if entered.is_ok() {
                let _ = fs::File::from(made.1).write_all(b"x");
            } else {
                drop(made.1);
            }
            let mut said = Vec::new();
            let read = fs::File::from(told.0).read_to_end(&mut said);
            let _ = waitpid(pid, None);
            entered?;
            read.map_err(Error::system("hear who maps ids"))?;
            if said == [DONE] {
                return Ok(());
            }
            let seen = match String::from_utf8_lossy(&said).trim() {
                "" => "the process that maps ids ended early".to_owned(),
                said => said.to_owned(),
            };
            let fix = "see whether newuidmap and newgidmap are set-user-ID root and on a file system without \
                       nosuid; without the user's lines in /etc/subuid and /etc/subgid the cluster has one id"
                .to_owned();
            Err(Error::NoNamespaces { seen, fix })
        }
    }
}

fn map_by(mapping: &Mapping, pid: &str) -> Result<(), String> {
    let name = mapping.program.display();
    let output = Command::new(&mapping.program)
        .arg(pid)
        .args(mapping.words())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run {name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name} ended with {}: {}", output.status, said.trim()))
}

/// Runs `supervise` as the first process of namespaces of its own, and waits for it. Returns what it returns, in its own
/// process; the calling one waits, passes signals on, and ends with it.
///
/// The caller must be single-threaded.
pub(in crate::node) fn supervised(
    supervise: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    user_namespace()?;
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID)
        .map_err(Error::errno("make the cluster's namespaces"))?;
    // Before the fork: no signal is to end the one and not the other.
    let signals = wanted();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&signals), None)
        .map_err(Error::errno("block signals"))?;
    let (alive, dead) =
        nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(Error::errno("make a pipe"))?;
    match sys::clone3(0).map_err(Error::system("fork the supervisor"))? {
        Forked::Child => {
            drop(dead);
            prctl::set_pdeathsig(Signal::SIGKILL)
                .map_err(Error::errno("tie the supervisor to its parent"))?;
            let mut parent = [PollFd::new(alive.as_fd(), PollFlags::empty())];
            if poll(&mut parent, PollTimeout::ZERO).unwrap_or(1) != 0 {
                return Ok(());
            }
            mount_processes()?;
            supervise()
        }
        Forked::Parent { pid, .. } => {
            drop(alive);
            let code = attend(pid, &signals);
            drop(dead);
            sys::exit_now(code)
        }
    }
}

fn wanted() -> SigSet {
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD].into_iter().collect()
}

/// Passes signals on to a child until it ends; the code that it ended with.
fn attend(child: Pid, signals: &SigSet) -> i32 {
    loop {
        match signals.wait() {
            Ok(Signal::SIGCHLD) | Err(Errno::EINTR) => {}
            Ok(signal) => {
                // Not collected yet: the id is still its own.
                let _ = kill(child, signal);
            }
            Err(_) => return 1,
        }
        match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) => return code,
            Ok(WaitStatus::Signaled(_, signal, _)) => return 128 + signal as i32,
            Ok(_) => {}
            Err(_) => return 1,
        }
    }
}

/// Shows the new namespace's processes, and keeps what is mounted here from the machine.
fn mount_processes() -> Result<(), Error> {
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
        .map_err(Error::errno("separate the cluster's mounts"))?;
    let safe = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), safe, None::<&str>).map_err(|errno| {
        match obstacle::obstacle() {
            Some(obstacle) => Error::NoNamespaces { seen: obstacle.seen, fix: obstacle.fix },
            None => Error::System {
                what: "mount /proc for the cluster".to_owned(),
                source: io::Error::from(errno),
            },
        }
    })
}
