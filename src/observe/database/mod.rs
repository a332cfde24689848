//! The SQLite file of one signal, in WAL mode.
//!
//! One connection writes, one reads; both block, so callers go through [`run`]. A file that a newer program
//! made is refused, never misread.

mod error;
mod retention;

use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

pub use error::DatabaseError;
pub use retention::Retention;

use crate::asked::Place;
use crate::owner::IN_PLACE;

/// Pages given back to the file system at once.
const PAGES: i64 = 1000;

/// What a signal's file looks like inside.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Version of the tables.
    pub version: i64,
    /// SQL that makes them in an empty file.
    pub tables: &'static str,
    /// Where the names of those stand whom rows are of: a table, or a query in brackets.
    pub owners: &'static str,
}

/// What makes the store of one signal different from others.
pub trait Kind: 'static {
    /// Its tables.
    const LAYOUT: Layout;
}

/// A database of one kind, with how much of it is kept. Cloning shares it.
pub struct Store<K: Kind> {
    pub(crate) database: Database,
    pub(crate) retention: Retention,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind> Store<K> {
    /// Opens or makes the database file.
    ///
    /// # Errors
    /// [`DatabaseError::Open`] and [`DatabaseError::Version`].
    pub fn open(path: &Path, retention: Retention) -> Result<Self, DatabaseError> {
        let database = Database::open(path, K::LAYOUT)?;
        Ok(Store { database, retention, kind: PhantomData })
    }
}

impl<K: Kind> Clone for Store<K> {
    fn clone(&self) -> Self {
        let Store { database, retention, kind } = self;
        Store { database: database.clone(), retention: *retention, kind: *kind }
    }
}

impl<K: Kind> std::fmt::Debug for Store<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("database", &self.database).finish_non_exhaustive()
    }
}

/// The open file. Cloning shares it.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    path: PathBuf,
    owners: &'static str,
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("path", &self.0.path).finish_non_exhaustive()
    }
}

impl Database {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// [`DatabaseError::Open`] and [`DatabaseError::Version`].
    pub fn open(path: &Path, layout: Layout) -> Result<Database, DatabaseError> {
        let open = || {
            let connection = Connection::open(path)?;
            connection.busy_timeout(Duration::from_secs(5))?;
            // Memory is dear here: two megabytes of pages for each of the two connections.
            connection.pragma_update(None, "cache_size", -2000)?;
            Ok(connection)
        };
        let failed = |source| DatabaseError::Open { path: path.to_owned(), source };
        let writer = open().map_err(failed)?;
        prepare(&writer, path, layout)?;
        let reader = open().map_err(failed)?;
        reader.pragma_update(None, "query_only", true)?;
        let (writer, reader) = (Mutex::new(writer), Mutex::new(reader));
        Ok(Database(Arc::new(Inner {
            path: path.to_owned(),
            owners: layout.owners,
            writer,
            reader,
        })))
    }

    /// Changes something. Blocks.
    ///
    /// # Errors
    /// Those of the work.
    pub fn write<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        // A transaction that a panic interrupted was rolled back.
        work(&mut self.0.writer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks something up. Blocks, but not for writers.
    ///
    /// # Errors
    /// Those of the work.
    pub fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        work(&self.0.reader.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether both are the same open file.
    pub(crate) fn is(&self, other: &Database) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether anything in it is of `place`. Blocks.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub(crate) fn has(&self, place: &Place) -> Result<bool, DatabaseError> {
        let Place { namespace, project, component, environment } = place;
        let exists = format!("SELECT EXISTS (SELECT 1 FROM {} WHERE {IN_PLACE})", self.0.owners);
        self.read(|connection| {
            let names = [namespace, project, component, environment];
            Ok(connection.prepare_cached(&exists)?.query_row(names, |row| row.get(0))?)
        })
    }

    /// Gives the space of what was removed back to the file system.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub fn give_back(&self) -> Result<(), DatabaseError> {
        let mut free = u64::MAX;
        loop {
            // Writers come in between.
            let left = self.write(give_back)?;
            if left == 0 || left >= free {
                return Ok(());
            }
            free = left;
        }
    }
}

/// Does blocking work without blocking the caller's thread.
///
/// # Errors
/// Those of the work.
pub async fn run<S: Clone + Send + 'static, T: Send + 'static>(
    store: &S,
    work: impl FnOnce(&S) -> Result<T, DatabaseError> + Send + 'static,
) -> Result<T, DatabaseError> {
    let store = store.clone();
    tokio::task::spawn_blocking(move || work(&store))
        .await
        .map_err(|_| DatabaseError::Interrupted)?
}

/// Bytes in use, without what is free inside the file.
pub(crate) fn used(connection: &Connection) -> Result<u64, DatabaseError> {
    let number = |name: &str| {
        connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
    };
    let pages = number("page_count")?.saturating_sub(number("freelist_count")?);
    Ok(pages * number("page_size")?)
}

/// Gives free pages back; returns how many are left. The statement frees a page per step.
fn give_back(connection: &mut Connection) -> Result<u64, DatabaseError> {
    let mut statement =
        connection.prepare_cached(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    let mut freed = statement.query([])?;
    while freed.next()?.is_some() {}
    drop(freed);
    drop(statement);
    let left = connection.pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0))?;
    Ok(left.unsigned_abs())
}

/// Makes the tables in a new file, and checks the version of an old one.
fn prepare(connection: &Connection, path: &Path, layout: Layout) -> Result<(), DatabaseError> {
    let open = |source| DatabaseError::Open { path: path.to_owned(), source };
    // Space that retention frees goes back to the file system step by step. Only possible before the first table.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(open)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(open)?;
    // A crash of the machine may lose the last rows together with their positions: they are fetched again.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "journal_size_limit", 4 << 20)?;
    let Layout { version, tables, .. } = layout;
    match connection
        .pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))
        .map_err(open)?
    {
        0 => {
            connection
                .execute_batch(&format!("BEGIN;{tables}PRAGMA user_version = {version};COMMIT;"))?;
            Ok(())
        }
        found if found == version => Ok(()),
        found => Err(DatabaseError::Version { path: path.to_owned(), found, known: version }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout =
        Layout { version: 1, tables: "CREATE TABLE thing (id INTEGER);", owners: "thing" };

    #[test]
    fn a_newer_database_and_a_bad_path_are_refused_with_words() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("things.db");
        drop(Database::open(&path, LAYOUT).expect("opens"));
        let newer = Layout { version: 99, ..LAYOUT };
        drop(Database::open(&directory.path().join("new.db"), newer).expect("opens"));
        let error = Database::open(&directory.path().join("new.db"), LAYOUT).expect_err("newer");
        assert!(matches!(error, DatabaseError::Version { found: 99, known: 1, .. }), "{error}");
        let error = Database::open(&directory.path().join("no/such.db"), LAYOUT);
        let error = error.expect_err("no directory");
        assert!(error.to_string().contains("is the directory writable?"), "{error}");
    }
}
