//! Reading and replacing files that belong to somebody else.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use curtain_machine::{
    files::{Rights, hand_on_folder},
    lock::Lock,
};
use sha2::{Digest, Sha256};

use crate::{
    Error,
    home::{create_private, part, remove, write_with},
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
    let rights = match fs::metadata(&target) {
        Ok(metadata) => Rights::of(&metadata),
        Err(_) => Rights::private_beside(&target),
    };
    write_with(&target, text.as_bytes(), rights)
}

/// Creates the folders above `path` that are missing, each 0700 and with the owner of the one that it is in.
pub(crate) fn create_folders(path: &Path) -> Result<(), Error> {
    for folder in missing_folders(path) {
        create_private(&folder)?;
        hand_on_folder(&folder)
            .map_err(|source| Error::file("give away the folder", &folder, source))?;
    }
    Ok(())
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
pub(crate) async fn lock(path: &Path) -> Result<Lock, Error> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let started = Instant::now();
    loop {
        let lock = Lock::folder(folder).map_err(|source| Error::file("lock", folder, source))?;
        if let Some(lock) = lock {
            return Ok(lock);
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
    fn what_is_made_or_replaced_has_the_rights_of_what_was_there_or_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let rights = |path: &Path| Rights::of(&fs::metadata(path).unwrap());
        let (old, new) = (dir.path().join("old"), dir.path().join("a/b/new"));
        fs::write(&old, "x").unwrap();
        let before = rights(&old);
        write(&old, "y").unwrap();
        assert_eq!((rights(&old), read(&old).unwrap().as_deref()), (before, Some("y")));
        assert_eq!(missing_folders(&new).len(), 2);
        create_folders(&new).unwrap();
        write(&new, "z").unwrap();
        let private = dir.path().join("private");
        Rights::private_beside(&private).create_new(&private).unwrap();
        assert_eq!(rights(&new), rights(&private));
    }

    #[cfg(unix)]
    #[test]
    fn what_is_made_or_replaced_belongs_to_whom_it_did() {
        let dir = tempfile::tempdir().unwrap();
        let run = |program: &str, how: &str, path: &Path| {
            let mut command = std::process::Command::new(program);
            command.arg(how).arg(path).output().unwrap().status.success()
        };
        let give = |path: &Path| run("chown", "12345:12346", path);
        // Nobody but root gives files away, and nobody else needs this.
        if !give(dir.path()) {
            println!("NOT RUN: this user gives no files away");
            return;
        }
        // What is there, and what is expected, are made without what is tested.
        let made = |name: &str, mode: &str, is_folder: bool| {
            let path = dir.path().join(name);
            if is_folder {
                fs::create_dir(&path).unwrap()
            } else {
                fs::write(&path, "x").unwrap()
            }
            assert!(run("chmod", mode, &path) && give(&path));
            path
        };
        let (old, new) = (made("old", "0640", false), dir.path().join("a/b/new"));
        write(&old, "y").unwrap();
        create_folders(&new).unwrap();
        write(&new, "z").unwrap();
        let (folder, file) = (made("folder", "0700", true), made("file", "0600", false));
        let rights = |path: &Path| Rights::of(&fs::metadata(path).unwrap());
        for (path, expected) in [
            (old, made("shared", "0640", false)),
            (new, file),
            (dir.path().join("a"), folder.clone()),
            (dir.path().join("a/b"), folder),
        ] {
            assert_eq!(rights(&path), rights(&expected), "{}", path.display());
        }
    }
}
