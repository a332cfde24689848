//! The directory in which blobs wait to be stored, by their digests. Only this process writes to it.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use crate::node::images;

/// What waits longer for the rest of its image is given up.
const KEEP: Duration = Duration::from_secs(24 * 3600);

/// A directory of blobs, and who works on which.
#[derive(Debug)]
pub(crate) struct Shelf {
    dir: PathBuf,
    busy: Mutex<HashMap<String, Weak<Turn<()>>>>,
    /// Bytes that pulls have been let to take of the disk.
    promised: Arc<AtomicU64>,
}

/// Room that a pull may take, until this is dropped.
#[derive(Debug)]
pub(super) struct Room {
    bytes: u64,
    promised: Arc<AtomicU64>,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.promised.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Shelf {
    /// The shelf in a directory, without what was left there long ago.
    pub(crate) fn new(dir: PathBuf) -> Self {
        let shelf = Self { dir, busy: Mutex::default(), promised: Arc::default() };
        shelf.sweep();
        shelf
    }

    /// Removes what nobody has come back for.
    pub(crate) fn sweep(&self) {
        let old = |entry: &fs::DirEntry| {
            let modified = entry.metadata().and_then(|meta| meta.modified());
            let age = modified.map(|at| SystemTime::now().duration_since(at).unwrap_or_default());
            age.is_ok_and(|age| age > KEEP)
        };
        // What cannot be removed is no reason not to begin.
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten().filter(old) {
            let _ = fs::remove_file(entry.path());
        }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Waits until nobody else works on a blob: images share layers.
    pub(super) async fn lock(&self, digest: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            busy.retain(|_, turn| turn.strong_count() > 0);
            let known = busy.get(digest).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let turn = Arc::default();
                busy.insert(digest.to_owned(), Arc::downgrade(&turn));
                turn
            })
        };
        turn.lock_owned().await
    }

    /// Room for blobs of so many bytes, which are stored once more and unpacked. A guess that spares what cannot succeed:
    /// the disk is looked at again while they are unpacked.
    pub(super) fn room(&self, size: u64) -> Result<Room, String> {
        // Where nobody can say, the disk will.
        self.room_of(size, images::free(&self.dir).unwrap_or(u64::MAX))
    }

    fn room_of(&self, size: u64, free: u64) -> Result<Room, String> {
        let bytes = size.saturating_mul(3);
        let left = free - images::reserve(free);
        let take = |promised: u64| promised.checked_add(bytes).filter(|all| *all <= left);
        match self.promised.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(_) => Ok(Room { bytes, promised: self.promised.clone() }),
            Err(others) => Err(format!(
                "its layers have {size} bytes, and with {free} bytes free, of which other pulls may take {others}, they \
                 cannot be unpacked in {}: make room",
                self.dir.display()
            )),
        }
    }

    /// Removes blobs that are stored, or refused.
    pub(crate) fn remove(&self, digests: &[String]) {
        for digest in digests {
            let _ = fs::remove_file(self.dir.join(digest.trim_start_matches("sha256:")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_given_once() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(dir.path().to_owned());
        let first = shelf.room_of(200, 1000).unwrap();
        assert!(shelf.room_of(100, 1000).unwrap_err().contains("may take 600"));
        drop(first);
        shelf.room_of(200, 1000).unwrap();
        assert!(shelf.room_of(300, 1000).is_err(), "some is kept for others");
    }
}
