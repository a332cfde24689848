//! How much of the disk one image may take, checked while it is unpacked: what a stranger packs small may be large.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use super::ImageError;

/// Bytes of one image, as it comes and unpacked together.
const MOST_BYTES: u64 = 256 << 30;
/// Files, directories and links of one image. Large ones have some hundred thousand.
const MOST_ENTRIES: u64 = 2_000_000;
/// How often the disk is asked: others fill it meanwhile.
const STRIDE: u64 = 16 << 20;
/// Most that is kept free for others: the API server must go on writing.
const LARGEST_RESERVE: u64 = 1 << 30;

/// What an image may take still.
#[derive(Debug)]
pub(super) struct Budget {
    dir: PathBuf,
    /// What stays free of the disk.
    reserve: u64,
    bytes: Limit,
    entries: Limit,
    /// Bytes until the disk is asked again.
    unasked: Cell<u64>,
}

#[derive(Debug)]
struct Limit {
    most: u64,
    used: Cell<u64>,
    what: &'static str,
}

impl Limit {
    fn new(most: u64, what: &'static str) -> Self {
        Self { most, used: Cell::new(0), what }
    }

    fn take(&self, count: u64, part: &dyn fmt::Display) -> io::Result<()> {
        self.used.set(self.used.get().saturating_add(count));
        match self.used.get() > self.most {
            true => Err(io::Error::other(ImageError::TooLarge {
                part: part.to_string(),
                most: self.most,
                what: self.what,
            })),
            false => Ok(()),
        }
    }
}

impl Budget {
    /// Of an image that is unpacked on the disk of `dir`.
    pub(super) fn of(dir: &Path) -> Self {
        Self::new(dir, reserve(free(dir).unwrap_or(0)), MOST_BYTES, MOST_ENTRIES)
    }

    pub(super) fn new(dir: &Path, reserve: u64, bytes: u64, entries: u64) -> Self {
        Self {
            dir: dir.to_owned(),
            reserve,
            bytes: Limit::new(bytes, "bytes"),
            entries: Limit::new(entries, "files"),
            unasked: Cell::new(0),
        }
    }

    /// Counts one more file, directory or link of `part`.
    pub(super) fn entry(&self, part: &dyn fmt::Display) -> io::Result<()> {
        self.entries.take(1, part)?;
        // It takes room without content, too.
        self.bytes(4 << 10, part)
    }

    /// Counts bytes of `part` that are about to be written. The error holds an [`ImageError`].
    pub(super) fn bytes(&self, count: u64, part: &dyn fmt::Display) -> io::Result<()> {
        self.bytes.take(count, part)?;
        if self.unasked.get() > count {
            self.unasked.set(self.unasked.get() - count);
            return Ok(());
        }
        self.unasked.set(STRIDE);
        // Where nobody can say, the disk will.
        match free(&self.dir) {
            Some(free) if free < self.reserve => Err(io::Error::other(ImageError::NoRoom {
                part: part.to_string(),
                dir: self.dir.clone(),
                free,
                reserve: self.reserve,
            })),
            _ => Ok(()),
        }
    }

    /// Copies all of `from`, which is of `part`.
    pub(super) fn copy(
        &self,
        from: &mut impl io::Read,
        to: &mut impl io::Write,
        part: &dyn fmt::Display,
    ) -> Result<(), CopyError> {
        let mut buffer = vec![0; 128 << 10];
        loop {
            let count = match from.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(CopyError::Read(error)),
            };
            self.bytes(count as u64, part).map_err(CopyError::Write)?;
            to.write_all(&buffer[..count]).map_err(CopyError::Write)?;
        }
    }
}

/// A copy that failed: tells a bad archive from a full disk.
#[derive(Debug)]
pub(super) enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

impl From<CopyError> for io::Error {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Read(error) | CopyError::Write(error) => error,
        }
    }
}

/// What stays free for others of a disk on which so much is free.
pub(in crate::node) fn reserve(free: u64) -> u64 {
    (free / 8).min(LARGEST_RESERVE)
}

/// Bytes that are free on the disk of a directory.
pub(in crate::node) fn free(dir: &Path) -> Option<u64> {
    let found = statvfs(dir).ok()?;
    Some(found.blocks_available().saturating_mul(found.fragment_size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_disk_stays_free() {
        assert_eq!(reserve(800), 100);
        assert_eq!(reserve(1 << 40), LARGEST_RESERVE);
        let dir = tempfile::tempdir().unwrap();
        // No disk has so much.
        let full = Budget::new(dir.path(), u64::MAX, u64::MAX, u64::MAX);
        let said = full.bytes(1, &"layer x").unwrap_err().to_string();
        assert!(said.contains("layer x") && said.contains("make room"), "{said}");
        let budget = Budget::new(dir.path(), 0, 10, 1);
        budget.bytes(10, &"layer x").unwrap();
        let said = budget.bytes(1, &"layer x").unwrap_err().to_string();
        assert!(said.contains("layer x") && said.contains("10 bytes"), "{said}");
    }
}
