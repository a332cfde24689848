//! Container logs in the CRI format: `<time> <stream> <F|P> <text>`.
//!
//! `F` ends a line, `P` is a piece of a longer one. A full file is renamed to `<name>.1`, that to `.2`, and so on.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::node::sandbox::LogSpec;

/// A line longer than this is written in pieces.
const MAX_PIECE: usize = 16 * 1024;

/// Where a piece came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Writes the log of one container.
#[derive(Debug)]
pub(super) struct LogWriter {
    spec: LogSpec,
    file: File,
    size: u64,
    pending: [Vec<u8>; 2],
}

impl LogWriter {
    /// Opens the log file, making its directory.
    pub(super) fn open(spec: LogSpec) -> io::Result<Self> {
        if let Some(dir) = spec.path.parent() {
            // The node reads logs, as the group that the directory above hands down; nobody else does.
            DirBuilder::new().recursive(true).mode(0o750).create(dir)?;
        }
        let file = open(&spec.path)?;
        let size = file.metadata()?.len();
        Ok(Self { spec, file, size, pending: [Vec::new(), Vec::new()] })
    }

    /// Takes output; whole lines are written at once, the rest when it is complete or too long.
    pub(super) fn write(
        &mut self,
        stream: Stream,
        mut bytes: &[u8],
        now: Timestamp,
    ) -> io::Result<()> {
        let mut batch = Vec::new();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let pending = &mut self.pending[stream as usize];
            pending.extend_from_slice(&bytes[..end]);
            let line = std::mem::take(pending);
            pieces(&mut batch, stream, &line, now, true);
            bytes = &bytes[end + 1..];
        }
        let pending = &mut self.pending[stream as usize];
        pending.extend_from_slice(bytes);
        if pending.len() >= MAX_PIECE {
            let line = std::mem::take(pending);
            pieces(&mut batch, stream, &line, now, false);
        }
        self.append(&batch)
    }

    /// Writes what has no line end yet; the stream is closed.
    pub(super) fn finish(&mut self, stream: Stream, now: Timestamp) -> io::Result<()> {
        let line = std::mem::take(&mut self.pending[stream as usize]);
        if line.is_empty() {
            return Ok(());
        }
        let mut batch = Vec::new();
        pieces(&mut batch, stream, &line, now, true);
        self.append(&batch)
    }

    /// Writes lines, as many at once as fit into the file; one that is larger than a file gets a file of its own.
    fn append(&mut self, mut batch: &[u8]) -> io::Result<()> {
        while !batch.is_empty() {
            let room = self.spec.max_bytes.saturating_sub(self.size);
            let room = usize::try_from(room).unwrap_or(usize::MAX).min(batch.len());
            let fitting = batch[..room].iter().rposition(|byte| *byte == b'\n');
            let length = match fitting {
                Some(end) => end + 1,
                None if self.size > 0 => {
                    self.rotate()?;
                    continue;
                }
                None => {
                    batch.iter().position(|byte| *byte == b'\n').map_or(batch.len(), |end| end + 1)
                }
            };
            let (lines, rest) = batch.split_at(length);
            self.file.write_all(lines)?;
            self.size += length as u64;
            batch = rest;
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let numbered = |number: u32| numbered(&self.spec.path, number);
        let kept = self.spec.max_files.max(1) - 1;
        for number in (1..kept).rev() {
            match std::fs::rename(numbered(number), numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if kept == 0 {
            std::fs::remove_file(&self.spec.path)?;
        } else {
            std::fs::rename(&self.spec.path, numbered(1))?;
        }
        self.file = open(&self.spec.path)?;
        self.size = 0;
        Ok(())
    }
}

/// Path of a rotated file.
pub(crate) fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

fn pieces(batch: &mut Vec<u8>, stream: Stream, line: &[u8], now: Timestamp, ended: bool) {
    let mut rest = line;
    loop {
        let (piece, next) = rest.split_at(rest.len().min(MAX_PIECE));
        let last = next.is_empty();
        let tag = if last && ended { 'F' } else { 'P' };
        batch.extend_from_slice(format!("{now:.9} {} {tag} ", stream.name()).as_bytes());
        batch.extend_from_slice(piece);
        batch.push(b'\n');
        if last {
            return;
        }
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(dir: &Path, max_bytes: u64, max_files: u32) -> LogWriter {
        let path = dir.join("pod/app/0.log");
        LogWriter::open(LogSpec { path, max_bytes, max_files }).unwrap()
    }

    fn read(dir: &Path, name: &str) -> String {
        std::fs::read_to_string(dir.join("pod/app").join(name)).unwrap()
    }

    #[test]
    fn lines_are_stamped_and_joined() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = writer(dir.path(), 1000, 3);
        let at: Timestamp = "2026-01-02T03:04:05.5Z".parse().unwrap();
        log.write(Stream::Stdout, b"one\ntw", at).unwrap();
        log.write(Stream::Stderr, b"oops\n", at).unwrap();
        log.write(Stream::Stdout, b"o\nthr", at).unwrap();
        log.finish(Stream::Stdout, at).unwrap();
        log.finish(Stream::Stderr, at).unwrap();
        let stamp = "2026-01-02T03:04:05.500000000Z";
        assert_eq!(
            read(dir.path(), "0.log"),
            format!(
                "{stamp} stdout F one\n{stamp} stderr F oops\n{stamp} stdout F two\n{stamp} stdout F thr\n"
            )
        );
    }

    #[test]
    fn a_long_line_is_written_in_pieces() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = writer(dir.path(), 1 << 20, 3);
        let now = Timestamp::UNIX_EPOCH;
        let line = "y".repeat(MAX_PIECE + 10) + "\n";
        log.write(Stream::Stdout, line.as_bytes(), now).unwrap();
        let text = read(dir.path(), "0.log");
        let tags: Vec<_> = text.lines().map(|line| line.split(' ').nth(2).unwrap()).collect();
        assert_eq!(tags, ["P", "F"]);
    }

    #[test]
    fn full_files_are_rotated_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = writer(dir.path(), 100, 3);
        for number in 0..10 {
            let line = format!("line {number} {}\n", "z".repeat(40));
            log.write(Stream::Stdout, line.as_bytes(), Timestamp::UNIX_EPOCH).unwrap();
        }
        assert!(read(dir.path(), "0.log").contains("line 9"));
        assert!(read(dir.path(), "0.log.1").contains("line 8"));
        assert!(read(dir.path(), "0.log.2").contains("line 7"));
        assert_eq!(std::fs::read_dir(dir.path().join("pod/app")).unwrap().count(), 3);
    }
}
