//! Where instances live on disk.
//!
//! One folder holds all instances (given by the command line); each has its own below it, 0700.
//! What an instance is (ports, provider, image) is in `instance.json`; what was done to the machine
//! for it is in `ledger.jsonl`.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::{Error, InstanceName};

/// The folder of all instances.
#[derive(Clone, Debug)]
pub struct Homes {
    root: PathBuf,
}

/// The folder of one instance.
#[derive(Clone, Debug)]
pub struct Home {
    name: InstanceName,
    root: PathBuf,
    path: PathBuf,
}

impl Homes {
    /// All instances below `root`, which need not exist. `root` is made absolute by the caller.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder of all instances.
    #[cfg(test)]
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The home of the instance called `name`, whether it exists or not.
    pub fn instance(&self, name: &InstanceName) -> Home {
        Home { name: name.clone(), root: self.root.clone(), path: self.root.join(name.as_str()) }
    }

    /// The instances there are, by name.
    ///
    /// # Errors
    /// A folder that exists and cannot be read.
    pub fn list(&self) -> Result<Vec<Home>, Error> {
        self.those(Home::exists)
    }

    /// The instances that do not stay until `down`, by name, and what is left of such.
    ///
    /// # Errors
    /// As for [`Self::list`].
    pub(crate) fn leased(&self) -> Result<Vec<Home>, Error> {
        self.those(|home| home.lease().exists())
    }

    fn those(&self, meant: impl Fn(&Home) -> bool) -> Result<Vec<Home>, Error> {
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(Error::file("read", &self.root, source)),
        };
        let mut homes: Vec<Home> = entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .map(|name| self.instance(&name))
            .filter(meant)
            .collect();
        homes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(homes)
    }
}

impl Home {
    /// The instance's name.
    pub fn name(&self) -> &InstanceName {
        &self.name
    }

    /// The instance's folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of all instances.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether anything of the instance was ever recorded here.
    pub fn exists(&self) -> bool {
        self.ledger().exists() || self.path.join("instance.json").exists()
    }

    /// The record of effects.
    pub fn ledger(&self) -> PathBuf {
        self.path.join("ledger.jsonl")
    }

    /// What the instance is.
    pub fn state(&self) -> PathBuf {
        self.path.join("instance.json")
    }

    /// The kept copy of this program.
    pub fn binary(&self) -> PathBuf {
        self.path.join("bin/curtain")
    }

    /// The folder the provider may fill.
    pub fn cluster(&self) -> PathBuf {
        self.path.join("cluster")
    }

    /// The instance's own kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.path.join("kubeconfig")
    }

    /// For how long it stays, if not until `down`.
    pub(crate) fn lease(&self) -> PathBuf {
        self.path.join("lease.json")
    }

    /// Since when it is paused, if it is.
    pub(crate) fn pause(&self) -> PathBuf {
        self.path.join("pause.json")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.path.join("lock")
    }
}

/// Creates `path` and what is missing above it, each 0700.
pub(crate) fn create_private(path: &Path) -> Result<(), Error> {
    create(path, 0o700)
}

/// The mode of a folder that was made for instances. The sticky bit means nothing on a folder of one user, so it
/// says who made it: it is there from the first moment, before anything can be recorded, and for as long as the folder.
const CLAIMED: u32 = 0o1700;

/// Creates the folder of an instance and what is missing above it, each marked as made for instances.
pub(crate) fn claim(path: &Path) -> Result<(), Error> {
    create(path, CLAIMED)
}

/// Removes the folders above `path` that [`claim`] made and that are empty, and returns how many those were.
pub(crate) fn release(path: &Path) -> usize {
    let ours = |folder: &&Path| {
        fs::symlink_metadata(folder).is_ok_and(|found| {
            found.is_dir()
                && found.mode() & 0o7777 == CLAIMED
                && found.uid() == nix::unistd::geteuid().as_raw()
        })
    };
    // One that somebody else put something into stays, and so do those above it.
    path.ancestors()
        .skip(1)
        .take_while(|folder| ours(folder) && fs::remove_dir(folder).is_ok())
        .count()
}

fn create(path: &Path, mode: u32) -> Result<(), Error> {
    let missing: Vec<&Path> = path.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
    for folder in missing.into_iter().rev() {
        match fs::DirBuilder::new().mode(mode).create(folder) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(Error::file("create the folder", folder, source)),
        }
    }
    Ok(())
}

/// Replaces `path` by `bytes` in one step: written beside it with `mode`, synced, renamed.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    write_owned(path, bytes, mode, None)
}

/// A user and a group.
pub(crate) type Owner = (u32, u32);

