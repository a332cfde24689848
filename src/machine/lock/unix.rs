//! A folder can be opened and locked like a file.

use std::{fs::File, io, os::unix::fs::MetadataExt, path::Path};

use super::Lock;

pub(super) fn folder(path: &Path) -> io::Result<Option<Lock>> {
    Lock::attempt(File::open(path)?)
}

pub(super) fn is_of(locked: &File, path: &Path) -> bool {
    let both = locked.metadata().ok().zip(path.metadata().ok());
    both.is_some_and(|(ours, there)| ours.ino() == there.ino())
}
