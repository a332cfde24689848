//! Where instances live on disk.
//!
//! One folder holds all instances (given by the command line); each has its own below it, 0700.
//! What an instance is (ports, provider, image) is in `instance.json`; what was done to the machine
//! for it is in `ledger.jsonl`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use curtain_machine::files::{
    Rights, create_folder, create_folders, create_marked_folder, create_shared_marked_folder,
    remove_marked_folder, sync_folder,
};

use crate::{DEFAULT, Error, InstanceName};

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

    /// The instance that is meant where none is named: the only one there is, or else the one called [`DEFAULT`].
    ///
    /// # Errors
    /// As for [`Self::list`].
    pub fn usual(&self) -> Result<InstanceName, Error> {
        match self.list()?.as_slice() {
            [only] => Ok(only.name.clone()),
            _ => DEFAULT.parse(),
        }
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
        self.path.join("bin").join(format!("curtain{}", std::env::consts::EXE_SUFFIX))
    }

    /// The program for Linux that the platform's image holds: the kept copy itself, if this is Linux.
    pub fn image_program(&self) -> PathBuf {
        match cfg!(target_os = "linux") {
            true => self.binary(),
            false => self.path.join("bin/curtain-linux"),
        }
    }

    /// The folder the provider may fill.
    pub fn cluster(&self) -> PathBuf {
        self.path.join("cluster")
    }

    /// Where a state is unpacked before it takes the place of [`Self::cluster`], and where that one is then until it goes.
    pub(crate) fn restoring(&self) -> PathBuf {
        self.path.join("cluster.restoring")
    }

    /// The folder of its snapshots.
    pub(crate) fn snapshots(&self) -> PathBuf {
        self.path.join("snapshots")
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
    create_folders(path, create_folder)
        .map_err(|(folder, source)| Error::file("create the folder", folder, source))
}

/// Creates the folder of all instances and what is missing above it, each marked as made for instances. Only the folder
/// itself is private: what is above it is of no program alone.
pub(crate) fn claim_root(root: &Path) -> Result<(), Error> {
    let failed = |(folder, source)| Error::file("create the folder", folder, source);
    if let Some(above) = root.parent() {
        create_folders(above, create_shared_marked_folder).map_err(failed)?;
    }
    create_folders(root, create_marked_folder).map_err(failed)
}

/// Creates the folder of an instance, and the one of all instances as [`claim_root`] does.
pub(crate) fn claim(path: &Path) -> Result<(), Error> {
    if let Some(root) = path.parent() {
        claim_root(root)?;
    }
    create_folders(path, create_marked_folder)
        .map_err(|(folder, source)| Error::file("create the folder", folder, source))
}

/// Removes the folders above `path` that [`claim_root`] made and that are empty, and returns how many those were.
pub(crate) fn release(path: &Path) -> usize {
    // One that somebody else put something into stays, and so do those above it.
    path.ancestors().skip(1).take_while(|folder| remove_marked_folder(folder)).count()
}

/// Replaces `path` by `bytes` in one step: written beside it for the user only, synced, renamed.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_with(path, bytes, Rights::PRIVATE)
}

/// [`write_atomic`], with a file that has these rights.
pub(crate) fn write_with(path: &Path, bytes: &[u8], rights: Rights) -> Result<(), Error> {
    use std::io::Write;
    let part = part(path);
    let write = || -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let mut file = rights.create_new(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&part, path)?;
        sync_folder(folder)
    };
    // A former try may have died half-way.
    remove(&part)?;
    write().map_err(|source| {
        let _ = fs::remove_file(&part);
        Error::file("write", path, source)
    })
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
        let (one, two) = (ours.join("one"), ours.join("two"));
        claim(&one).unwrap();
        claim(&two).unwrap();
        remove(&one).unwrap();
        assert_eq!(release(&one), 0, "the other instance is still there");
        remove(&two).unwrap();
        assert_eq!(release(&two), 1);
        assert!(theirs.exists() && !ours.exists());
        assert_eq!(release(&two), 0, "what is gone is gone");
    }

    #[test]
    fn what_was_made_on_the_way_goes_with_the_last_instance() {
        let dir = tempfile::tempdir().unwrap();
        let [shared, private, way] = ["shared", "private", "way"].map(|name| dir.path().join(name));
        create_shared_marked_folder(&shared).unwrap();
        create_folder(&private).unwrap();
        let (ours, one) = (way.join("ours"), way.join("ours/one"));
        claim(&one).unwrap();
        let rights = |path: &Path| Rights::of(&fs::metadata(path).unwrap());
        assert_eq!(
            [&way, &ours, &one].map(|path| rights(path)),
            [&shared, &private, &private].map(|path| rights(path))
        );
        remove(&one).unwrap();
        assert_eq!(release(&one), 2);
        assert!(shared.exists() && !way.exists());
    }

    #[test]
    fn the_only_instance_is_meant_where_none_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let homes = Homes::new(dir.path());
        let make = |name: &str| {
            let home = homes.instance(&name.parse().unwrap());
            claim(home.path()).unwrap();
            write_atomic(&home.state(), b"{}").unwrap();
        };
        let usual = || homes.usual().unwrap().to_string();
        assert_eq!(usual(), "default", "there is none");
        make("ci");
        assert_eq!(usual(), "ci");
        make("nightly");
        assert_eq!(usual(), "default", "nobody knows which of two");
    }

    #[test]
    fn a_write_that_a_crash_cut_short_does_not_stop_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        fs::write(part(&path), "ha").unwrap();
        write_atomic(&path, b"whole").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert!(!part(&path).exists());
    }

    #[test]
    fn an_atomic_write_leaves_one_file_for_the_user_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        write_atomic(&path, b"1").unwrap();
        write_atomic(&path, b"2").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"2");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let private = Rights::PRIVATE.create_new(&dir.path().join("y")).unwrap();
        let modes = [fs::metadata(&path).unwrap(), private.metadata().unwrap()];
        assert_eq!(modes[0].permissions(), modes[1].permissions());
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
