//! Files and folders: who may read them, whose they are, and how they get onto the disk.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::{
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
};

pub use here::Rights;
#[cfg(unix)]
use unix as here;
#[cfg(windows)]
use windows as here;

/// Options for a file that, where they make it, only its owner reads and writes.
pub fn private() -> OpenOptions {
    here::private()
}

/// Makes the folder `path`, which only its owner enters.
///
/// # Errors
/// One that is there already, or cannot be made.
pub fn create_folder(path: &Path) -> io::Result<()> {
    here::create_folder(path)
}

/// As [`create_folder`], with a mark that tells the folder from others for as long as it is there.
///
/// # Errors
/// As for [`create_folder`].
pub fn create_marked_folder(path: &Path) -> io::Result<()> {
    here::create_marked_folder(path, true)
}

/// As [`create_marked_folder`], for others' files, too: whoever the user lets in by default enters it, and
/// nobody else writes into it.
///
/// # Errors
/// As for [`create_folder`].
pub fn create_shared_marked_folder(path: &Path) -> io::Result<()> {
    here::create_marked_folder(path, false)
}

/// Makes the folder `path` and what is missing above it, each by `make`; one that is there will do.
///
/// # Errors
/// The one that cannot be made, and why.
pub fn create_folders(
    path: &Path,
    make: fn(&Path) -> io::Result<()>,
) -> Result<(), (PathBuf, io::Error)> {
    let missing = path.ancestors().take_while(|folder| {
        // What is above a relative path is the folder that one is in.
        !folder.as_os_str().is_empty() && !folder.exists()
    });
    for folder in missing.collect::<Vec<_>>().into_iter().rev() {
        match make(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err((folder.to_owned(), error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Removes the folder `path` if [`create_marked_folder`] or [`create_shared_marked_folder`] made it for this user, and it
/// is empty. Returns whether it did.
pub fn remove_marked_folder(path: &Path) -> bool {
    here::remove_marked_folder(path)
}

/// Gives the folder `path` to whom the folder above it belongs, where this process may and the file system can.
///
/// # Errors
/// A folder that cannot be opened, or given away for another reason.
pub fn hand_on_folder(path: &Path) -> io::Result<()> {
    here::hand_on_folder(path)
}

/// Lets everybody run the file `path`.
///
/// # Errors
/// A file that is not there, or is somebody else's.
pub fn make_executable(path: &Path) -> io::Result<()> {
    here::make_executable(path)
}

/// Whether `path`, as a command names it, is a file that can be run.
pub fn is_executable(path: &Path) -> bool {
    here::is_executable(path)
}

/// Waits until the names in the folder `path` are on the disk.
///
/// # Errors
/// A disk that fails.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    here::sync_folder(path)
}

/// Makes the symbolic link `link` to a file.
///
/// # Errors
/// A name that is taken, or a user who may make none.
pub fn link(to: &Path, link: &Path) -> io::Result<()> {
    here::link(to, link)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_folders_with_the_mark_are_removed_and_only_when_they_are_empty() {
        let dir = tempfile::tempdir().unwrap();
        let (theirs, ours) = (dir.path().join("theirs"), dir.path().join("ours"));
        create_folder(&theirs).unwrap();
        create_marked_folder(&ours).unwrap();
        assert!(create_marked_folder(&ours).is_err(), "it is there");
        fs::write(ours.join("x"), "").unwrap();
        assert!(!remove_marked_folder(&ours), "it is not empty");
        fs::remove_file(ours.join("x")).unwrap();
        assert!(remove_marked_folder(&ours) && !ours.exists());
        assert!(!remove_marked_folder(&theirs) && theirs.exists());
        assert!(!remove_marked_folder(&ours), "what is gone is gone");
    }

    #[test]
    fn folders_are_made_down_to_the_last_and_made_again_without_complaint() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        create_folders(&path, create_folder).unwrap();
        create_folders(&path, create_folder).unwrap();
        assert!(path.is_dir());
        sync_folder(&path).unwrap();
    }

    #[test]
    fn this_program_can_be_run_and_a_text_cannot() {
        let dir = tempfile::tempdir().unwrap();
        let text = dir.path().join("text.txt");
        fs::write(&text, "x").unwrap();
        assert!(is_executable(&std::env::current_exe().unwrap()));
        assert!(!is_executable(&text) && !is_executable(dir.path()));
    }
}
