//! Giving a volume to the pod's group (`fsGroup`), as kubelets do.
//!
//! What is in a volume is its containers', symlinks to anywhere included, and other pods may be changing it: every
//! entry is opened without following links, and changed through what was opened.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use serde::{Deserialize, Serialize};

use crate::node::rootless::Ids;

const FILE: u32 = 0o660;
const DIRECTORY: u32 = 0o2770;

/// The group of a volume that outlives pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupOwner {
    pub(crate) id: u32,
    /// Everything is looked at, even if the directory itself is as it should be.
    pub(crate) always: bool,
}

/// An entry that nobody can put something else in place of.
struct Entry(OwnedFd);

impl Entry {
    /// `None` for a link, and for what is gone.
    fn open(dir: Option<&Entry>, name: &Path) -> io::Result<Option<Self>> {
        let how = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened = match dir {
            Some(Entry(dir)) => openat(dir, name, how, Mode::empty()),
            None => openat(AT_FDCWD, name, how, Mode::empty()),
        };
        match opened {
            Ok(fd) => {
                let entry = Self(fd);
                Ok((!fs::File::from(entry.0.try_clone()?).metadata()?.is_symlink())
                    .then_some(entry))
            }
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// A path to the entry itself, wherever it is by now.
    fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }
}

fn wanted(meta: &fs::Metadata) -> u32 {
    if meta.is_dir() { DIRECTORY } else { FILE }
}

fn is_given(meta: &fs::Metadata, group: u32) -> bool {
    meta.gid() == group && meta.mode() & wanted(meta) == wanted(meta)
}

/// The group, if there is one of this id. Where there is not, there is one group alone, and everybody is in it.
pub(super) fn there(group: Option<u32>) -> Option<u32> {
    group.filter(|group| Ids::read().has_group(*group))
}

/// Gives the directory and what is in it to the group, which may write it all.
pub(super) fn give(path: &Path, group: GroupOwner) -> io::Result<()> {
    let Some(id) = there(Some(group.id)) else {
        return Ok(());
    };
    let Some(root) = Entry::open(None, path)? else {
        return Err(io::Error::other("it is a link"));
    };
    if !group.always && is_given(&fs::metadata(root.path())?, id) {
        return Ok(());
    }
    // Not by recursion: containers can make directories as deep as they like.
    let mut open = Vec::new();
    enter(root, id, &mut open)?;
    while let Some((entry, names)) = open.last_mut() {
        match names.next() {
            None => drop(open.pop()),
            Some(name) => {
                if let Some(found) = Entry::open(Some(entry), Path::new(&name?.file_name()))? {
                    enter(found, id, &mut open)?;
                }
            }
        }
    }
    Ok(())
}

/// Gives one entry to the group; a directory's content is next.
fn enter(entry: Entry, group: u32, open: &mut Vec<(Entry, fs::ReadDir)>) -> io::Result<()> {
    let path = entry.path();
    let meta = fs::metadata(&path)?;
    if !is_given(&meta, group) {
        chown(&path, None, Some(group))?;
        // A change of owner may clear bits of the mode.
        let mode = (meta.mode() & 0o7777) | wanted(&meta);
        fs::set_permissions(&path, PermissionsExt::from_mode(mode))?;
    }
    if meta.is_dir() {
        let names = fs::read_dir(&path)?;
        open.push((entry, names));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn everything_is_given_but_what_links_lead_to() {
        let dir = tempfile::tempdir().unwrap();
        let (volume, secret) = (dir.path().join("volume"), dir.path().join("secret"));
        fs::create_dir_all(volume.join("deep/er")).unwrap();
        for file in [&secret, &volume.join("deep/er/file")] {
            fs::write(file, "x").unwrap();
            fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
        }
        symlink(&secret, volume.join("link")).unwrap();
        symlink(dir.path(), volume.join("up")).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o7777;
        // Its own group: every user may run this.
        let id = dir.path().metadata().unwrap().gid();
        give(&volume, GroupOwner { id, always: false }).unwrap();
        assert_eq!(mode(&volume.join("deep/er/file")), 0o660);
        assert_eq!(mode(&volume.join("deep/er")) & DIRECTORY, DIRECTORY);
        assert_eq!(mode(&secret), 0o600);

        let file = volume.join("deep/er/file");
        fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        give(&volume, GroupOwner { id, always: false }).unwrap();
        assert_eq!(mode(&file), 0o600, "the directory itself is as it should be");
        give(&volume, GroupOwner { id, always: true }).unwrap();
        assert_eq!(mode(&file), 0o660);
        assert!(give(&volume.join("up"), GroupOwner { id, always: true }).is_err());
    }
}
