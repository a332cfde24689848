//! Locks between processes. The system lets go of one when its process dies.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::{fs::File, io, path::Path};

#[cfg(unix)]
use unix as here;
#[cfg(windows)]
use windows as here;

/// Held until dropped.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Locks the name `path`, which stands for nothing but this lock; `None` if somebody else has it. Where it takes a
    /// file for that, the file is its owner's only, and stays.
    ///
    /// # Errors
    /// A name that cannot be locked.
    pub fn file(path: &Path) -> io::Result<Option<Self>> {
        here::file(path)
    }

    /// Locks the folder `path`; `None` if somebody else has it.
    ///
    /// # Errors
    /// A folder that is missing or cannot be locked.
    pub fn folder(path: &Path) -> io::Result<Option<Self>> {
        here::folder(path)
    }

    /// Whether the locked folder is the one that is at `path` now: whoever held it before may have removed it, and
    /// somebody else made it again.
    pub fn is_of(&self, path: &Path) -> bool {
        here::is_of(&self.0, path)
    }
}

impl Drop for Lock {
    /// Now, and not when the last copy of the descriptor is closed: a child may have one for a moment.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn one_at_a_time_has_a_file_or_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let (file, folder) = (dir.path().join("file"), dir.path().join("folder"));
        let first = Lock::file(&file).unwrap().unwrap();
        assert!(Lock::file(&file).unwrap().is_none());
        drop(first);
        assert!(Lock::file(&file).unwrap().is_some());

        assert_eq!(Lock::folder(&folder).unwrap_err().kind(), io::ErrorKind::NotFound);
        fs::create_dir(&folder).unwrap();
        let first = Lock::folder(&folder).unwrap().unwrap();
        assert!(first.is_of(&folder) && Lock::folder(&folder).unwrap().is_none());
        // What is locked can be removed, and leaves nothing.
        fs::remove_dir(&folder).unwrap();
        assert!(!first.is_of(&folder));
        drop(first);
        fs::create_dir(&folder).unwrap();
        assert!(Lock::folder(&folder).unwrap().unwrap().is_of(&folder));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }
}
