//! Reports, kept in a database.
//!
//! A report is there, as pending, before its analysis begins, with all that the analysis needs: one that a crash
//! interrupted is begun again. An alert has one report, however often it is told.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::Value;

use super::alert::Request;
use super::tables::{self, CAUSE, FIX};

/// Reports that are kept.
const KEPT: i64 = 2000;

/// Why a report could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database said so.
    #[error("the database of reports: {0}")]
    Database(#[from] rusqlite::Error),
    /// The process ends.
    #[error("the database of reports was interrupted")]
    Interrupted,
    /// The database is of a newer program.
    #[error("the database of reports is of version {0}, which this program does not know")]
    Version(i64),
}

/// How an analysis stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is under way.
    Pending,
    /// There is a report.
    Completed,
    /// It could not be done.
    Failed,
}

impl Stage {
    /// As clients know it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Stage::Pending => "pending",
            Stage::Completed => "completed",
            Stage::Failed => "failed",
        }
    }

    /// The stage of that name.
    pub(super) fn of(name: &str) -> Option<Stage> {
        [Stage::Pending, Stage::Completed, Stage::Failed]
            .into_iter()
            .find(|one| one.as_str() == name)
    }
}

/// A kept report.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kept {
    /// Its id.
    pub(super) id: String,
    /// How its analysis stands.
    pub(super) stage: Stage,
    /// When it was asked for.
    pub(super) time: Timestamp,
    /// One or two sentences, or why there is no report.
    pub(super) summary: String,
    /// The alert and where it is.
    pub(super) request: Request,
    /// The report, once there is one.
    pub(super) report: Option<Value>,
    /// In a list, the component in which its likeliest cause is.
    pub(super) cause: Option<String>,
    /// In a list, what it recommends first.
    pub(super) fix: Option<String>,
}

/// Which reports are asked for. Empty names mean any.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// The platform's namespace.
    pub(super) namespace: String,
    /// The project.
    pub(super) project: String,
    /// The component.
    pub(super) component: String,
    /// The environment.
    pub(super) environment: String,
    /// The alert.
    pub(super) alert: String,
    /// From when to when.
    pub(super) between: (Timestamp, Timestamp),
    /// How the analysis stands.
    pub(super) stage: Option<Stage>,
    /// The newest first.
    pub(super) newest_first: bool,
    /// At most so many.
    pub(super) limit: u32,
}

impl Default for Wanted {
    /// Every report, the newest hundred first.
    fn default() -> Self {
        let any = String::new;
        Self {
            namespace: any(),
            project: any(),
            component: any(),
            environment: any(),
            alert: any(),
            between: (Timestamp::UNIX_EPOCH, Timestamp::MAX),
            stage: None,
            newest_first: true,
            limit: 100,
        }
    }
}

/// The database. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Store(Arc<Mutex<Connection>>);

const COLUMNS: &str = "report_id, status, timestamp, summary, request, report, NULL, NULL";
/// The same for a list, which shows no report but where its likeliest cause is and what helps. No report is read for that.
const LISTED: &str = "report_id, status, timestamp, summary, request, NULL, cause, fix";

