//! A folder can be opened and locked like a file.

use std::{
    fs::{File, TryLockError},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};

use super::Lock;
use crate::files::private;

pub(super) fn file(path: &Path) -> io::Result<Option<Lock>> {
    attempt(private().create(true).truncate(false).write(true).open(path)?)
}

pub(super) fn folder(path: &Path) -> io::Result<Option<Lock>> {
    attempt(File::open(path)?)
}

pub(super) fn is_of(locked: &File, path: &Path) -> bool {
    let both = locked.metadata().ok().zip(path.metadata().ok());
    both.is_some_and(|(ours, there)| ours.ino() == there.ino())
}

fn attempt(file: File) -> io::Result<Option<Lock>> {
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
