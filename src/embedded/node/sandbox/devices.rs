//! `/proc`, `/sys` and `/dev` of a container.

use std::os::unix::fs::symlink;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};

use super::child::Plan;
use super::mounts::{Kind, Root, by_fd};
use super::spawn::{Failure, Step};
use super::spec::RootFs;
use crate::node::cgroup::Group;

const NODES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
];

/// Files of the kernel that tell about, or reach, the whole machine.
const HIDDEN_FILES: [&str; 5] =
    ["/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/sched_debug"];
const HIDDEN_DIRS: [&str; 5] =
    ["/proc/acpi", "/proc/asound", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"];
const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Mounts the kernel's file systems below `root`.
pub(super) fn mount_kernel_file_systems(root: &Root, plan: &Plan<'_>) -> Result<(), Failure> {
    let Plan { spec, group, ids, .. } = plan;
    let safe = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    root.mount_new("/proc", "proc", safe, "")?;
    let sys_flags = if spec.privileged { safe } else { safe | MsFlags::MS_RDONLY };
    let mounted = root.mount_new("/sys", "sysfs", sys_flags, "");
    if ids.are_the_machines() {
        mounted?;
    } else if mounted.is_err() {
        // On the machine's network, which is not this namespace's: there is the machine's own to be shown.
        root.bind(Path::new("/sys"), "/sys", Kind::Directory)?;
        root.remount("/sys", sys_flags)?;
    }
    root.mount_new("/dev", "tmpfs", MsFlags::MS_NOSUID, "mode=755,size=64k")?;
    for node in NODES {
        root.bind(&Path::new("/dev").join(node), &format!("/dev/{node}"), Kind::File)?;
    }
    // The group of terminals, where it exists.
    let group_of_terminals = if ids.has_group(5) { ",gid=5" } else { "" };
    root.mount_new(
        "/dev/pts",
        "devpts",
        MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC,
        &format!("newinstance,ptmxmode=0666,mode=0620{group_of_terminals}"),
    )?;
    root.mount_new("/dev/shm", "tmpfs", safe, "mode=1777,size=64m")?;
    let held = root.find("/dev").step("find /dev")?;
    let dev = by_fd(&held);
    for (target, name) in LINKS {
        symlink(target, dev.join(name)).step(format!("make /dev/{name}"))?;
    }
    // Language runtimes size themselves by their control group; our own image does not need to look.
    match (group, &spec.root) {
        (Some(group), RootFs::Overlay { .. }) => mount_control_groups(root, group),
        _ => Ok(()),
    }
}

/// The container's view of its control group, read-only: it is the root of its own namespace.
fn mount_control_groups(root: &Root, group: &Group) -> Result<(), Failure> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY;
    let views = group.views();
    if let [(None, kind)] = views.as_slice() {
        return root.mount_new("/sys/fs/cgroup", kind, flags, "");
    }
    let writable = flags - MsFlags::MS_RDONLY;
    root.mount_new("/sys/fs/cgroup", "tmpfs", writable, "mode=755,size=64k")?;
    for (controllers, kind) in views {
        let names = controllers.unwrap_or_default();
        root.mount_new(&format!("/sys/fs/cgroup/{names}"), kind, flags, &names)?;
    }
    root.remount("/sys/fs/cgroup", flags)
}

/// Hides and protects what is left of the machine in `/proc` and `/sys`; runs after the root was entered.
pub(super) fn mask_kernel_files() -> Result<(), Failure> {
    let bind = |source: &str, target: &str| {
        mount(Some(source), target, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
    };
    for file in HIDDEN_FILES {
        ignore_absent(bind("/dev/null", file)).step(format!("hide {file}"))?;
    }
    for dir in HIDDEN_DIRS {
        let hide = mount(Some("tmpfs"), dir, Some("tmpfs"), MsFlags::MS_RDONLY, Some("size=0"));
        ignore_absent(hide).step(format!("hide {dir}"))?;
    }
    for path in READ_ONLY {
        let flags = MsFlags::MS_REMOUNT
            | MsFlags::MS_BIND
            | MsFlags::MS_RDONLY
            | MsFlags::MS_NOSUID
            | MsFlags::MS_NODEV
            | MsFlags::MS_NOEXEC;
        let protect = bind(path, path)
            .and_then(|()| mount(None::<&str>, path, None::<&str>, flags, None::<&str>));
        ignore_absent(protect).step(format!("protect {path}"))?;
    }
    Ok(())
}

/// Kernels differ in what they have.
fn ignore_absent(result: nix::Result<()>) -> nix::Result<()> {
    match result {
        Err(Errno::ENOENT) => Ok(()),
        result => result,
    }
}
