//! The whole state of a cluster in one file, and back.
//!
//! Nothing of the cluster runs meanwhile: what is written is what is on the disk. The file is a gzipped tar: first the
//! [`HEAD`], a text of the caller's own, then the cluster's home below [`FOLDER`], with owners, modes, times, links, fifos,
//! whiteouts of layers and extended attributes.
//!
//! What is in the home, and what becomes of it:
//!
//! | path | |
//! |---|---|
//! | `data` (objects, so Secrets and identities), `pki` (all keys), `logs`, `volumes`, `images` | kept |
//! | `pods/*` (empty directories: the platform's telemetry and reports are in such) | kept |
//! | `pods/*/containers` (what containers write beside their volumes) | left out: their next attempt begins without it |
//! | `images/pulls` | left out: a download that was under way |
//! | `run`, `config.json`, `admin.kubeconfig` | left out: made anew from `pki` and the instance's settings at each start |
//! | sockets, and devices that are no whiteouts | left out: whoever needs one makes it |
//!
//! Volumes that are elsewhere on the host (`hostPath`, `local`) are the host's, and no part of the cluster.
//!
//! Invariants:
//! - nothing in a file is trusted: what is unpacked stays in its directory, no link is followed on the way, no name is
//!   taken twice, and there is as much of it as the head promises, or there is an error;
//! - a state is brought into place by one exchange of two directories: after a crash one or the other is there, whole;
//! - what was unpacked says so itself ([`is_proven`]) until somebody has seen it start: so whoever finds two states knows
//!   which one is the former.
//!
//! Entry points: [`write()`], [`head()`], [`unpack()`], [`exchange()`], [`is_proven()`], [`prove()`].

mod attributes;
mod path;
mod read;
#[cfg(test)]
mod tests;
mod unpack;
mod write;

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

pub use read::head;
use unpack::sync;
pub use unpack::unpack;
pub use write::write;

/// Name of the first entry.
pub const HEAD: &str = "curtain-snapshot.json";
/// What everything else is below.
pub const FOLDER: &str = "cluster";

/// How much a snapshot holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// Directories, files and links.
    pub entries: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes that all of it takes on a disk, about.
    pub room: u64,
    /// Pods.
    pub pods: u64,
    /// Directories of PersistentVolumes.
    pub volumes: u64,
    /// Images.
    pub images: u64,
}

/// Asked now and then whether somebody wants it to end.
pub type Stop<'a> = &'a dyn Fn() -> bool;

/// Why a snapshot could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Something on the disk.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// The verb: `read`, `write`, `make`, …
        action: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The file is none, or not all of one.
    #[error("{} is not a whole snapshot: {why}", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// There is no room for what is in it.
    #[error(
        "there is no room for it in {}: it takes {} MB, and {} MB are free",
        dir.display(), needed.div_ceil(1_000_000), free / 1_000_000
    )]
    NoRoom {
        /// The directory.
        dir: PathBuf,
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// Somebody wanted it to end.
    #[error("it was ended early")]
    Stopped,
}

impl SnapshotError {
    /// A failed operation on a file.
    fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| match source.downcast::<Self>() {
            Ok(own) => own,
            Err(source) => Self::File { action, path, source },
        }
    }
}

/// The file in a state that was unpacked and that nobody has seen start.
const UNPROVEN: &str = "unproven";

/// Lets two directories beside each other, both there, take each other's place; on the disk when it returns.
///
/// # Errors
/// A file system that cannot; both are where they were then.
pub fn exchange(one: &Path, other: &Path) -> Result<(), SnapshotError> {
    let swap = || renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE);
    let exchanged = || -> io::Result<()> {
        let above = std::fs::File::open(one.parent().unwrap_or(Path::new("/")))?;
        swap()?;
        above.sync_all().or_else(|error| {
            swap()?;
            Err(error)
        })
    };
    exchanged().map_err(SnapshotError::file("exchange the folder beside", one))
}

/// Whether the state in `home` is one that was seen to start, if it is one that was unpacked.
pub fn is_proven(home: &Path) -> bool {
    let mark = std::fs::symlink_metadata(home.join(UNPROVEN));
    // One that cannot be looked at may be there.
    mark.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

/// The state in `home` was seen to start.
///
/// # Errors
/// A disk that fails.
pub fn prove(home: &Path) -> Result<(), SnapshotError> {
    let removed = || match std::fs::remove_file(home.join(UNPROVEN)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync(home),
    };
    removed().map_err(SnapshotError::file("finish", home))
}
