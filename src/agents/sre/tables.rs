//! The tables of reports, made in a new database and brought up to date in an old one.
//!
//! The component where the likeliest cause is and what is recommended first stand in columns of their own, before the report:
//! lists are asked for often, and SQLite reads neither a report that stands behind what it looks for, nor JSON.

use rusqlite::Connection;

use super::store::StoreError;

/// The version of the tables. In the first one the cause was only in the report, and in the second one the fix.
const VERSION: i64 = 3;
/// Where a report has the component of its likeliest cause: that of the first finding.
pub(super) const CAUSE: &str = "$.result.root_causes[0].supporting_findings[0].component";
/// Where it has what it recommends first, in one line.
pub(super) const FIX: &str = "$.result.recommendations.recommended_actions[0].description";

const TABLES: &str = "
    CREATE TABLE rca_reports (
        report_id TEXT PRIMARY KEY, alert_id TEXT NOT NULL UNIQUE, status TEXT NOT NULL,
        timestamp TEXT NOT NULL, summary TEXT NOT NULL, namespace TEXT NOT NULL,
        project TEXT NOT NULL, component TEXT NOT NULL, environment TEXT NOT NULL,
        request TEXT NOT NULL, cause TEXT, fix TEXT, report TEXT
    ) STRICT;
    CREATE INDEX rca_reports_time ON rca_reports (timestamp);";

/// Makes the tables, or those of an earlier version as they are now; all or nothing.
pub(super) fn prepare(connection: &Connection) -> Result<(), StoreError> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables = match version {
        0 => TABLES.to_owned(),
        // A column can only be added behind all others: the table is made anew.
        1 | 2 => format!(
            "ALTER TABLE rca_reports RENAME TO earlier;
             DROP INDEX rca_reports_time;
             {TABLES}
             INSERT INTO rca_reports
                 SELECT report_id, alert_id, status, timestamp, summary, namespace, project, component, environment,
                     request, CASE WHEN json_valid(report) THEN report ->> '{CAUSE}' END,
                     CASE WHEN json_valid(report) THEN report ->> '{FIX}' END, report
                 FROM earlier;
             DROP TABLE earlier;"
        ),
        VERSION => return Ok(()),
        other => return Err(StoreError::Version(other)),
    };
    let sql = format!("BEGIN; {tables} PRAGMA user_version = {VERSION}; COMMIT;");
    Ok(connection.execute_batch(&sql)?)
}
