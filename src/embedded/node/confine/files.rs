//! Who owns what in an instance's home.
//!
//! | path | mode | owner:group |
//! |---|---|---|
//! | the home itself | 0710 | root:node, above it 0700 root as before |
//! | `data` and everything in it | 0700, 0600 | node:node |
//! | `logs` and everything in it | 2750, 0640 | root:node; what shims add inherits the group |
//! | `images` and its index, not the layers | 0750, 0640 | root:node |
//! | `images/pulls` and everything in it | 0700, 0600 | node:node |
//! | `pods` | 0750 | root:node; what is in it is its pod's |
//! | `volumes`, not what is in it | 0700 | root: what claims have outlives pods, and is their containers' |
//! | everything else (keys, settings, records, layers of images) | 0700, 0600 | root |
//!
//! The group has no member but the node: what it may read is as private as before.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD as CWD, OFlag, openat};
use nix::sys::stat::Mode;

use super::{Identity, root};
use crate::node::images;
use crate::{ClusterConfig, Error, files};

/// Brings the home into the form in which the node can work; for the supervisor, before it starts a node. Repeatable.
pub(crate) fn prepare(config: &ClusterConfig) -> Result<(), Error> {
    files::make_private_dir(&root::mount_point(config))?;
    files::make_private_dir(&config.volumes_dir())?;
    let images = images::directory(&config.home);
    files::make_private_dir(&images)?;
    let pulls = images::pulls_dir(&config.home);
    files::make_private_dir(&pulls)?;
    let Some(Identity { uid, gid }) = Identity::of(config) else {
        return Ok(());
    };
    let shared = |dir: u32, file: u32| Mark { owner: (0, gid), dir, file };
    let roots = Mark { owner: (0, 0), dir: 0o700, file: 0o600 };
    let own = Mark { owner: (uid, gid), dir: 0o700, file: 0o600 };
    for (path, mark, deep) in [
        (config.home.clone(), shared(0o710, 0o640), false),
        (config.pods_dir(), shared(0o750, 0o640), false),
        (images.clone(), shared(0o750, 0o640), false),
        (images.join(images::INDEX), shared(0o750, 0o640), false),
        (images::layers_dir(&config.home), roots, false),
        (config.volumes_dir(), roots, false),
        (images.join("lock"), roots, false),
        (config.logs_dir(), shared(0o2750, 0o640), true),
        (config.data_dir(), own, true),
        (pulls, own, true),
    ] {
        set(&path, mark, deep).map_err(|source| Error::File {
            action: "hand to the node",
            path: path.clone(),
            source,
        })?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Mark {
    owner: (u32, u32),
    dir: u32,
    file: u32,
}

/// Owner and mode of a file or directory, if it exists, and of what is in it.
fn set(path: &Path, mark: Mark, deep: bool) -> io::Result<()> {
    open(CWD, path).and_then(|found| found.map_or(Ok(()), |file| set_open(&file, mark, deep)))
}

/// Everything is done to what was opened: nobody can put something else in its place meanwhile.
fn set_open(file: &File, mark: Mark, deep: bool) -> io::Result<()> {
    let meta = file.metadata()?;
    // A file with a second name may be one of root's that the node has linked to where it may write.
    if !meta.is_dir() && (!meta.is_file() || meta.nlink() > 1) {
        return Ok(());
    }
    if (meta.uid(), meta.gid()) != mark.owner {
        fchown(file, Some(mark.owner.0), Some(mark.owner.1))?;
    }
    // A change of owner may clear bits of the mode.
    let mode = if meta.is_dir() { mark.dir } else { mark.file };
    if file.metadata()?.mode() & 0o7777 != mode {
        file.set_permissions(PermissionsExt::from_mode(mode))?;
    }
    if deep && meta.is_dir() {
        for entry in fs::read_dir(format!("/proc/self/fd/{}", file.as_raw_fd()))? {
            if let Some(file) = open(file.as_fd(), Path::new(&entry?.file_name()))? {
                set_open(&file, mark, deep)?;
            }
        }
    }
    Ok(())
}

/// Opens what is there under this name, be it a directory; not what a link leads to, and no socket.
fn open(dir: BorrowedFd<'_>, path: &Path) -> io::Result<Option<File>> {
    let how = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    match openat(dir, path, how, Mode::empty()) {
        Ok(file) => Ok(Some(file.into())),
        Err(Errno::ENOENT | Errno::ELOOP | Errno::ENXIO) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn what_is_linked_into_the_nodes_directory_stays_whose_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let (secret, data) = (dir.path().join("secret"), dir.path().join("data"));
        fs::write(&secret, "x").unwrap();
        fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
        fs::create_dir_all(data.join("deep")).unwrap();
        fs::write(data.join("deep/own"), "x").unwrap();
        fs::hard_link(&secret, data.join("hard")).unwrap();
        symlink(&secret, data.join("soft")).unwrap();
        mkfifo(&data.join("fifo"), Mode::S_IRWXU).unwrap();
        let owner = |path: &Path| (path.metadata().unwrap().uid(), path.metadata().unwrap().gid());
        let before = owner(&secret);
        let mark = Mark { owner: (before.0, before.1), dir: 0o750, file: 0o640 };
        set(&data, mark, true).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o7777;
        assert_eq!((owner(&secret), mode(&secret)), (before, 0o600));
        assert_eq!(mode(&data.join("deep/own")), 0o640);
        assert_eq!(mode(&data.join("deep")), 0o750);
        set(&data.join("absent"), mark, true).unwrap();
    }
}
