//! Mounting below a root file system that is not trusted.
//!
//! An image may hold any symlink anywhere. Every target is therefore looked up by the kernel *inside* the root
//! (`RESOLVE_IN_ROOT`) and then addressed through the descriptor that was found.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, mkdirat};
use nix::sys::statvfs::{FsFlags, statvfs};

use super::spawn::{Failure, Step};
use super::spec::{Mount, MountSource};
use crate::node::rootless::Ids;

/// A directory that paths are resolved in and cannot leave.
pub(super) struct Root {
    dir: OwnedFd,
}

/// What a mount point has to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
}

impl Root {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let dir = File::options()
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
            .open(path)
            .step(format!("open {}", path.display()))?;
        Ok(Self { dir: dir.into() })
    }

    /// Looks a path up inside the root.
    pub(super) fn find(&self, path: &str) -> nix::Result<OwnedFd> {
        let relative = path.trim_start_matches('/');
        let relative = if relative.is_empty() { "." } else { relative };
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        openat2(self.dir.as_fd(), relative, how)
    }

    /// Looks a mount point up, making what is missing of it.
    pub(super) fn find_or_make(&self, path: &str, kind: Kind) -> Result<OwnedFd, Failure> {
        let what = || format!("find the mount point {path}");
        match self.find(path) {
            Err(Errno::ENOENT) => {}
            result => return result.step(what()),
        }
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let mut at = self.find("/").step(what())?;
        for (index, part) in parts.iter().enumerate() {
            let so_far = parts[..=index].join("/");
            if let Ok(found) = self.find(&so_far) {
                at = found;
                continue;
            }
            let make = format!("make the mount point {path}");
            if index + 1 == parts.len() && kind == Kind::File {
                let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC | OFlag::O_WRONLY;
                openat(&at, *part, flags, Mode::from_bits_truncate(0o644)).step(make)?;
            } else {
                mkdirat(&at, *part, Mode::from_bits_truncate(0o755)).step(make)?;
            }
            at = self.find(&so_far).step(what())?;
        }
        Ok(at)
    }

    /// Mounts a new file system of type `kind`.
    pub(super) fn mount_new(
        &self,
        target: &str,
        kind: &str,
        flags: MsFlags,
        options: &str,
    ) -> Result<(), Failure> {
        let at = self.find_or_make(target, Kind::Directory)?;
        mount(Some(kind), &by_fd(&at), Some(kind), flags, Some(options))
            .step(format!("mount {kind} on {target}"))
    }

    /// Shows a host file or directory at `target`.
    pub(super) fn bind(&self, source: &Path, target: &str, kind: Kind) -> Result<(), Failure> {
        let at = self.find_or_make(target, kind)?;
        mount(
            Some(source),
            &by_fd(&at),
            None::<&str>,
            MsFlags::MS_BIND | MsFlags::MS_REC,
            None::<&str>,
        )
        .step(format!("mount {} on {target}", source.display()))
    }

    /// Changes the flags of the mount at `target`.
    pub(super) fn remount(&self, target: &str, flags: MsFlags) -> Result<(), Failure> {
        let at = self.find(target).step(format!("find the mount {target}"))?;
        let locked = locked_flags(&by_fd(&at)).step(format!("look at the mount {target}"))?;
        mount(
            None::<&str>,
            &by_fd(&at),
            None::<&str>,
            MsFlags::MS_REMOUNT | MsFlags::MS_BIND | locked | flags,
            None::<&str>,
        )
        .step(format!("change the mount {target}"))
    }
}

/// What the mount at `path` forbids and a process in a user namespace cannot allow: to be repeated in every change of it.
/// Nothing for the machine's root, who may.
pub(crate) fn locked_flags(path: &Path) -> nix::Result<MsFlags> {
    if Ids::read().are_the_machines() {
        return Ok(MsFlags::empty());
    }
    Ok(flags_of(statvfs(path)?.flags()))
}

