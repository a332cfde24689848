//! `pods/log`: reading the CRI log files of a container, also while they grow and rotate.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt as _, unfold};
use jiff::Timestamp;

use super::context::{Attempt, Context};
use crate::apiserver::{LogError, LogOptions, PodRef};
use crate::node::sandbox::sys::FileWatch;
use crate::node::shim::numbered;

/// Bytes read from a file at a time.
const CHUNK: usize = 64 * 1024;

/// Serves logs.
pub(super) struct Logs {
    ctx: Arc<Context>,
}

impl Logs {
    pub(super) fn new(ctx: Arc<Context>) -> Self {
        Self { ctx }
    }

    fn find(&self, pod: &PodRef, options: &LogOptions) -> Result<(PathBuf, Attempt), LogError> {
        let container = &options.container;
        let entry = self.ctx.board.get(&pod.uid);
        let attempt = entry.as_ref().and_then(|entry| entry.containers.get(container));
        let (Some(entry), Some(attempt)) = (&entry, attempt) else {
            return Err(LogError::NotAvailable(format!(
                "container {container:?} in pod {:?} is waiting to start",
                pod.name
            )));
        };
        let number = match (options.previous, attempt.number) {
            (false, number) => number,
            (true, 0) => {
                return Err(LogError::NotAvailable(format!(
                    "previous terminated container {container:?} in pod {:?} not found",
                    pod.name
                )));
            }
            (true, number) => number - 1,
        };
        let running = attempt.running && !options.previous;
        Ok((entry.places.log(container, number), Attempt { number, running, ..*attempt }))
    }
}

impl Logs {
    pub(super) fn open(
        &self,
        pod: PodRef,
        options: LogOptions,
    ) -> BoxFuture<'_, Result<BoxStream<'static, io::Result<Bytes>>, LogError>> {
        Box::pin(async move {
            let (path, attempt) = self.find(&pod, &options)?;
            let fail = |source| LogError::Io { container: options.container.clone(), source };
            let following = Following {
                ctx: self.ctx.clone(),
                pod,
                container: options.container.clone(),
                attempt,
            };
            let reader = Reader::open(&path, &options).map_err(fail)?;
            let watch = match options.follow && attempt.running {
                true => Some(FileWatch::new(path.parent().unwrap_or(&path)).map_err(fail)?),
                false => None,
            };
            Ok(stream(reader, watch, following))
        })
    }
}

/// Who is followed, to know when there will be no more.
struct Following {
    ctx: Arc<Context>,
    pod: PodRef,
    container: String,
    attempt: Attempt,
}

impl Following {
    fn is_running(&self) -> bool {
        let entry = self.ctx.board.get(&self.pod.uid);
        let now = entry.and_then(|entry| entry.containers.get(&self.container).copied());
        now.is_some_and(|now| now == Attempt { running: true, ..self.attempt })
    }
}

fn stream(
    reader: Reader,
    watch: Option<FileWatch>,
    following: Following,
) -> BoxStream<'static, io::Result<Bytes>> {
    let state = (reader, watch, following);
    unfold(Some(state), |state| async move {
        let (mut reader, watch, following) = state?;
        loop {
            // Looked at before reading: what is written before the end is read after this.
            let running = watch.is_some() && following.is_running();
            match reader.next() {
                Ok(bytes) if !bytes.is_empty() => {
                    let rest = (!reader.is_full()).then_some((reader, watch, following));
                    return Some((Ok(bytes), rest));
                }
                Ok(_) => {}
                Err(error) => return Some((Err(error), None)),
            }
            let watch = watch.as_ref().filter(|_| running && !reader.is_full())?;
            let changed = following.ctx.board.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if !following.is_running() {
                continue;
            }
            tokio::select! {
                () = changed => {}
                result = watch.changed() => if let Err(error) = result {
                    return Some((Err(error), None));
                }
            }
        }
    })
    .boxed()
}

/// Reads a log from where the options say, across rotations.
struct Reader {
    path: PathBuf,
    file: File,
    /// Text after the last line end.
    pending: Vec<u8>,
    since: Option<Timestamp>,
    timestamps: bool,
    left: Option<u64>,
    /// Lines that were read ahead for `tail`.
    ready: Vec<u8>,
}

