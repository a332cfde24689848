//! The database: records in the order in which they came, by number.

use std::{collections::BTreeMap, path::Path, time::Duration};

use jiff::Timestamp;
use redb::{Database, ReadableDatabase as _, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use super::{
    Counts, Query, Record,
    query::{Found, Numbered},
    record::VERSION,
};

const RECORDS: TableDefinition<u64, &[u8]> = TableDefinition::new("records");
/// Memory for pages, in bytes.
const CACHE: usize = 512 * 1024;

/// What is kept.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// How old a record may become.
    pub age: Duration,
    /// How many bytes all of them may have.
    pub bytes: u64,
}

/// What went wrong with the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened.
    #[error("cannot open the audit database {path}: {source}; is the directory writable?")]
    Open {
        /// The file.
        path: std::path::PathBuf,
        /// What redb said.
        source: Box<redb::Error>,
    },
    /// It does not do what it was asked.
    #[error("the audit database: {0}")]
    Redb(#[from] Box<redb::Error>),
    /// A record is not what this program writes.
    #[error("record {number} of the audit database is not readable: {reason}")]
    Record {
        /// Its number.
        number: u64,
        /// What is wrong.
        reason: String,
    },
    /// The work on it was interrupted.
    #[error("the work on the audit database was interrupted")]
    Interrupted,
}

fn failed(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Redb(Box::new(error.into()))
}

/// As stored.
#[derive(Serialize, Deserialize)]
struct Stored<R> {
    v: u8,
    #[serde(flatten)]
    record: R,
}

fn read(number: u64, bytes: &[u8]) -> Result<Record, StoreError> {
    let unreadable = |reason: String| StoreError::Record { number, reason };
    let stored: Stored<Record> =
        serde_json::from_slice(bytes).map_err(|error| unreadable(error.to_string()))?;
    if stored.v > VERSION {
        let version = stored.v;
        return Err(unreadable(format!("it has version {version}, this program knows {VERSION}")));
    }
    Ok(stored.record)
}

/// The open database.
#[derive(Debug)]
pub(super) struct Store(Database);

/// What the one who writes knows of what is kept.
#[derive(Debug, Default)]
pub(super) struct Kept {
    next: u64,
    bytes: u64,
    /// By actor, of agents.
    pub(super) counts: BTreeMap<String, Counts>,
}

impl Store {
    /// Opens or makes the database at `path`, and counts what is in it.
    pub(super) fn open(path: &Path) -> Result<(Self, Kept), StoreError> {
        let open = || -> Result<Database, redb::Error> {
            let mut builder = Database::builder();
            builder.set_cache_size(CACHE);
            let database = builder.create(path)?;
            let begun = database.begin_write()?;
            begun.open_table(RECORDS)?;
            begun.commit()?;
            Ok(database)
        };
        let store = Self(open().map_err(|source| StoreError::Open {
            path: path.to_owned(),
            source: Box::new(source),
        })?);
        let mut kept = Kept { next: 1, ..Kept::default() };
        let begun = store.0.begin_read().map_err(failed)?;
        let table = begun.open_table(RECORDS).map_err(failed)?;
        for row in table.iter().map_err(failed)? {
            let (number, bytes) = row.map_err(failed)?;
            kept.next = number.value() + 1;
            kept.bytes += bytes.value().len() as u64;
            count(&mut kept.counts, &read(number.value(), bytes.value())?, true);
        }
        drop(table);
        drop(begun);
        Ok((store, kept))
    }

    /// Appends `records`, removes what is too old or too much as of `now`, and returns once that is on the disk.
    pub(super) fn append(
        &self,
        kept: &mut Kept,
        records: &[Record],
        retention: Retention,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let begun = self.0.begin_write().map_err(failed)?;
        let mut table = begun.open_table(RECORDS).map_err(failed)?;
        let mut next = kept.next;
        let mut bytes = kept.bytes;
        for record in records {
            let text = serde_json::to_vec(&Stored { v: VERSION, record })
                .map_err(|error| StoreError::Record { number: next, reason: error.to_string() })?;
            table.insert(next, text.as_slice()).map_err(failed)?;
            (next, bytes) = (next + 1, bytes + text.len() as u64);
        }
        let oldest = now.checked_sub(retention.age).unwrap_or(Timestamp::MIN);
        let mut gone = Vec::new();
        while let Some((number, size, record)) = first(&table)? {
            if record.time >= oldest && bytes <= retention.bytes {
                break;
            }
            table.remove(number).map_err(failed)?;
            bytes -= size;
            gone.push(record);
        }
        drop(table);
        begun.commit().map_err(failed)?;
        (kept.next, kept.bytes) = (next, bytes);
        records.iter().for_each(|record| count(&mut kept.counts, record, true));
        gone.iter().for_each(|record| count(&mut kept.counts, record, false));
        kept.counts.retain(|_, counts| counts.total() > 0);
        Ok(())
    }

    /// The newest records that `query` wants, the newest first.
    pub(super) fn find(&self, query: &Query) -> Result<Found, StoreError> {
        let begun = self.0.begin_read().map_err(failed)?;
        let table = begun.open_table(RECORDS).map_err(failed)?;
        let before = query.before.unwrap_or(u64::MAX);
        let mut found = Found::default();
        for row in table.range(..before).map_err(failed)?.rev() {
            let (number, bytes) = row.map_err(failed)?;
            let (number, record) = (number.value(), read(number.value(), bytes.value())?);
            if query.since.is_some_and(|since| record.time < since) {
                break;
            }
            if !query.wants(&record) {
                continue;
            }
            if found.records.len() == query.limit {
                found.more = true;
                break;
            }
            found.records.push(Numbered { number, record });
        }
        Ok(found)
    }
}

/// The oldest record, with its number and size.
fn first(
    table: &impl ReadableTable<u64, &'static [u8]>,
) -> Result<Option<(u64, u64, Record)>, StoreError> {
    let Some((number, stored)) = table.first().map_err(failed)? else { return Ok(None) };
    let (number, bytes) = (number.value(), stored.value());
    Ok(Some((number, bytes.len() as u64, read(number, bytes)?)))
}

fn count(counts: &mut BTreeMap<String, Counts>, record: &Record, comes: bool) {
    if record.actor_kind == crate::identity::SubjectKind::Agent {
        counts.entry(record.actor.clone()).or_default().count(record, comes);
    }
}
