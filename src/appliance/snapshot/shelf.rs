//! The snapshots that an instance keeps in its own folder.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use curtain_machine::files::create_folder;
use curtain_provider::Keeper;

use super::{Head, Snapshot, SnapshotName};
use crate::{
    Error, Home, Homes,
    home::{self, part},
    status::{existing, held},
};

/// What a file of a snapshot ends with.
const ENDING: &str = ".tar.gz";

/// The snapshots of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shelf {
    /// Those there are, oldest first.
    pub snapshots: Vec<Snapshot>,
    /// Files among them that cannot be used, and why, a line each.
    pub unusable: Vec<String>,
}

/// The snapshots that the instance in `home` keeps.
///
/// # Errors
/// An instance that does not exist, or whose provider has no snapshots; a folder that cannot be read.
pub fn list(homes: &Homes, home: &Home) -> Result<Shelf, Error> {
    let instance = existing(homes, home)?;
    let provider = curtain_provider::by_name(&instance.provider)?;
    let keeper = provider.keeper()?;
    let mut shelf = Shelf::default();
    for name in names(home)? {
        let file = path(home, &name);
        match look(keeper, &file) {
            Ok((head, size)) => shelf.snapshots.push(Snapshot::of(&head, &file, size)),
            Err(error) => shelf.unusable.push(error.to_string()),
        }
    }
    shelf.snapshots.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
    Ok(shelf)
}

/// Removes the snapshot `name` of the instance in `home`.
///
/// # Errors
/// An instance or a snapshot that does not exist; another command on the instance for all of `patience`.
pub async fn remove(
    homes: &Homes,
    home: &Home,
    name: &SnapshotName,
    patience: Duration,
) -> Result<(), Error> {
    let instance = existing(homes, home)?;
    curtain_provider::by_name(&instance.provider)?.keeper()?;
    let _lock = held(homes, home, patience).await?;
    if !home::remove(&path(home, name))? {
        return Err(unknown(home, name)?);
    }
    Ok(())
}

/// Where the instance in `home` keeps the snapshot `name`.
pub(super) fn path(home: &Home, name: &SnapshotName) -> PathBuf {
    home.snapshots().join(format!("{name}{ENDING}"))
}

/// The error that there is no snapshot `name`, with those there are.
pub(super) fn unknown(home: &Home, name: &SnapshotName) -> Result<Error, Error> {
    let known = names(home)?.iter().map(ToString::to_string).collect();
    Ok(Error::UnknownSnapshot { name: name.to_string(), known })
}

/// What the snapshot `file` says of itself, and its size.
pub(super) fn look(keeper: &dyn Keeper, file: &Path) -> Result<(Head, u64), Error> {
    let head = Head::parse(&keeper.head(file)?, file)?;
    let meta = fs::metadata(file).map_err(|source| Error::file("look at", file, source))?;
    Ok((head, meta.len()))
}

/// Makes the folder, and removes what a command that died left half written in it.
pub(super) fn prepare(home: &Home) -> Result<(), Error> {
    let folder = home.snapshots();
    match create_folder(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(Error::file("create the folder", folder, error));
        }
        _ => {}
    }
    let half = part(Path::new(""));
    let half = half.to_string_lossy();
    for entry in entries(&folder)? {
        if entry.file_name().to_string_lossy().starts_with(&*half) {
            home::remove(&entry.path())?;
        }
    }
    Ok(())
}

/// The names of the snapshots that `home` has, in order.
fn names(home: &Home) -> Result<Vec<SnapshotName>, Error> {
    let entries = entries(&home.snapshots())?;
    let mut names: Vec<SnapshotName> = entries
        .iter()
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(ENDING)?.parse().ok())
        .collect();
    names.sort();
    Ok(names)
}

fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>, Error> {
    let failed = |source| Error::file("read", folder, source);
    match fs::read_dir(folder) {
        Ok(entries) => entries.collect::<io::Result<_>>().map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(failed(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::create_private;

    #[test]
    fn what_a_command_that_died_left_goes_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let home = Homes::new(dir.path()).instance(&"x".parse().unwrap());
        assert_eq!(names(&home).unwrap(), []);
        create_private(home.path()).unwrap();
        prepare(&home).unwrap();
        let kept: SnapshotName = "step-1".parse().unwrap();
        fs::write(path(&home, &kept), "x").unwrap();
        fs::write(part(&path(&home, &kept)), "x").unwrap();
        fs::write(home.snapshots().join("Notes.txt"), "x").unwrap();
        fs::write(home.snapshots().join("NO NAME.tar.gz"), "x").unwrap();
        prepare(&home).unwrap();
        assert_eq!(names(&home).unwrap(), std::slice::from_ref(&kept));
        assert!(!part(&path(&home, &kept)).exists());
        assert!(home.snapshots().join("Notes.txt").exists());
        let error = unknown(&home, &"other".parse().unwrap()).unwrap();
        assert_eq!(error.kind(), crate::Kind::NotFound);
        assert!(error.to_string().contains("step-1"), "{error}");
    }
}
