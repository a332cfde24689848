//! The user's profile has access lists of its own, which everything in it inherits.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io,
    os::windows::fs::symlink_file,
    path::Path,
};

/// Who may do what with a file: whoever may enter its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights;

impl Rights {
    /// Those of the folder.
    pub const PRIVATE: Self = Self;

    /// Those of the file that `metadata` is about.
    pub fn of(_: &Metadata) -> Self {
        Self
    }

    /// Those of the folder of `path`.
    pub fn private_beside(_: &Path) -> Self {
        Self
    }

    /// Makes the file `path`, to be written.
    ///
    /// # Errors
    /// A file that is there, or cannot be made.
    pub fn create_new(self, path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).open(path)
    }
}

pub(super) fn private() -> OpenOptions {
    OpenOptions::new()
}

/// The file that marks a folder. It comes a moment after the folder: one that a crash left without it stays, empty.
const MARK: &str = ".curtain-made-this-folder";

pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// Who enters it is inherited from the folder above.
pub(super) fn create_marked_folder(path: &Path, _private: bool) -> io::Result<()> {
    create_folder(path)?;
    fs::write(path.join(MARK), "")
}

pub(super) fn remove_marked_folder(path: &Path) -> bool {
    let mark = path.join(MARK);
    let alone = fs::read_dir(path)
        .is_ok_and(|entries| entries.flatten().all(|entry| entry.file_name() == MARK));
    if !alone || fs::remove_file(&mark).is_err() {
        return false;
    }
    let removed = fs::remove_dir(path).is_ok();
    if !removed {
        // Somebody has put something into it meanwhile.
        let _ = fs::write(&mark, "");
    }
    removed
}

pub(super) fn hand_on_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

pub(super) fn make_executable(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The name says what can be run, and `.exe` need not be said.
pub(super) fn is_executable(path: &Path) -> bool {
    match path.extension() {
        Some(kind) => {
            let known = ["exe", "com", "bat", "cmd"];
            path.is_file() && known.iter().any(|known| kind.eq_ignore_ascii_case(known))
        }
        None => path.with_extension("exe").is_file(),
    }
}

pub(super) fn sync_folder(_: &Path) -> io::Result<()> {
    // Its file system keeps names in order by itself, and a folder cannot be synced.
    Ok(())
}

pub(super) fn link(to: &Path, link: &Path) -> io::Result<()> {
    symlink_file(to, link)
}
