//! The journal: every committed change in order, on disk.
//!
//! The log is keyed by resourceVersion and is the whole state: the last record of a key is the object. A record
//! that has been superseded stays until the record that superseded it has left the watch window, so that after a
//! restart every event of the window can be rebuilt with its predecessor. Removing what fell out of the window
//! happens in the same transaction that adds new records: there is no separate compaction pause.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::Key;

const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const FORMAT: u64 = 1;
/// Page cache of the database: objects are served from memory, so it only has to hold the hot B-tree nodes.
const CACHE: usize = 1 << 20;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It did not exist before.
    Added,
    /// It replaced an earlier version.
    Modified,
    /// It is gone; the bytes are its last state.
    Deleted,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What happened.
    pub change: Change,
    /// `group/plural` of the object.
    pub table: String,
    /// Namespace and name.
    pub key: Key,
    /// Canonical JSON, with its `metadata.resourceVersion`.
    pub bytes: Bytes,
}

/// One atomic, durable step.
#[derive(Debug, Default)]
pub struct Batch {
    /// New records by resourceVersion, ascending.
    pub put: Vec<(u64, Record)>,
    /// Records that nothing needs any more.
    pub drop: Vec<u64>,
    /// The oldest resourceVersion from which a watch can still resume.
    pub floor: u64,
}

/// Why the journal could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// No room on the disk. Nothing was written; reads go on, and writing works again once there is room.
    #[error("the disk that holds {path} is full: free some space, writes will then work again")]
    Full {
        /// The database file.
        path: PathBuf,
    },
    /// The file could not be opened, read or written.
    #[error("{action} the object database {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The database file.
        path: PathBuf,
        /// What happened.
        source: Box<redb::Error>,
    },
    /// The file was written by another release.
    #[error("the object database {path} has format {found}, this release reads format {FORMAT}")]
    Format {
        /// The database file.
        path: PathBuf,
        /// Its format number.
        found: u64,
    },
    /// A record cannot be understood.
    #[error("record {rv} of the object database {path} is damaged")]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// The record.
        rv: u64,
    },
}

/// Where committed changes live. [`RedbJournal`] is the real one; tests inject failing ones.
pub trait Journal: Send {
    /// Calls `each` with every record in order and returns the window's floor.
    fn replay(&mut self, each: &mut dyn FnMut(u64, Record)) -> Result<u64, JournalError>;
    /// Makes the batch durable, or leaves everything as it was.
    fn append(&mut self, batch: &Batch) -> Result<(), JournalError>;
    /// Gives space that is no longer used back to the file system.
    fn compact(&mut self) -> Result<(), JournalError>;
}

/// The journal in one redb file.
pub struct RedbJournal {
    path: PathBuf,
    /// `None` after a failed write: redb wants to be reopened then.
    database: Option<Database>,
    committed: u64,
}

impl RedbJournal {
    /// Opens or creates the file (mode 0600).
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let mut journal = Self { path: path.into(), database: None, committed: 0 };
        journal.database = Some(journal.database()?);
        Ok(journal)
    }

    fn error(&self, action: &'static str, source: impl Into<redb::Error>) -> JournalError {
        let source = source.into();
        if let redb::Error::Io(io) = &source
            && matches!(
                io.kind(),
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
            )
        {
            return JournalError::Full { path: self.path.clone() };
        }
        JournalError::Io { action, path: self.path.clone(), source: Box::new(source) }
    }

    fn database(&self) -> Result<Database, JournalError> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.path)
            .map_err(|source| self.error("opening", redb::Error::Io(source)))?;
        let backend = FileBackend::new(file).map_err(|e| self.error("opening", e))?;
        let database = Database::builder()
            .set_cache_size(CACHE)
            .create_with_backend(backend)
            .map_err(|e| self.error("opening", e))?;
        let write = database.begin_write().map_err(|e| self.error("opening", e))?;
        {
            let mut meta = write.open_table(META).map_err(|e| self.error("opening", e))?;
            let found =
                meta.get("format").map_err(|e| self.error("reading", e))?.map(|v| v.value());
            match found {
                Some(FORMAT) => {}
                Some(found) => return Err(JournalError::Format { path: self.path.clone(), found }),
                None => {
                    meta.insert("format", FORMAT).map_err(|e| self.error("creating", e))?;
                }
            }
            write.open_table(LOG).map_err(|e| self.error("opening", e))?;
        }
        write.commit().map_err(|e| self.error("opening", e))?;
        Ok(database)
    }

    fn write(&self, database: &Database, batch: &Batch, reopened: bool) -> Result<(), redb::Error> {
        let write = database.begin_write()?;
        {
            let mut log = write.open_table(LOG)?;
            if reopened {
                // A commit that was reported as failed may have reached the disk after all: it must not come back.
                log.retain_in(self.committed + 1.., |_, _| false)?;
            }
            for (rv, record) in &batch.put {
                log.insert(rv, encode(record).as_slice())?;
            }
            for rv in &batch.drop {
                log.remove(rv)?;
            }
            write.open_table(META)?.insert("floor", batch.floor)?;
        }
        write.commit()?;
        Ok(())
    }
}

