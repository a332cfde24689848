//! The record of what was done to the machine for an instance.
//!
//! One JSON object a line, only ever appended. An effect is recorded, and the record is on the disk,
//! *before* it happens: after a crash at any point the ledger names everything that may exist.
//! The first line carries the format's version; a last line that a crash cut short is dropped.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Write},
    path::{Path, PathBuf},
};

use curtain_machine::files::{private, sync_folder};
use serde::{Deserialize, Serialize};

use crate::{Error, effect::Effect};

/// Version of the format this build writes. It reads every version up to this one.
pub(crate) const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Header {
    ledger: u32,
}

/// The part of a [`Line`] that says when it was written.
#[derive(Deserialize)]
struct Began {
    at: jiff::Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    at: jiff::Timestamp,
    step: String,
    event: Event,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    effect: Option<Effect>,
}

/// What happened to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Event {
    /// About to be done; the effect is in the line.
    Doing,
    /// Done in full.
    Did,
    /// About to be undone.
    Undoing,
    /// Undone in full.
    Undid,
}

/// An effect that is, or may be, on the machine.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// What was, or was about to be, done.
    pub(crate) effect: Effect,
    /// Whether it is known to have been done in full.
    pub(crate) done: bool,
}

/// The ledger of one instance, open for appending unless somebody closed it.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    file: Option<File>,
    /// How long the file is.
    length: u64,
    entries: Vec<Entry>,
}

impl Ledger {
    /// Opens the ledger at `path`, creating it if it is missing.
    ///
    /// # Errors
    /// A file that cannot be read or written, a newer version, or a line (other than a last one cut
    /// short) that is not one of ours.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let (text, whole) = whole_lines(path)?;
        let entries = replay(path, &text[..whole])?;
        let file = private()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|source| Error::file("open", path, source))?;
        if whole < text.len() {
            file.set_len(whole as u64).map_err(|source| Error::file("repair", path, source))?;
        }
        let mut ledger =
            Self { path: path.to_owned(), file: Some(file), length: whole as u64, entries };
        if whole == 0 {
            ledger.append(&Header { ledger: VERSION }, true)?;
            // The file's name must be on the disk as well.
            let folder = path.parent().unwrap_or(Path::new("/"));
            sync_folder(folder).map_err(|source| Error::file("write to", folder, source))?;
        }
        Ok(ledger)
    }

    /// The entries of the ledger at `path`, for whoever only looks and holds no lock: the file stays as it is.
    ///
    /// # Errors
    /// As for opening it.
    pub(crate) fn look(path: &Path) -> Result<Vec<Entry>, Error> {
        let (text, whole) = whole_lines(path)?;
        replay(path, &text[..whole])
    }

    /// When the first effect of the ledger at `path` was recorded, if that can be read.
    pub(crate) fn began(path: &Path) -> Option<jiff::Timestamp> {
        let second = BufReader::new(File::open(path).ok()?).lines().nth(1)?.ok()?;
        serde_json::from_str(&second).ok().map(|began: Began| began.at)
    }

    /// Every effect that is, or may be, on the machine, in the order it was recorded.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry of the step called `step`.
    pub(crate) fn entry(&self, step: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.effect.step().name() == step)
    }

    /// Records that `effect` is about to happen. When this returns, the record is on the disk.
    pub(crate) fn doing(&mut self, effect: &Effect) -> Result<(), Error> {
        let name = effect.step().name();
        self.write(&name, Event::Doing, Some(effect.clone()), true)?;
        self.entries.retain(|entry| entry.effect.step().name() != name);
        self.entries.push(Entry { effect: effect.clone(), done: false });
        Ok(())
    }

    /// Records that `effect` is complete. Losing this record costs a probe, so it is not waited for.
    pub(crate) fn did(&mut self, effect: &Effect) -> Result<(), Error> {
        let name = effect.step().name();
        self.write(&name, Event::Did, None, false)?;
        for entry in self.entries.iter_mut().filter(|entry| entry.effect.step().name() == name) {
            entry.done = true;
        }
        Ok(())
    }

    /// Records that `effect` is about to be undone. Where the disk has no space for that, undoing makes some: the
    /// effect stays recorded as one that may be there.
    pub(crate) fn undoing(&mut self, effect: &Effect) -> Result<(), Error> {
        let name = effect.step().name();
        self.entries
            .iter_mut()
            .filter(|entry| entry.effect.step().name() == name)
            .for_each(|entry| entry.done = false);
        unless_full(self.write(&name, Event::Undoing, None, false))
    }

    /// Records that nothing of `effect` is left. Losing this record costs undoing once more.
    pub(crate) fn undid(&mut self, effect: &Effect) -> Result<(), Error> {
        let name = effect.step().name();
        unless_full(self.write(&name, Event::Undid, None, false))?;
        self.entries.retain(|entry| entry.effect.step().name() != name);
        Ok(())
    }

    fn write(
        &mut self,
        step: &str,
        event: Event,
        effect: Option<Effect>,
        sync: bool,
    ) -> Result<(), Error> {
        let line = Line { at: jiff::Timestamp::now(), step: step.to_owned(), event, effect };
        self.append(&line, sync)
    }

    /// Lets go of the file, so that it can be removed on any system; whoever writes to the ledger opens it again.
    pub(crate) fn close(&mut self) {
        self.file = None;
    }

    fn append(&mut self, line: &impl Serialize, sync: bool) -> Result<(), Error> {
        let failed = |source| Error::file("write", &self.path, source);
        let file = match &mut self.file {
            Some(file) => file,
            // One that is gone stays so.
            closed => closed.insert(private().append(true).open(&self.path).map_err(failed)?),
        };
        let mut write = || -> io::Result<u64> {
            let mut bytes = serde_json::to_vec(line)?;
            bytes.push(b'\n');
            file.write_all(&bytes)?;
            if sync {
                file.sync_data()?;
            }
            Ok(bytes.len() as u64)
        };
        match write() {
            Ok(written) => self.length += written,
            Err(source) => {
                // Half a line would run into the next one. If this fails, too, the next open drops the rest.
                let _ = file.set_len(self.length);
                return Err(failed(source));
            }
        }
        Ok(())
    }
}

