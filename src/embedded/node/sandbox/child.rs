//! The child's way from the fork to the container's program.

use std::convert::Infallible;
use std::ffi::CString;
use std::io::Write;
use std::os::fd::BorrowedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{chdir, pivot_root, setsid};
use seccompiler::BpfProgram;

use super::spawn::{Failure, Step};
use super::spec::{ContainerSpec, MountSource};
use super::stdio::Stdio;
use super::{capabilities, devices, identity, mounts, rootfs, seccomp, sys, user};
use crate::node::cgroup::Group;
use crate::node::rootless::Ids;

/// Open files a container may have where the machine allows it.
const OPEN_FILES: u64 = 1_048_576;
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the child was told before the fork.
pub(super) struct Plan<'a> {
    pub(super) spec: &'a ContainerSpec,
    pub(super) group: Option<&'a Group>,
    pub(super) capabilities: u64,
    pub(super) filters: Vec<BpfProgram>,
    /// The ids there are.
    pub(super) ids: Ids,
}

/// Goes all the way to the container's program.
pub(super) fn become_container(
    plan: &Plan<'_>,
    stdio: &Stdio,
    report: BorrowedFd<'_>,
) -> Result<Infallible, Failure> {
    build(plan)?;
    drop_privileges_and_execute(plan, &plan.spec.argv, stdio, report)
}

/// Writes the failed step where the parent reads it, and ends.
pub(super) fn report_failure(
    result: Result<Infallible, Failure>,
    report: impl Into<std::fs::File>,
) -> ! {
    let Err(Failure { step, message }) = result;
    let _ = report.into().write_all(format!("{step}\u{0}{message}").as_bytes());
    sys::exit_now(127)
}

/// Namespaces, mounts, new root.
fn build(plan: &Plan<'_>) -> Result<(), Failure> {
    let spec = plan.spec;
    sys::reset_signals().step("reset signals")?;
    setsid().step("start a session")?;
    if let Some(group) = plan.group {
        group.join().step("join the control group")?;
        unshare(CloneFlags::CLONE_NEWCGROUP).step("unshare the control group namespace")?;
    }
    match std::fs::write("/proc/self/oom_score_adj", spec.oom_score_adj.to_string()) {
        // Protecting a process takes CAP_SYS_RESOURCE; without it all that is lost is an order of precedence.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {}
        result => result.step("set oom_score_adj")?,
    }

    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .step("make mounts private")?;
    let root = rootfs::mount_root(spec, &plan.ids)?;
    let inside = mounts::Root::open(&root)?;
    devices::mount_kernel_file_systems(&inside, plan)?;
    for (number, volume) in spec.mounts.iter().enumerate() {
        match &volume.source {
            MountSource::Image { store, layers, sub_path } => {
                let files = rootfs::mount_image(&spec.dir, number, (store, layers), &plan.ids)?;
                mounts::mount_image(&inside, &volume.target, &files, sub_path.as_deref())?;
            }
            _ => mounts::mount_volume(&inside, volume)?,
        }
    }
    drop(inside);
    enter(&root)?;
    if !spec.privileged {
        devices::mask_kernel_files()?;
    }
    if spec.read_only_root {
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | MsFlags::MS_NODEV;
        mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).step("make / read-only")?;
    }
    Ok(())
}

/// Makes `root` the root of this process and lets go of the old one.
fn enter(root: &Path) -> Result<(), Failure> {
    chdir(root).step("enter the root file system")?;
    // With both arguments the same directory, the old root ends up mounted on top of the new one.
    pivot_root(".", ".").step("pivot the root file system")?;
    umount2(".", MntFlags::MNT_DETACH).step("detach the host's file system")?;
    chdir("/").step("enter /")
}