impl Journal for RedbJournal {
    fn replay(&mut self, each: &mut dyn FnMut(u64, Record)) -> Result<u64, JournalError> {
        let Some(database) = &self.database else { return Ok(0) };
        let read = database.begin_read().map_err(|e| self.error("reading", e))?;
        let log = read.open_table(LOG).map_err(|e| self.error("reading", e))?;
        let mut last = 0;
        for entry in log.iter().map_err(|e| self.error("reading", e))? {
            let (rv, bytes) = entry.map_err(|e| self.error("reading", e))?;
            let record = decode(bytes.value())
                .ok_or_else(|| JournalError::Damaged { path: self.path.clone(), rv: rv.value() })?;
            last = rv.value();
            each(last, record);
        }
        let meta = read.open_table(META).map_err(|e| self.error("reading", e))?;
        let floor =
            meta.get("floor").map_err(|e| self.error("reading", e))?.map_or(0, |v| v.value());
        self.committed = last.max(floor);
        Ok(floor)
    }

    fn append(&mut self, batch: &Batch) -> Result<(), JournalError> {
        let (database, reopened) = match self.database.take() {
            Some(database) => (database, false),
            None => (self.database()?, true),
        };
        match self.write(&database, batch, reopened) {
            Ok(()) => {
                self.database = Some(database);
                self.committed = batch.put.last().map_or(self.committed, |(rv, _)| *rv);
                Ok(())
            }
            Err(source) => Err(self.error("writing", source)),
        }
    }

    fn compact(&mut self) -> Result<(), JournalError> {
        let Some(mut database) = self.database.take() else { return Ok(()) };
        let result = database.compact().map_err(|e| self.error("compacting", e));
        self.database = Some(database);
        result.map(|_| ())
    }
}

fn encode(record: &Record) -> Vec<u8> {
    let strings = [record.table.as_str(), &record.key.namespace, &record.key.name];
    let mut out = Vec::with_capacity(
        1 + strings.iter().map(|s| s.len() + 2).sum::<usize>() + record.bytes.len(),
    );
    out.push(match record.change {
        Change::Added => 0,
        Change::Modified => 1,
        Change::Deleted => 2,
    });
    for s in strings {
        out.extend_from_slice(&(s.len() as u16).to_le_bytes());
        out.extend_from_slice(s.as_bytes());
    }
    out.extend_from_slice(&record.bytes);
    out
}

fn decode(bytes: &[u8]) -> Option<Record> {
    let (change, mut rest) = bytes.split_first()?;
    let change = match change {
        0 => Change::Added,
        1 => Change::Modified,
        2 => Change::Deleted,
        _ => return None,
    };
    let mut string = || {
        let (length, tail) = rest.split_first_chunk::<2>()?;
        let (text, tail) = tail.split_at_checked(u16::from_le_bytes(*length) as usize)?;
        rest = tail;
        std::str::from_utf8(text).ok()
    };
    let table = string()?.to_owned();
    let key = Key::new(string()?, string()?);
    Some(Record { change, table, key, bytes: Bytes::copy_from_slice(rest) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, change: Change) -> Record {
        Record {
            change,
            table: "/pods".into(),
            key: Key::new("default", name),
            bytes: Bytes::from_static(b"{}"),
        }
    }

    #[test]
    fn records_survive_their_encoding() {
        for change in [Change::Added, Change::Modified, Change::Deleted] {
            let record = record("a", change);
            assert_eq!(decode(&encode(&record)), Some(record));
        }
        assert_eq!(decode(&[]), None);
        assert_eq!(decode(&[0, 9, 0, b'x']), None);
        assert_eq!(decode(&[7, 0, 0, 0, 0, 0, 0]), None);
    }

    #[test]
    fn a_reopened_file_holds_what_was_appended_and_not_what_was_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("objects.redb");
        let mut journal = RedbJournal::open(&path).unwrap();
        assert_eq!(journal.replay(&mut |_, _| panic!("empty")).unwrap(), 0);
        let put = vec![(1, record("a", Change::Added)), (2, record("b", Change::Added))];
        journal.append(&Batch { put, drop: vec![], floor: 0 }).unwrap();
        let put = vec![(3, record("a", Change::Modified))];
        journal.append(&Batch { put, drop: vec![1], floor: 2 }).unwrap();
        drop(journal);

        let mut journal = RedbJournal::open(&path).unwrap();
        let mut seen = Vec::new();
        let floor =
            journal.replay(&mut |rv, record| seen.push((rv, record.key.name.to_string()))).unwrap();
        assert_eq!((floor, seen), (2, vec![(2, "b".to_string()), (3, "a".to_string())]));
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(&path).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_of_another_format_is_refused_with_its_number() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("objects.redb");
        let database = Database::create(&path).unwrap();
        let write = database.begin_write().unwrap();
        write.open_table(META).unwrap().insert("format", 7).unwrap();
        write.commit().unwrap();
        drop(database);
        let error = RedbJournal::open(&path).err().unwrap();
        assert!(matches!(error, JournalError::Format { found: 7, .. }), "{error}");
    }
}