fn flags_of(found: FsFlags) -> MsFlags {
    [
        (FsFlags::ST_RDONLY, MsFlags::MS_RDONLY),
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
    ]
    .into_iter()
    .filter(|(flag, _)| found.contains(*flag))
    .map(|(_, flag)| flag)
    .collect()
}

/// A path that leads to what a descriptor refers to, whatever happens to its name.
pub(super) fn by_fd(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

/// Mounts a volume or a generated file.
pub(super) fn mount_volume(root: &Root, volume: &Mount) -> Result<(), Failure> {
    let target = volume.target.as_str();
    let safe = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    match &volume.source {
        MountSource::Bind { path, sub_path } => {
            // Held open until it is mounted: `by_fd` names it.
            let held;
            let source = match sub_path {
                Some(sub_path) => {
                    held = Root::open(path)?
                        .find_or_make(sub_path, Kind::Directory)
                        .step(format!("find the subPath {sub_path:?} of the volume"))?;
                    by_fd(&held)
                }
                None => path.clone(),
            };
            let is_dir = std::fs::metadata(&source)
                .step(format!("find the volume {}", path.display()))?
                .is_dir();
            let kind = if is_dir { Kind::Directory } else { Kind::File };
            root.bind(&source, target, kind)?;
            let read_only = if volume.read_only { MsFlags::MS_RDONLY } else { MsFlags::empty() };
            root.remount(target, safe | read_only)
        }
        // Its layers come from elsewhere.
        MountSource::Image { .. } => Err(Failure::new("mount the volume", "it is an image")),
        MountSource::Tmpfs { size } => {
            let options = match size {
                Some(size) => format!("mode=1777,size={size}"),
                None => "mode=1777".to_owned(),
            };
            root.mount_new(target, "tmpfs", safe, &options)
        }
    }
}

/// Shows the files of an image, mounted at `files`, or what is at `sub_path` of them: to be read and nothing else.
pub(super) fn mount_image(
    root: &Root,
    target: &str,
    files: &Path,
    sub_path: Option<&str>,
) -> Result<(), Failure> {
    // Held open until it is mounted: `by_fd` names it.
    let held;
    let source = match sub_path {
        Some(sub_path) => {
            held = Root::open(files)?
                .find(sub_path)
                .step(format!("find the subPath {sub_path:?} of the image"))?;
            by_fd(&held)
        }
        None => files.to_owned(),
    };
    let is_dir = std::fs::metadata(&source).step("find the files of the image")?.is_dir();
    root.bind(&source, target, if is_dir { Kind::Directory } else { Kind::File })?;
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    root.remount(target, quiet | MsFlags::MS_RDONLY)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_lead_inside_the_root() {
        let outside = tempfile::tempdir().unwrap();
        let dir = tempfile::tempdir().unwrap();
        symlink(outside.path(), dir.path().join("absolute")).unwrap();
        symlink("../../../../../..", dir.path().join("up")).unwrap();
        let root = Root::open(dir.path()).unwrap();
        // The link's target does not exist inside: nothing outside is touched.
        assert!(root.find_or_make("/absolute/volume", Kind::Directory).is_err());
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
        // Upwards ends at the root.
        root.find_or_make("/up/volume/file", Kind::File).unwrap();
        assert!(dir.path().join("volume/file").is_file());
    }

    #[test]
    fn what_a_mount_forbids_is_repeated_and_nothing_else() {
        let found = FsFlags::ST_NOSUID | FsFlags::ST_RDONLY | FsFlags::ST_SYNCHRONOUS;
        assert_eq!(flags_of(found), MsFlags::MS_NOSUID | MsFlags::MS_RDONLY);
        assert_eq!(flags_of(FsFlags::empty()), MsFlags::empty());
    }

    #[test]
    fn an_existing_mount_point_is_used() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        let root = Root::open(dir.path()).unwrap();
        root.find_or_make("/a/b", Kind::Directory).unwrap();
        root.find_or_make("/a/b/c", Kind::Directory).unwrap();
        assert!(dir.path().join("a/b/c").is_dir());
    }
}
