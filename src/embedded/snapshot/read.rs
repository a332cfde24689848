//! Reading a snapshot: what is before its first file, and its entries one after the other.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;

use super::{HEAD, SnapshotError};
use crate::node::images::Headers;

/// More than a head ever has.
const LARGEST_HEAD: u64 = 8 << 20;
/// How much is read of the file at a time.
const CHUNK: usize = 256 << 10;

/// The plain content of a snapshot.
pub(super) type Plain = GzDecoder<BufReader<File>>;

/// Opens the snapshot at `path`.
pub(super) fn open(path: &Path) -> Result<Plain, SnapshotError> {
    let file = File::open(path).map_err(SnapshotError::file("open", path))?;
    Ok(GzDecoder::new(BufReader::with_capacity(CHUNK, file)))
}

/// The head of the snapshot at `path`. What follows it is not looked at.
///
/// # Errors
/// A file that cannot be read, or that is none.
pub fn head(path: &Path) -> Result<Vec<u8>, SnapshotError> {
    let plain = open(path)?;
    let what = path.display().to_string();
    let headers = Headers::of(&what);
    let mut archive = tar::Archive::new(headers.bound(plain));
    let mut entries = archive.entries().map_err(damaged(path))?;
    let first = headers.next(|| entries.next());
    let first = first.ok_or_else(|| none(path, "it is empty"))?;
    head_of(&mut first.map_err(damaged(path))?, path)
}

/// The content of the first entry.
pub(super) fn head_of(
    entry: &mut tar::Entry<'_, impl Read>,
    path: &Path,
) -> Result<Vec<u8>, SnapshotError> {
    if entry.path_bytes().as_ref() != HEAD.as_bytes() {
        return Err(none(path, &format!("it does not begin with {HEAD}")));
    }
    if entry.size() > LARGEST_HEAD {
        return Err(none(path, &format!("its {HEAD} is too large")));
    }
    let mut head = Vec::new();
    entry.read_to_end(&mut head).map_err(damaged(path))?;
    Ok(head)
}

/// A file that is not what it should be.
pub(super) fn none(path: &Path, why: &str) -> SnapshotError {
    SnapshotError::Damaged { file: path.to_owned(), why: why.to_owned() }
}

/// An archive that cannot be read; a disk that cannot says so itself.
pub(super) fn damaged(path: &Path) -> impl FnOnce(io::Error) -> SnapshotError + use<> {
    let path = path.to_owned();
    move |source| match source.downcast::<SnapshotError>() {
        Ok(own) => own,
        Err(source) if source.raw_os_error().is_some() => {
            SnapshotError::File { action: "read", path, source }
        }
        Err(source) => SnapshotError::Damaged { file: path, why: source.to_string() },
    }
}