/// The file's bytes (none if it is missing) and how many of them are whole lines: whatever follows the last newline was
/// being written when the process died, and its effect had not begun.
fn whole_lines(path: &Path) -> Result<(Vec<u8>, usize), Error> {
    let text = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(Error::file("read", path, source)),
    };
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    Ok((text, whole))
}

fn unless_full(outcome: Result<(), Error>) -> Result<(), Error> {
    match outcome {
        Err(error) if error.kind() == crate::Kind::DiskFull => Ok(()),
        other => other,
    }
}

fn replay(path: &Path, bytes: &[u8]) -> Result<Vec<Entry>, Error> {
    let stored = |why: String| Error::Stored { path: path.to_owned(), why };
    let mut lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let Some(first) = lines.next() else { return Ok(Vec::new()) };
    let header: Header =
        serde_json::from_slice(first).map_err(|error| stored(format!("line 1: {error}")))?;
    if header.ledger > VERSION {
        return Err(stored(format!(
            "it has version {}, and this build knows versions up to {VERSION}",
            header.ledger
        )));
    }
    let mut entries: Vec<Entry> = Vec::new();
    for (index, line) in lines.enumerate() {
        let line: Line = serde_json::from_slice(line)
            .map_err(|error| stored(format!("line {}: {error}", index + 2)))?;
        let same = |entry: &Entry| entry.effect.step().name() == line.step;
        match line.event {
            Event::Doing => {
                let effect = line.effect.ok_or_else(|| {
                    stored(format!("line {}: a step without its effect", index + 2))
                })?;
                entries.retain(|entry| entry.effect.step().name() != line.step);
                entries.push(Entry { effect, done: false });
            }
            Event::Did => {
                entries.iter_mut().filter(|entry| same(entry)).for_each(|entry| entry.done = true)
            }
            Event::Undoing => {
                entries.iter_mut().filter(|entry| same(entry)).for_each(|entry| entry.done = false)
            }
            Event::Undid => entries.retain(|entry| !same(entry)),
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::effect::Effect;

    fn effect(bundle: &str) -> Effect {
        Effect::bundle(bundle)
    }

    fn names(ledger: &Ledger) -> Vec<(String, bool)> {
        ledger.entries().iter().map(|entry| (entry.effect.step().name(), entry.done)).collect()
    }

    #[test]
    fn what_was_recorded_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.jsonl");
        let mut ledger = Ledger::open(&path).unwrap();
        for name in ["a", "b", "c"] {
            ledger.doing(&effect(name)).unwrap();
        }
        ledger.did(&effect("a")).unwrap();
        ledger.undoing(&effect("c")).unwrap();
        ledger.undid(&effect("c")).unwrap();
        let expected = [("bundle/a".to_owned(), true), ("bundle/b".to_owned(), false)];
        assert_eq!(names(&ledger), expected);
        assert_eq!(names(&Ledger::open(&path).unwrap()), expected);
    }

    #[test]
    fn one_that_was_closed_goes_on_where_it_is_and_is_not_made_again_where_it_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.jsonl");
        let mut ledger = Ledger::open(&path).unwrap();
        ledger.doing(&effect("a")).unwrap();
        ledger.close();
        ledger.did(&effect("a")).unwrap();
        assert_eq!(names(&Ledger::open(&path).unwrap()), names(&ledger));
        ledger.close();
        std::fs::remove_file(&path).unwrap();
        assert!(ledger.doing(&effect("b")).is_err() && !path.exists());
    }

    #[test]
    fn a_line_cut_short_at_any_byte_is_dropped_and_later_lines_are_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.jsonl");
        let mut ledger = Ledger::open(&path).unwrap();
        ledger.doing(&effect("a")).unwrap();
        let before = fs::read(&path).unwrap();
        ledger.doing(&effect("b")).unwrap();
        let after = fs::read(&path).unwrap();
        for cut in before.len()..after.len() {
            fs::write(&path, &after[..cut]).unwrap();
            let mut ledger = Ledger::open(&path).unwrap();
            assert_eq!(names(&ledger), [("bundle/a".to_owned(), false)], "cut at {cut}");
            ledger.doing(&effect("c")).unwrap();
            assert_eq!(Ledger::open(&path).unwrap().entries().len(), 2, "cut at {cut}");
        }
    }

    #[test]
    fn a_newer_version_and_a_broken_line_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.jsonl");
        fs::write(&path, "{\"ledger\":99}\n").unwrap();
        assert!(Ledger::open(&path).unwrap_err().to_string().contains("version 99"));
        fs::write(&path, "{\"ledger\":1}\nnonsense\n").unwrap();
        assert!(Ledger::open(&path).unwrap_err().to_string().contains("line 2"));
    }

    #[test]
    fn looking_at_a_line_that_is_being_written_leaves_it_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.jsonl");
        Ledger::open(&path).unwrap().doing(&effect("a")).unwrap();
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("{\"at\":\"2026-");
        fs::write(&path, &text).unwrap();
        assert_eq!(Ledger::look(&path).unwrap().len(), 1);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert!(Ledger::look(&dir.path().join("none")).unwrap().is_empty());
        assert!(!dir.path().join("none").exists());
    }

    /// A ledger with every effect there was in version 1, as it was written then.
    const VERSION_1: &str = include_str!("testdata/ledger-1.jsonl");

    #[test]
    fn every_effect_of_version_1_is_understood() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.jsonl");
        fs::write(&path, VERSION_1).unwrap();
        let ledger = Ledger::open(&path).unwrap();
        let expected = [
            ("home", true),
            ("binary", true),
            ("cluster", true),
            ("kubeconfig", true),
            ("bundle/control", true),
            ("merged-kubeconfig:/h/.kube/config", false),
            ("agent/cursor-1", false),
            ("client/cursor:/h/.cursor/mcp.json", false),
        ];
        assert_eq!(names(&ledger), expected.map(|(name, done)| (name.to_owned(), done)));
        // What is written today is what is read here, field by field.
        for (line, entry) in VERSION_1.lines().skip(1).zip(ledger.entries()) {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let today = serde_json::to_value(&entry.effect).unwrap();
            for (field, value) in today.as_object().unwrap() {
                let then = &line["effect"][field];
                assert!(then == value || value == &serde_json::json!([]), "{field}: {value}");
            }
        }
    }
}
