//! Reading and replacing files that belong to somebody else.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::fcntl::Flock;
use sha2::{Digest, Sha256};

use crate::{
    Error,
    home::{Owner, create_private, give, part, remove, write_owned},
    lock::try_lock,
};

/// How long another command may hold a file: each does so for a moment only.
pub(crate) const MOMENT: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(25);

/// The text of `path`; `None` if it does not exist.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(Error::Client { path: path.to_owned(), why: "it is not UTF-8 text".to_owned() })
        }
        Err(source) => Err(Error::file("read", path, source)),
    }
}

/// Replaces the text of `path` in one step. A link is followed, an existing file keeps its mode and its owner, whoever
/// runs this; a new one is 0600, since entries may hold credentials, and belongs to whom its folder belongs.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Error> {
    let target = target(path);
    let (mode, owner) = match fs::metadata(&target) {
        Ok(metadata) => (metadata.permissions().mode() & 0o777, Some(owner(&metadata))),
        Err(_) => (0o600, folder_owner(&target)),
    };
    write_owned(&target, text.as_bytes(), mode, owner)
}

/// Creates the folders above `path` that are missing, each 0700 and with the owner of the one that it is in.
pub(crate) fn create_folders(path: &Path) -> Result<(), Error> {
    for folder in missing_folders(path) {
        let owner = folder_owner(&folder);
        create_private(&folder)?;
        if let Some(owner) = owner {
            let flags = nix::libc::O_DIRECTORY | nix::libc::O_NOFOLLOW;
            let opened = fs::OpenOptions::new().read(true).custom_flags(flags).open(&folder);
            let given = opened.and_then(|folder| give(&folder, owner));
            given.map_err(|source| Error::file("give away the folder", &folder, source))?;
        }
    }
    Ok(())
}

fn folder_owner(path: &Path) -> Option<Owner> {
    path.parent().and_then(|folder| fs::metadata(folder).ok()).as_ref().map(owner)
}

fn owner(metadata: &fs::Metadata) -> Owner {
    (metadata.uid(), metadata.gid())
}

/// Removes what a [`write()`] that died half-way left.
pub(crate) fn clean(path: &Path) -> Result<(), Error> {
    remove(&part(&target(path))).map(drop)
}

fn target(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// The folders above `path` that do not exist yet, outermost first.
pub(crate) fn missing_folders(path: &Path) -> Vec<PathBuf> {
    let missing = path.ancestors().skip(1).take_while(|folder| !folder.exists());
    let mut missing: Vec<PathBuf> = missing.map(PathBuf::from).collect();
    missing.reverse();
    missing
}

/// Removes those of `folders`, outermost first, that are empty, and returns how many those were.
pub(crate) fn remove_folders(folders: &[PathBuf]) -> usize {
    folders.iter().rev().filter(|folder| fs::remove_dir(folder).is_ok()).count()
}

/// SHA-256 of `text`, in hex.
pub(crate) fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Keeps other `curtain` commands away from `path` until dropped. The lock is on the folder, so it leaves no file.
pub(crate) async fn lock(path: &Path) -> Result<Flock<File>, Error> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let started = Instant::now();
    loop {
        let file = File::open(folder).map_err(|source| Error::file("open", folder, source))?;
        if let Some(file) = try_lock(file, folder)? {
            return Ok(file);
        }
        if started.elapsed() >= MOMENT {
            let why = format!("another program has kept {} locked", folder.display());
            return Err(Error::Client { path: path.to_owned(), why });
        }
        tokio::time::sleep(RETRY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_or_replaced_belongs_to_whom_it_did() {
        let dir = tempfile::tempdir().unwrap();
        let theirs = (12_345, 12_346);
        let give =
            |path: &Path| std::os::unix::fs::chown(path, Some(theirs.0), Some(theirs.1)).is_ok();
        // Nobody but root gives files away, and nobody else needs this.
        if !give(dir.path()) {
            println!("NOT RUN: this user gives no files away");
            return;
        }
        let (old, new) = (dir.path().join("old"), dir.path().join("a/b/new"));
        fs::write(&old, "x").unwrap();
        assert!(give(&old));
        fs::set_permissions(&old, fs::Permissions::from_mode(0o640)).unwrap();
        write(&old, "y").unwrap();
        create_folders(&new).unwrap();
        write(&new, "z").unwrap();
        for (path, mode) in [
            (old.clone(), 0o640),
            (new.clone(), 0o600),
            (dir.path().join("a"), 0o700),
            (dir.path().join("a/b"), 0o700),
        ] {
            let metadata = fs::metadata(&path).unwrap();
            assert_eq!(owner(&metadata), theirs, "{}", path.display());
            assert_eq!(metadata.permissions().mode() & 0o777, mode, "{}", path.display());
        }
    }
}
