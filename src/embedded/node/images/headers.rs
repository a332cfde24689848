//! Headers of a tar archive's entries: its reader holds long names and attributes in memory, however long they are.

use std::cell::Cell;
use std::io::{self, Read};

use super::ImageError;

/// Most that is read for the headers of one entry.
const LARGEST: u64 = 4 << 20;

/// How much is read for headers.
pub(crate) struct Headers<'a> {
    /// What they are of.
    part: &'a str,
    /// While some are read.
    left: Cell<Option<u64>>,
}

impl<'a> Headers<'a> {
    pub(crate) fn of(part: &'a str) -> Self {
        Self { part, left: Cell::new(None) }
    }

    /// The bytes of an archive.
    pub(crate) fn bound<R>(&'a self, content: R) -> Bound<'a, R> {
        Bound { content, headers: self }
    }

    /// Looks for the next entry; the content of the one before must have been read. What comes of the archive meanwhile is
    /// bounded.
    pub(crate) fn next<T>(&self, next: impl FnOnce() -> T) -> T {
        self.left.set(Some(LARGEST));
        let result = next();
        self.left.set(None);
        result
    }
}

/// Bytes that are counted while they are of headers. The error of too many holds an [`ImageError`].
pub(crate) struct Bound<'a, R> {
    content: R,
    headers: &'a Headers<'a>,
}

impl<R: Read> Read for Bound<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(buffer)?;
        if let Some(left) = self.headers.left.get() {
            let left = left.checked_sub(count as u64).ok_or_else(|| {
                io::Error::other(ImageError::TooLarge {
                    part: format!("an entry of {}", self.headers.part),
                    most: LARGEST,
                    what: "bytes of names and attributes",
                })
            })?;
            self.headers.left.set(Some(left));
        }
        Ok(count)
    }
}
