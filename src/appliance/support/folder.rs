//! The parts of an archive while they are collected.

use std::{
    collections::BTreeMap,
    fmt::Display,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::mask::Mask;

/// Where the archive says what is not in it.
const NOT_COLLECTED: &str = "NOT-COLLECTED.txt";
/// How much one file may have, in bytes: its end counts more than its beginning.
const LONGEST: usize = 8 << 20;
/// How much all of it may have, in bytes.
const ALL: usize = 128 << 20;

/// Files by their paths, and what could not be had.
pub(super) struct Folder {
    files: BTreeMap<String, Vec<u8>>,
    missing: Vec<String>,
    size: usize,
    deadline: Instant,
}

impl Folder {
    pub(super) fn new(deadline: Instant) -> Self {
        Self { files: BTreeMap::new(), missing: Vec::new(), size: 0, deadline }
    }

    /// Adds a file, or says that there is no room for it.
    pub(super) fn add(&mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        let (path, mut bytes) = (path.into(), bytes.into());
        if bytes.len() > LONGEST {
            let cut = bytes.len() - LONGEST;
            bytes.drain(..cut);
            self.missing(&path, format!("the first {cut} bytes were left out"));
        }
        if self.size + bytes.len() > ALL {
            self.missing(&path, format!("more than {} MiB were collected before it", ALL >> 20));
            return;
        }
        self.size += bytes.len();
        self.files.insert(path, bytes);
    }

    /// Adds a value as JSON.
    pub(super) fn json(&mut self, path: impl Into<String>, value: &impl Serialize) {
        let path = path.into();
        match serde_json::to_vec_pretty(value) {
            Ok(bytes) => self.add(path, bytes),
            Err(error) => self.missing(&path, error),
        }
    }

    /// Says that `what` could not be had.
    pub(super) fn missing(&mut self, what: &str, why: impl Display) {
        // One line each, whatever the cause has to say.
        let why = why.to_string();
        let why: Vec<&str> = why.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        self.missing.push(format!("{what}: {}", why.join("; ")));
    }

    /// Waits for `part`, for `most` and no longer than all of it may take. What does not come is missing.
    pub(super) async fn wait<T, E: Display>(
        &mut self,
        what: &str,
        most: Duration,
        part: impl Future<Output = Result<T, E>>,
    ) -> Option<T> {
        let limit = most.min(self.deadline.saturating_duration_since(Instant::now()));
        match tokio::time::timeout(limit, part).await {
            Ok(Ok(value)) => return Some(value),
            Ok(Err(error)) => self.missing(what, error),
            Err(_) => self.missing(what, format!("no answer within {:.1} s", limit.as_secs_f32())),
        }
        None
    }

    /// The files and the lines about what is missing, without secrets.
    pub(super) fn finish(self, mask: &Mask) -> (Vec<(String, Vec<u8>)>, Vec<String>) {
        let mut files: Vec<_> = self
            .files
            .into_iter()
            .map(|(path, bytes)| {
                let bytes = mask.apply(&bytes);
                (path, bytes)
            })
            .collect();
        let text =
            |line: &String| String::from_utf8_lossy(&mask.apply(line.as_bytes())).into_owned();
        let missing: Vec<String> = self.missing.iter().map(text).collect();
        if !missing.is_empty() {
            files.push((NOT_COLLECTED.to_owned(), (missing.join("\n") + "\n").into_bytes()));
        }
        (files, missing)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::known::Known, *};

    #[tokio::test]
    async fn what_does_not_come_or_fit_is_said_in_the_archive() {
        let mut folder = Folder::new(Instant::now() + Duration::from_secs(60));
        let never = std::future::pending::<Result<(), String>>();
        assert!(folder.wait("the moon", Duration::ZERO, never).await.is_none());
        let refused = async { Err::<(), _>("no\n\n  entry") };
        assert!(folder.wait("the sun", Duration::from_secs(1), refused).await.is_none());
        folder.add("long.log", vec![b'x'; LONGEST + 3]);
        folder.add("short.log", "fine");
        let (files, missing) = folder.finish(&Mask::of(&Known::none().unwrap()).unwrap());
        assert_eq!(missing.len(), 3, "{missing:?}");
        assert_eq!(missing[1], "the sun: no; entry");
        let file = |name: &str| files.iter().find(|(path, _)| path == name).unwrap().1.clone();
        assert_eq!(file("long.log").len(), LONGEST);
        assert_eq!(file("short.log"), b"fine");
        assert_eq!(String::from_utf8(file(NOT_COLLECTED)).unwrap(), missing.join("\n") + "\n");
    }
}
