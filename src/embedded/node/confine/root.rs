//! The node's own file system: its home where it is on the host, and what it reads of the machine.
//!
//! All mounts are in a mount namespace of the node's own, so that nothing of them outlives it. The directories above
//! the home, which may be closed to the node's user on the host, are made anew here.

use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{chdir, pivot_root};

use crate::node::cgroup::Tree;
use crate::node::machine::Machine;
use crate::node::sandbox;
use crate::{ClusterConfig, Error};

const SAFE: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

/// The directory that the node's root is mounted on, in its own namespace only.
pub(super) fn mount_point(config: &ClusterConfig) -> PathBuf {
    config.run_dir().join("root")
}

/// Moves the calling process into its own root.
pub(super) fn enter(
    config: &ClusterConfig,
    machine: &Machine,
    groups: Option<&Tree>,
) -> Result<(), Error> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(Error::errno("make the node's mount namespace"))?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
        .map_err(Error::errno("separate the node's mounts"))?;
    let root = mount_point(config);
    mount(Some("tmpfs"), &root, Some("tmpfs"), SAFE, Some("mode=755,size=64k"))
        .map_err(Error::errno("mount the node's root"))?;
    // Where random numbers come from when a static program cannot find the system call.
    for path in ["/dev/random", "/dev/urandom"] {
        show_device(&root, Path::new(path))?;
    }
    // With what is mounted below: containers have single files of `/etc` mounted.
    let seen = ["/etc", "/proc"];
    for path in seen {
        show(&root, Path::new(path), MsFlags::MS_REC | MsFlags::MS_RDONLY)?;
    }
    if let Some(dir) = machine.resolvers_elsewhere(&seen) {
        show(&root, dir, MsFlags::MS_RDONLY)?;
    }
    for dir in groups.map(|tree| tree.group("").existing()).unwrap_or_default() {
        show(&root, &dir, MsFlags::MS_RDONLY)?;
    }
    // Last, for it may be below one of the others, which would hide it.
    show(&root, &config.home, MsFlags::empty())?;
    chdir(&root).map_err(Error::errno("enter the node's root"))?;
    // With both arguments the same directory, the old root ends up mounted on top of the new one.
    pivot_root(".", ".").map_err(Error::errno("change the node's root"))?;
    umount2(".", MntFlags::MNT_DETACH).map_err(Error::errno("leave the host's file system"))?;
    chdir("/").map_err(Error::errno("enter /"))?;
    change("/", MsFlags::MS_RDONLY)
}

/// Shows a directory of the host under the same name.
fn show(root: &Path, path: &Path, how: MsFlags) -> Result<(), Error> {
    let target = root.join(path.strip_prefix("/").unwrap_or(path));
    let what = |verb: &str| format!("{verb} {} in the node's root", path.display());
    std::fs::create_dir_all(&target).map_err(Error::system(what("make")))?;
    let bind = MsFlags::MS_BIND | (how & MsFlags::MS_REC);
    mount(Some(path), &target, None::<&str>, bind, None::<&str>)
        .map_err(Error::errno(what("mount")))?;
    change(&target, how & MsFlags::MS_RDONLY)
}

/// Shows a device under the same name.
fn show_device(root: &Path, path: &Path) -> Result<(), Error> {
    let target = root.join(path.strip_prefix("/").unwrap_or(path));
    let what = || format!("show {} in the node's root", path.display());
    target
        .parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::File::create(&target))
        .map_err(Error::system(what()))?;
    mount(Some(path), &target, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .map_err(Error::errno(what()))
}

/// Changes the flags of a mount; nothing in it can gain privileges, be a device or be executed.
fn change(target: impl AsRef<Path>, flags: MsFlags) -> Result<(), Error> {
    let target = target.as_ref();
    // What the machine has made read-only cannot be made writable from a user namespace, and trying is an error.
    let locked = sandbox::locked_flags(target).map_err(Error::errno("look at a mount"))?;
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | SAFE | locked | flags;
    mount(None::<&str>, target, None::<&str>, flags, None::<&str>)
        .map_err(Error::errno(format!("change the mount {}", target.display())))
}
