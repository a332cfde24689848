//! A folder cannot be locked, and a file that is open keeps its folder from being removed. So something else stands for
//! their names: a file of the user's own that only one process can open, and that is gone when it is closed.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::windows::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use directories::BaseDirs;

use super::Lock;

/// `FILE_FLAG_DELETE_ON_CLOSE`.
const DELETE_ON_CLOSE: u32 = 0x0400_0000;
/// `ERROR_SHARING_VIOLATION`: somebody has it.
const HELD: i32 = 32;
/// `ERROR_ACCESS_DENIED`: the file of whoever had it is about to go, if it is there.
const DENIED: i32 = 5;

pub(super) fn file(path: &Path) -> io::Result<Option<Lock>> {
    let folder = fs::canonicalize(path.parent().unwrap_or(path))?;
    named(&folder.join(path.file_name().unwrap_or_default()))
}

pub(super) fn folder(path: &Path) -> io::Result<Option<Lock>> {
    named(&fs::canonicalize(path)?)
}

fn named(path: &Path) -> io::Result<Option<Lock>> {
    let name = path.to_string_lossy().to_lowercase();
    let name = format!("curtain-{:016x}.lock", hash(name.as_bytes()));
    let file = folder_of_locks()?.join(&name);
    let opened = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .share_mode(0)
        .custom_flags(DELETE_ON_CLOSE)
        .open(&file);
    match opened {
        Ok(file) => Ok(Some(Lock(file))),
        Err(error) if error.raw_os_error() == Some(HELD) => Ok(None),
        Err(error) if error.raw_os_error() == Some(DENIED) && is_listed(&file) => Ok(None),
        Err(error) => Err(error),
    }
}

/// One folder for all processes of the user, whatever session or environment they are in.
fn folder_of_locks() -> io::Result<PathBuf> {
    let own = BaseDirs::new().ok_or_else(|| io::Error::other("this user has no profile folder"))?;
    let temporary = own.data_local_dir().join("Temp");
    Ok(if temporary.is_dir() { temporary } else { own.data_local_dir().to_owned() })
}

/// Whether the folder of `file` lists it, also when nobody can open it any more.
fn is_listed(file: &Path) -> bool {
    let entries = file.parent().and_then(|folder| fs::read_dir(folder).ok());
    entries.is_some_and(|entries| entries.flatten().any(|entry| entry.path() == file))
}

/// The lock is on the name, whatever is there.
pub(super) fn is_of(_: &File, path: &Path) -> bool {
    path.exists()
}

/// FNV-1a: every build must come to the same name.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
