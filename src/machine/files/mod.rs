//! Files and folders: who may read them, whose they are, and how they get onto the disk.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::{fs::OpenOptions, io, path::Path};

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
    here::create_folder(path, false)
}

/// As [`create_folder`], with a mark that tells the folder from others for as long as it is there.
///
/// # Errors
/// As for [`create_folder`].
pub fn create_marked_folder(path: &Path) -> io::Result<()> {
    here::create_folder(path, true)
}

/// Makes the folder `path` and what is missing above it, each for its owner only; one that is there will do.
///
/// # Errors
/// One that cannot be made.
pub fn create_folders(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    for folder in missing.into_iter().rev() {
        match create_folder(folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made?,
        }
    }
    Ok(())
}

/// Removes the folder `path` if [`create_marked_folder`] made it for this user, and it is empty. Returns whether it did.
pub fn remove_marked_folder(path: &Path) -> bool {
    here::remove_marked_folder(path)
}

/// Removes the file `path` from its folder, also one that is open.
///
/// # Errors
/// One that is not there, or may not be removed.
pub fn remove_file(path: &Path) -> io::Result<()> {
    here::remove_file(path)
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
    fn a_file_that_is_open_leaves_its_folder_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, file) = (dir.path().join("folder"), dir.path().join("folder/file"));
        fs::create_dir(&folder).unwrap();
        let open = private().create(true).append(true).open(&file).unwrap();
        remove_file(&file).unwrap();
        fs::remove_dir(&folder).unwrap();
        drop(open);
        assert_eq!(remove_file(&file).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn folders_are_made_down_to_the_last_and_made_again_without_complaint() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        create_folders(&path).unwrap();
        create_folders(&path).unwrap();
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