impl Store {
    /// Opens the database at `path`, or makes it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn open(path: &Path) -> Result<Store, StoreError> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -256)?;
        tables::prepare(&connection)?;
        Ok(Store(Arc::new(Mutex::new(connection))))
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the alert of `request` is to be looked into as of `now`. The report that it has, and whether it is
    /// new.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn begin(
        &self,
        request: &Request,
        now: Timestamp,
    ) -> Result<(Kept, bool), StoreError> {
        let connection = self.lock();
        let id = format!("{}_{}", request.alert.id, now.as_second());
        let made = connection.execute(
            "INSERT INTO rca_reports (report_id, alert_id, status, timestamp, summary, namespace, project, component, \
             environment, request) VALUES (?1, ?2, 'pending', ?3, '', ?4, ?5, ?6, ?7, ?8) \
             ON CONFLICT (alert_id) DO NOTHING",
            params![
                id,
                request.alert.id,
                stamp(now),
                request.namespace,
                request.project,
                request.component,
                request.environment,
                serde_json::to_string(request).unwrap_or_default(),
            ],
        )?;
        connection.execute(
            "DELETE FROM rca_reports WHERE report_id IN \
             (SELECT report_id FROM rca_reports WHERE status != 'pending' \
              ORDER BY timestamp DESC LIMIT -1 OFFSET ?1)",
            [KEPT],
        )?;
        let sql = format!("SELECT {COLUMNS} FROM rca_reports WHERE alert_id = ?1");
        let kept = connection.query_row(&sql, [&request.alert.id], read)?;
        Ok((kept, made == 1))
    }

    /// Ends the analysis `id` with a report or, without one, with why there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn end(
        &self,
        id: &str,
        summary: &str,
        report: Option<&Value>,
    ) -> Result<(), StoreError> {
        let stage = if report.is_some() { Stage::Completed } else { Stage::Failed };
        self.lock().execute(
            &format!(
                "UPDATE rca_reports SET status = ?2, summary = ?3, report = ?4, cause = ?4 ->> '{CAUSE}', \
                 fix = ?4 ->> '{FIX}' WHERE report_id = ?1"
            ),
            params![id, stage.as_str(), summary, report.map(Value::to_string)],
        )?;
        Ok(())
    }

    /// The report `id`, if there is one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn get(&self, id: &str) -> Result<Option<Kept>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM rca_reports WHERE report_id = ?1");
        Ok(self.lock().query_row(&sql, [id], read).optional()?)
    }

    /// Changes the report `id` by `change`, in one step, unless that refuses.
    ///
    /// # Errors
    /// [`StoreError`]; the inner one is the refusal.
    pub(super) fn change<E>(
        &self,
        id: &str,
        change: impl FnOnce(&mut Value) -> Result<(), E>,
    ) -> Result<Result<(), E>, StoreError> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        let found: Option<Option<String>> = transaction
            .query_row("SELECT report FROM rca_reports WHERE report_id = ?1", [id], |row| {
                row.get(0)
            })
            .optional()?;
        let mut report: Value =
            found.flatten().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        if let Err(refusal) = change(&mut report) {
            return Ok(Err(refusal));
        }
        transaction.execute(
            &format!(
                "UPDATE rca_reports SET report = ?2, cause = ?2 ->> '{CAUSE}', fix = ?2 ->> '{FIX}' \
                 WHERE report_id = ?1"
            ),
            params![id, report.to_string()],
        )?;
        transaction.commit()?;
        Ok(Ok(()))
    }

    /// The reports that are `wanted`, without their bodies, and how many there are of them without the limit.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn list(&self, wanted: &Wanted) -> Result<(Vec<Kept>, u64), StoreError> {
        let connection = self.lock();
        let stage = wanted.stage.map_or("", Stage::as_str);
        let matching = "(?1 = '' OR namespace = ?1) AND (?2 = '' OR project = ?2) AND (?3 = '' OR component = ?3) \
             AND (?4 = '' OR environment = ?4) AND (?5 = '' OR alert_id = ?5) AND (?6 = '' OR status = ?6) \
             AND timestamp BETWEEN ?7 AND ?8";
        let common = params![
            wanted.namespace,
            wanted.project,
            wanted.component,
            wanted.environment,
            wanted.alert,
            stage,
            stamp(wanted.between.0),
            stamp(wanted.between.1),
        ];
        let total: i64 = connection.query_row(
            &format!("SELECT COUNT(*) FROM rca_reports WHERE {matching}"),
            common,
            |row| row.get(0),
        )?;
        let order = if wanted.newest_first { "DESC" } else { "ASC" };
        let sql = format!(
            "SELECT {LISTED} FROM rca_reports WHERE {matching} ORDER BY timestamp {order} LIMIT {}",
            wanted.limit
        );
        let mut statement = connection.prepare(&sql)?;
        let rows = statement.query_map(common, read)?.collect::<Result<_, _>>()?;
        Ok((rows, total.unsigned_abs()))
    }
}

/// A time as text that sorts as the times do.
fn stamp(time: Timestamp) -> String {
    format!("{time:.3}")
}

fn read(row: &Row<'_>) -> rusqlite::Result<Kept> {
    let bad = |column: usize, error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error)
    };
    let (stage, time, request): (String, String, String) = (row.get(1)?, row.get(2)?, row.get(4)?);
    let report: Option<String> = row.get(5)?;
    Ok(Kept {
        id: row.get(0)?,
        stage: Stage::of(&stage).unwrap_or(Stage::Failed),
        time: time.parse().map_err(|error: jiff::Error| bad(2, error.into()))?,
        summary: row.get(3)?,
        request: serde_json::from_str(&request).map_err(|error| bad(4, error.into()))?,
        report: report
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|error| bad(5, error.into()))?,
        cause: row.get(6)?,
        fix: row.get(7)?,
    })
}
