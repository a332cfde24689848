//! Reading and replacing files that belong to somebody else.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest, Sha256};

use crate::{Error, home::write_atomic};

/// The text of `path`; `None` if it does not exist.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(Error::Client { path: path.to_owned(), why: "it is not UTF-8 text".to_owned() })
        }
        Err(source) => Err(Error::file("read", path, source)),
    }
}

/// Replaces the text of `path` in one step. A link is followed, an existing file keeps its mode, and a
/// new one is 0600: entries may hold credentials.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Error> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mode =
        fs::metadata(&target).map_or(0o600, |metadata| metadata.permissions().mode() & 0o777);
    write_atomic(&target, text.as_bytes(), mode)
}

/// SHA-256 of `text`, in hex.
pub(crate) fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Keeps other `curtain` commands away from `path` until dropped. The lock is on the folder, so it leaves no file.
pub(crate) fn lock(path: &Path) -> Result<Flock<File>, Error> {
    let folder: PathBuf = path.parent().unwrap_or(Path::new("/")).to_owned();
    let file = File::open(&folder).map_err(|source| Error::file("open", &folder, source))?;
    Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, errno)| Error::file("lock", &folder, errno.into()))
}