/// The last steps, shared with programs that join a running container.
pub(super) fn drop_privileges_and_execute(
    plan: &Plan<'_>,
    argv: &[String],
    stdio: &Stdio,
    report: BorrowedFd<'_>,
) -> Result<Infallible, Failure> {
    let spec = plan.spec;
    let who = user::resolve(&spec.user, Path::new("/")).step("find the user")?;
    if spec.user.non_root && who.uid == 0 {
        return Err(Failure::new(
            "start the container",
            "the pod says runAsNonRoot and the image's user is root",
        ));
    }
    if !spec.cwd.is_empty() {
        std::fs::create_dir_all(&spec.cwd).step("make the working directory")?;
        chdir(spec.cwd.as_str()).step("enter the working directory")?;
    }

    let way = identity::way(&who, &plan.ids).step("set the user")?;
    // There is nobody to give it to where there is one id.
    stdio.connect(plan.ids.has_user(who.uid).then_some(who.uid))?;
    allow_open_files().step("set the open file limit")?;

    identity::rename(&way, &who)?;
    if !spec.privileged {
        capabilities::bound(plan.capabilities).step("drop capabilities")?;
    }
    if spec.no_new_privileges {
        prctl::set_no_new_privs().step("forbid new privileges")?;
    }
    // A profile of somebody's own may refuse what comes next. Later, it takes the promise not to gain privileges.
    let late = spec.no_new_privileges && spec.profile.is_some();
    if !late {
        seccomp::install(&plan.filters).step("install the system call filter")?;
    }
    identity::take(&way, &who, plan.capabilities)?;

    // A change of user clears this, so it comes last. If the parent died before, nobody would send the signal.
    prctl::set_pdeathsig(Signal::SIGKILL).step("tie the container to its shim")?;
    let mut parent = [PollFd::new(report, PollFlags::empty())];
    if poll(&mut parent, PollTimeout::ZERO).unwrap_or(0) != 0 {
        return Err(Failure::new("start the container", "the shim is gone"));
    }
    sys::close_on_exec_from(3).step("close descriptors")?;
    if late {
        seccomp::install(&plan.filters).step("install the system call filter")?;
    }
    execute(argv, &spec.env, &who.home, stdio.is_terminal())
}

/// As many as other runtimes allow, or as the machine does.
fn allow_open_files() -> nix::Result<()> {
    if setrlimit(Resource::RLIMIT_NOFILE, OPEN_FILES, OPEN_FILES).is_ok() {
        return Ok(());
    }
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
}

/// `execvpe` with the container's own PATH.
fn execute(
    argv: &[String],
    env: &[String],
    home: &str,
    terminal: bool,
) -> Result<Infallible, Failure> {
    let Some(program) = argv.first() else {
        return Err(Failure::new(
            "start the container",
            "neither the pod nor the image names a command",
        ));
    };
    let step = format!("execute {program:?}");
    let c_string = |text: &str| CString::new(text).step("pass arguments and environment");
    let args = argv.iter().map(|arg| c_string(arg)).collect::<Result<Vec<_>, _>>()?;
    let mut vars = env.iter().map(|var| c_string(var)).collect::<Result<Vec<_>, _>>()?;
    if !env.iter().any(|var| var.starts_with("HOME=")) {
        vars.push(c_string(&format!("HOME={home}"))?);
    }
    if terminal && !env.iter().any(|var| var.starts_with("TERM=")) {
        vars.push(c_string("TERM=xterm")?);
    }
    let path = match env.iter().find_map(|var| var.strip_prefix("PATH=")) {
        Some(path) => path,
        None => {
            vars.push(c_string(&format!("PATH={DEFAULT_PATH}"))?);
            DEFAULT_PATH
        }
    };
    if program.contains('/') {
        let Err(error) = nix::unistd::execve(&c_string(program)?, &args, &vars);
        return Err(Failure::new(step, describe(error)));
    }
    let mut worst = Errno::ENOENT;
    for dir in path.split(':') {
        let dir = if dir.is_empty() { "." } else { dir };
        let Err(error) = nix::unistd::execve(&c_string(&format!("{dir}/{program}"))?, &args, &vars);
        if error != Errno::ENOENT && error != Errno::ENOTDIR {
            worst = error;
        }
    }
    match worst {
        Errno::ENOENT => {
            Err(Failure::new(step, "executable file not found in the container's $PATH"))
        }
        error => Err(Failure::new(step, describe(error))),
    }
}

/// The kernel's answer, with what it usually means for a program that does not start.
fn describe(error: Errno) -> String {
    match error {
        Errno::ENOENT => "no such file, or its interpreter or dynamic loader is missing".to_owned(),
        Errno::ENOEXEC => {
            "exec format error: built for another processor, or a script without #!".to_owned()
        }
        other => other.to_string(),
    }
}
