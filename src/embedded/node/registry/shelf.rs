//! The directory in which blobs wait to be stored, by their digests. Only this process writes to it.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use nix::sys::statvfs::statvfs;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// What waits longer for the rest of its image is given up.
const KEEP: Duration = Duration::from_secs(24 * 3600);

/// A directory of blobs, and who works on which.
#[derive(Debug)]
pub(crate) struct Shelf {
    dir: PathBuf,
    busy: Mutex<HashMap<String, Weak<Turn<()>>>>,
}

impl Shelf {
    /// The shelf in a directory, without what was left there long ago.
    pub(crate) fn new(dir: PathBuf) -> Self {
        let shelf = Self { dir, busy: Mutex::default() };
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

    /// Whether blobs of so many bytes, which are stored once more and unpacked, can have room.
    pub(super) fn check_room(&self, size: u64) -> Result<(), String> {
        // Where nobody can say, the disk will.
        let Ok(found) = statvfs(&self.dir) else { return Ok(()) };
        let free = found.blocks_available().saturating_mul(found.fragment_size());
        match size.saturating_mul(3) > free {
            true => Err(format!(
                "its layers have {size} bytes, and with {free} bytes free they cannot be unpacked in {}: make room",
                self.dir.display()
            )),
            false => Ok(()),
        }
    }

    /// Removes blobs that are stored, or refused.
    pub(crate) fn remove(&self, digests: &[String]) {
        for digest in digests {
            let _ = fs::remove_file(self.dir.join(digest.trim_start_matches("sha256:")));
        }
    }
}
