//! Layers in use: whoever runs a container from one holds a lock on its directory for as long.
//!
//! The kernel keeps the locks, so that one ends with the process that has it, however that ends. Who removes a layer locks
//! it for itself first, and lets go of it only once it has no name any more: a start finds a layer whole, or not at all.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a layer may be somebody else's who looks whether it can go.
const PATIENCE: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(5);

/// Holds the layers called `layers` in `store` until what is returned is dropped, and every copy that a fork made of it.
///
/// # Errors
/// A layer that is not there.
pub(in crate::node) fn hold(store: &Path, layers: &[String]) -> Result<Vec<File>, String> {
    let until = Instant::now() + PATIENCE;
    let gone = |name: &String| format!("the image's layer {name} is not on this machine any more");
    let failed = |name: &String, error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => gone(name),
        _ => format!("cannot use the image's layer {name}: {error}"),
    };
    let one = |name: &String| {
        let path = store.join(name);
        let dir = File::open(&path).map_err(|error| failed(name, error))?;
        loop {
            match dir.try_lock_shared() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < until => {
                    std::thread::sleep(AGAIN);
                }
                Err(error) => return Err(failed(name, error.into())),
            }
        }
        // Whoever had it may have taken its name away meanwhile.
        let inode = |meta: fs::Metadata| (meta.dev(), meta.ino());
        let named = fs::metadata(&path).map(inode).map_err(|error| failed(name, error))?;
        let held = dir.metadata().map(inode).map_err(|error| failed(name, error))?;
        if named == held { Ok(dir) } else { Err(gone(name)) }
    };
    layers.iter().map(one).collect()
}

/// A layer's directory for oneself; `None` if somebody holds it.
pub(super) fn take(path: &Path) -> io::Result<Option<File>> {
    let dir = File::open(path)?;
    match dir.try_lock() {
        Ok(()) => Ok(Some(dir)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_that_is_held_cannot_be_taken_and_one_that_is_gone_not_be_held() {
        let store = tempfile::tempdir().unwrap();
        let path = store.path().join("a");
        fs::create_dir(&path).unwrap();
        let names = ["a".to_owned()];
        let first = hold(store.path(), &names).unwrap();
        let second = hold(store.path(), &names).unwrap();
        drop(first);
        assert!(take(&path).unwrap().is_none());
        drop(second);
        let taken = take(&path).unwrap().unwrap();
        let waiting = std::thread::spawn({
            let store = store.path().to_owned();
            move || hold(&store, &["a".to_owned()])
        });
        fs::rename(&path, store.path().join("b")).unwrap();
        drop(taken);
        let error = waiting.join().unwrap().unwrap_err();
        assert!(error.contains("a is not on this machine any more"), "{error}");
    }
}
