//! The journal: every committed change in order, on disk.
//!
//! The log is keyed by resourceVersion and is the whole state: the last record of a key is the object. A record
//! that has been superseded stays until the record that superseded it has left the watch window, so that after a
//! restart every event of the window can be rebuilt with its predecessor. Removing what fell out of the window
//! happens in the same transaction that adds new records.
//!
//! - *Space.* What is removed leaves free pages in the file, which later records fill. The file gets smaller only by
//!   [`Journal::compact`], for which the store asks when nobody has written for a while; it does something when most
//!   of the file is free (see [`wasteful`]).
//! - *A full disk.* The batch is refused as a whole, and nothing of it comes back, not even after a restart. Reads go
//!   on. The next write opens the database again and works once there is room. A full disk does not start a
//!   compaction: that writes its copies before it gives anything back.

use std::fs::File;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use redb::backends::FileBackend;
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, TableError,
};

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
    /// Gives space that is no longer used back to the file system, if that is worth its while. Says whether it was.
    fn compact(&mut self) -> Result<bool, JournalError>;
}

/// A file may be so large whatever it holds.
const SMALL: u64 = 8 << 20;
/// Half-filled pages and a file that has just doubled make it this many times its content without any waste.
const ROOMY: u64 = 4;

/// Is a file of `length` bytes worth compacting when its records have `stored` bytes?
fn wasteful(length: u64, stored: u64) -> bool {
    length > SMALL + stored.saturating_mul(ROOMY)
}

/// Makes a database of its file.
type Open = Box<dyn Fn(File) -> Result<Database, redb::Error> + Send>;

/// The journal in one redb file.
pub struct RedbJournal {
    path: PathBuf,
    open: Open,
    /// `None` after a failed write: redb wants to be reopened then.
    database: Option<Database>,
    committed: u64,
    /// Bytes of all records.
    stored: u64,
    /// A file of at most this length has been compacted, in vain.
    incompressible: u64,
}

impl RedbJournal {
    /// Opens or creates the file (mode 0600).
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        Self::open_with(
            path,
            Box::new(|file| {
                let backend = FileBackend::new(file)?;
                Ok(Database::builder().set_cache_size(CACHE).create_with_backend(backend)?)
            }),
        )
    }

    fn open_with(path: &Path, open: Open) -> Result<Self, JournalError> {
        let mut journal = Self {
            path: path.into(),
            open,
            database: None,
            committed: 0,
            stored: 0,
            incompressible: 0,
        };
        let is_new = !path.exists();
        journal.database = Some(journal.database()?);
        if is_new && let Some(directory) = path.parent() {
            // The file's name must survive a power cut, too.
            File::open(directory)
                .and_then(|directory| directory.sync_all())
                .map_err(|source| journal.error("creating", redb::Error::Io(source)))?;
        }
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

    /// Opens the database and checks that it is one of ours. Writes nothing into one that is there.
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
        let database = (self.open)(file).map_err(|e| self.error("opening", e))?;
        let read = database.begin_read().map_err(|e| self.error("opening", e))?;
        if let Some(meta) = self.table(&read, META)? {
            let found = meta.get("format").map_err(|e| self.error("reading", e))?;
            let found = found.map_or(0, |format| format.value());
            if found != FORMAT {
                return Err(JournalError::Format { path: self.path.clone(), found });
            }
        }
        Ok(database)
    }

    /// The table; `None` before the first commit.
    fn table<K: redb::Key + 'static, V: redb::Value + 'static>(
        &self,
        read: &ReadTransaction,
        table: TableDefinition<'_, K, V>,
    ) -> Result<Option<redb::ReadOnlyTable<K, V>>, JournalError> {
        match read.open_table(table) {
            Ok(table) => Ok(Some(table)),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(self.error("reading", error)),
        }
    }

    /// Commits the batch. Returns by how many bytes the records have grown.
    fn write(
        &self,
        database: &Database,
        batch: &Batch,
        reopened: bool,
    ) -> Result<i64, redb::Error> {
        let write = database.begin_write()?;
        let mut growth = 0;
        {
            let mut log = write.open_table(LOG)?;
            if reopened {
                // A commit that was reported as failed may have reached the disk after all: it must not come back.
                log.retain_in(self.committed + 1.., |_, _| false)?;
            }
            for (rv, record) in &batch.put {
                let bytes = encode(record);
                growth += bytes.len() as i64;
                log.insert(rv, bytes.as_slice())?;
            }
            for rv in &batch.drop {
                if let Some(removed) = log.remove(rv)? {
                    growth -= removed.value().len() as i64;
                }
            }
            let mut meta = write.open_table(META)?;
            if meta.get("format")?.is_none() {
                meta.insert("format", FORMAT)?;
            }
            meta.insert("floor", batch.floor)?;
        }
        write.commit()?;
        Ok(growth)
    }

    fn length(&self) -> Result<u64, JournalError> {
        let metadata = std::fs::metadata(&self.path);
        Ok(metadata.map_err(|e| self.error("looking at", redb::Error::Io(e)))?.len())
    }
}

impl Journal for RedbJournal {
    fn replay(&mut self, each: &mut dyn FnMut(u64, Record)) -> Result<u64, JournalError> {
        let Some(database) = &self.database else { return Ok(0) };
        let read = database.begin_read().map_err(|e| self.error("reading", e))?;
        let (Some(log), Some(meta)) = (self.table(&read, LOG)?, self.table(&read, META)?) else {
            return Ok(0);
        };
        let (mut last, mut stored) = (0, 0);
        for entry in log.iter().map_err(|e| self.error("reading", e))? {
            let (rv, bytes) = entry.map_err(|e| self.error("reading", e))?;
            let bytes = bytes.value();
            last = rv.value();
            stored += bytes.len() as u64;
            let record = decode(bytes)
                .ok_or_else(|| JournalError::Damaged { path: self.path.clone(), rv: last })?;
            each(last, record);
        }
        let floor =
            meta.get("floor").map_err(|e| self.error("reading", e))?.map_or(0, |v| v.value());
        self.committed = last.max(floor);
        self.stored = stored;
        Ok(floor)
    }

    fn append(&mut self, batch: &Batch) -> Result<(), JournalError> {
        let (database, reopened) = match self.database.take() {
            Some(database) => (database, false),
            None => (self.database()?, true),
        };
        match self.write(&database, batch, reopened) {
            Ok(growth) => {
                self.database = Some(database);
                self.committed = batch.put.last().map_or(self.committed, |(rv, _)| *rv);
                self.stored = self.stored.saturating_add_signed(growth);
                Ok(())
            }
            Err(source) => Err(self.error("writing", source)),
        }
    }

    fn compact(&mut self) -> Result<bool, JournalError> {
        let before = self.length()?;
        if before <= self.incompressible || !wasteful(before, self.stored) {
            return Ok(false);
        }
        let Some(mut database) = self.database.take() else { return Ok(false) };
        database.compact().map_err(|e| self.error("compacting", e))?;
        self.database = Some(database);
        let after = self.length()?;
        self.incompressible = if wasteful(after, self.stored) { after } else { 0 };
        Ok(after < before)
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
mod power;
#[cfg(test)]
mod tests;