/// [`write_atomic`], with a file that belongs to `owner` where this process may give it away.
pub(crate) fn write_owned(
    path: &Path,
    bytes: &[u8],
    mode: u32,
    owner: Option<Owner>,
) -> Result<(), Error> {
    use std::io::Write;
    let part = part(path);
    let write = || -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&part)?;
        if let Some(owner) = owner {
            give(&file, owner)?;
        }
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        fs::File::open(folder)?.sync_all()
    };
    // A former try may have died half-way.
    remove(&part)?;
    write().map_err(|source| {
        let _ = fs::remove_file(&part);
        Error::file("write", path, source)
    })
}

/// Gives `file` to `owner`, where this process may and the file system can.
pub(crate) fn give(file: &fs::File, owner: Owner) -> io::Result<()> {
    let now = file.metadata()?;
    if (now.uid(), now.gid()) == owner {
        return Ok(());
    }
    match std::os::unix::fs::fchown(file, Some(owner.0), Some(owner.1)) {
        Err(error) if !cannot_be_given(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Whether `error` says that the caller may not give a file away (`EPERM`, `EACCES`), that the user is none in its user
/// namespace (`EINVAL`), or that the file system knows no owners (`EOPNOTSUPP`, `ENOSYS`).
fn cannot_be_given(error: &io::Error) -> bool {
    use nix::errno::Errno;
    let errno = error.raw_os_error().map(Errno::from_raw);
    let known = [Errno::EPERM, Errno::EACCES, Errno::EINVAL, Errno::EOPNOTSUPP, Errno::ENOSYS];
    errno.is_some_and(|errno| known.contains(&errno))
}

/// Where [`write_atomic`] writes before it renames: a name that is known, so that what a crash leaves can be removed.
pub(crate) fn part(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".curtain-part-");
    name.push(path.file_name().unwrap_or_default());
    path.with_file_name(name)
}

/// Removes `path`, whatever it is; absent is fine. Returns whether it was there.
pub(crate) fn remove(path: &Path) -> Result<bool, Error> {
    let removed = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(Error::file("look at", path, source)),
        Ok(kind) if kind.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    match removed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(Error::file("remove", path, source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_private_and_only_those_made_for_instances_go_with_them() {
        let dir = tempfile::tempdir().unwrap();
        let (theirs, ours) = (dir.path().join("theirs"), dir.path().join("theirs/ours"));
        create_private(&theirs).unwrap();
        assert_eq!(fs::metadata(&theirs).unwrap().mode() & 0o7777, 0o700);
        let (one, two) = (ours.join("one"), ours.join("two"));
        claim(&one).unwrap();
        claim(&two).unwrap();
        assert_eq!(fs::metadata(&one).unwrap().mode() & 0o777, 0o700);
        fs::remove_dir(&one).unwrap();
        assert_eq!(release(&one), 0, "the other instance is still there");
        fs::remove_dir(&two).unwrap();
        assert_eq!(release(&two), 1);
        assert!(theirs.exists() && !ours.exists());
        assert_eq!(release(&two), 0, "what is gone is gone");
    }

    #[test]
    fn a_write_that_a_crash_cut_short_does_not_stop_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        fs::write(part(&path), "ha").unwrap();
        write_atomic(&path, b"whole", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert!(!part(&path).exists());
    }

    #[test]
    fn an_atomic_write_sets_the_mode_and_leaves_no_other_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        write_atomic(&path, b"1", 0o600).unwrap();
        write_atomic(&path, b"2", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"2");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_given_away_is_kept() {
        use nix::errno::Errno;
        let cannot = |errno: Errno| cannot_be_given(&errno.into());
        assert!([Errno::EPERM, Errno::EINVAL, Errno::EOPNOTSUPP].map(cannot).iter().all(|&is| is));
        assert!(!cannot(Errno::EIO) && !cannot(Errno::ENOSPC));
        // What it is already, it need not become: not even where nothing may be given.
        let dir = tempfile::tempdir().unwrap();
        let file = fs::File::open(dir.path()).unwrap();
        let metadata = file.metadata().unwrap();
        give(&file, (metadata.uid(), metadata.gid())).unwrap();
    }

    #[test]
    fn only_recorded_instances_are_listed() {
        let dir = tempfile::tempdir().unwrap();
        let homes = Homes::new(dir.path().join("none"));
        assert!(homes.list().unwrap().is_empty());
        let homes = Homes::new(dir.path());
        for name in ["b", "a", "empty"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("a/ledger.jsonl"), "").unwrap();
        fs::write(dir.path().join("b/instance.json"), "{}").unwrap();
        let names: Vec<_> =
            homes.list().unwrap().iter().map(|home| home.name().to_string()).collect();
        assert_eq!(names, ["a", "b"]);
    }
}
