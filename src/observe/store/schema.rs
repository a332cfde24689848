//! Tables, and their version.

use std::path::Path;

use rusqlite::Connection;

use super::StoreError;

/// Version of the tables below.
const VERSION: i64 = 1;

const TABLES: &str = "
CREATE TABLE stream (
    id INTEGER PRIMARY KEY,
    pod_uid TEXT NOT NULL, container TEXT NOT NULL, pod TEXT NOT NULL, pod_namespace TEXT NOT NULL,
    namespace TEXT NOT NULL, project TEXT NOT NULL, component TEXT NOT NULL, environment TEXT NOT NULL,
    project_uid TEXT NOT NULL, component_uid TEXT NOT NULL, environment_uid TEXT NOT NULL,
    last_time INTEGER NOT NULL, last_ordinal INTEGER NOT NULL,
    UNIQUE (pod_uid, container)
);
CREATE INDEX stream_scope ON stream (namespace, project, component);
CREATE TABLE line (
    id INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL, time INTEGER NOT NULL, ordinal INTEGER NOT NULL,
    level INTEGER NOT NULL, text TEXT NOT NULL
);
CREATE INDEX line_place ON line (stream, time, ordinal);
CREATE INDEX line_time ON line (time);
CREATE VIRTUAL TABLE line_text USING fts5 (text, content='', contentless_delete=1, tokenize='trigram');
";

/// Makes the tables in a new file, and checks the version of an old one.
pub(super) fn prepare(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let open = |source| StoreError::Open { path: path.to_owned(), source };
    // Space that retention frees goes back to the file system step by step. Only possible before the first table.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(open)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(open)?;
    // A crash of the machine may lose the last lines together with their positions: they are fetched again.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "journal_size_limit", 4 << 20)?;
    match connection
        .pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))
        .map_err(open)?
    {
        0 => {
            connection
                .execute_batch(&format!("BEGIN;{TABLES}PRAGMA user_version = {VERSION};COMMIT;"))?;
            Ok(())
        }
        VERSION => Ok(()),
        found => Err(StoreError::Version { found, known: VERSION }),
    }
}