impl Reader {
    fn open(path: &Path, options: &LogOptions) -> io::Result<Self> {
        let mut reader = Self {
            path: path.to_owned(),
            file: File::open(path)?,
            pending: Vec::new(),
            since: options.since,
            timestamps: options.timestamps,
            left: options.limit_bytes,
            ready: Vec::new(),
        };
        let mut older = Vec::new();
        for number in 1.. {
            match File::open(numbered(path, number)) {
                Ok(file) => older.push(file),
                Err(_) => break,
            }
        }
        match options.tail {
            None => {
                // Older files are few and bounded in size.
                for file in older.into_iter().rev() {
                    let current = std::mem::replace(&mut reader.file, file);
                    let text = reader.read_all()?;
                    reader.ready.extend(text);
                    reader.file = current;
                }
            }
            Some(count) => {
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                let mut last = VecDeque::new();
                let current = reader.file.try_clone()?;
                for file in older.into_iter().rev().chain([current]) {
                    reader.file = file;
                    let text = reader.read_all()?;
                    for line in text.split_inclusive(|byte| *byte == b'\n') {
                        last.push_back(line.to_vec());
                        if last.len() > count {
                            last.pop_front();
                        }
                    }
                }
                reader.ready = last.into_iter().flatten().collect();
            }
        }
        Ok(reader)
    }

    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let text = self.read_some()?;
            if text.is_none() {
                return Ok(all);
            }
            all.extend(text.unwrap_or_default());
        }
    }

    /// What there is, formatted; empty if there is nothing at the moment.
    fn next(&mut self) -> io::Result<Bytes> {
        let mut text = std::mem::take(&mut self.ready);
        while text.is_empty() {
            match self.read_some()? {
                Some(more) => text = more,
                None if self.rotated()? => {}
                None => break,
            }
        }
        if let Some(left) = &mut self.left {
            text.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= text.len() as u64;
        }
        Ok(text.into())
    }

    fn is_full(&self) -> bool {
        self.left == Some(0)
    }

    /// Reads a chunk; `None` at the end of the file.
    fn read_some(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut chunk = vec![0; CHUNK];
        let count = self.file.read(&mut chunk)?;
        if count == 0 {
            return Ok(None);
        }
        self.pending.extend_from_slice(&chunk[..count]);
        let Some(end) = self.pending.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(Some(Vec::new()));
        };
        let rest = self.pending.split_off(end + 1);
        let lines = std::mem::replace(&mut self.pending, rest);
        let mut text = Vec::with_capacity(lines.len());
        for line in lines.split(|byte| *byte == b'\n') {
            self.format(line, &mut text);
        }
        Ok(Some(text))
    }

    /// Goes on with the new file if the current one was renamed.
    fn rotated(&mut self) -> io::Result<bool> {
        let next = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            result => result?,
        };
        if next.metadata()?.ino() == self.file.metadata()?.ino() {
            return Ok(false);
        }
        self.file = next;
        Ok(true)
    }

    /// One line of the file as the caller wants it.
    fn format(&self, line: &[u8], text: &mut Vec<u8>) {
        let mut parts = line.splitn(4, |byte| *byte == b' ');
        let (Some(time), Some(_stream), Some(tag), content) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return;
        };
        if let Some(since) = self.since {
            let time =
                std::str::from_utf8(time).ok().and_then(|time| time.parse::<Timestamp>().ok());
            if time.is_some_and(|time| time < since) {
                return;
            }
        }
        if self.timestamps {
            text.extend_from_slice(time);
            text.push(b' ');
        }
        text.extend_from_slice(content.unwrap_or_default());
        if tag == b"F" {
            text.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn line(number: u32, text: &str) -> String {
        format!("2026-01-01T00:00:{number:02}.000000000Z stdout F {text}\n")
    }

    fn read(path: &Path, options: &LogOptions) -> String {
        let mut reader = Reader::open(path, options).unwrap();
        let mut all = Vec::new();
        loop {
            let bytes = reader.next().unwrap();
            if bytes.is_empty() {
                return String::from_utf8(all).unwrap();
            }
            all.extend(bytes);
        }
    }

    #[test]
    fn rotated_files_read_as_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.log");
        std::fs::write(numbered(&path, 2), line(1, "a")).unwrap();
        std::fs::write(numbered(&path, 1), line(2, "b")).unwrap();
        std::fs::write(&path, line(3, "c") + "2026-01-01T00:00:04Z stderr P d\n" + &line(5, "e"))
            .unwrap();
        let options = LogOptions::default();
        assert_eq!(read(&path, &options), "a\nb\nc\nde\n");
        let tail = LogOptions { tail: Some(2), ..options.clone() };
        assert_eq!(read(&path, &tail), "c\nde\n");
        assert_eq!(read(&path, &LogOptions { tail: Some(0), ..options.clone() }), "");
        assert_eq!(read(&path, &LogOptions { limit_bytes: Some(3), ..options.clone() }), "a\nb");
        let since = "2026-01-01T00:00:03Z".parse().ok();
        assert_eq!(read(&path, &LogOptions { since, ..options.clone() }), "c\nde\n");
        let stamped = LogOptions { timestamps: true, tail: Some(1), ..options };
        assert!(read(&path, &stamped).starts_with("2026-01-01T00:00:04Z d"));
    }

    #[test]
    fn a_growing_and_rotating_file_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.log");
        std::fs::write(&path, line(1, "a")).unwrap();
        let mut reader = Reader::open(&path, &LogOptions::default()).unwrap();
        assert_eq!(reader.next().unwrap(), "a\n");
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(line(2, "b").as_bytes()).unwrap();
        std::fs::rename(&path, numbered(&path, 1)).unwrap();
        std::fs::write(&path, line(3, "c")).unwrap();
        assert_eq!(reader.next().unwrap(), "b\n");
        assert_eq!(reader.next().unwrap(), "c\n");
        assert_eq!(reader.next().unwrap(), "");
    }
}
