//! Finding alerts, incidents and deliveries.

use rusqlite::{Row, params};

use super::Store;
use super::delivery::Delivery;
use super::entry::{ALERT, Alert, INCIDENT, Incident};
use crate::asked::{Page, Place};
use crate::database::DatabaseError;

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found<T> {
    /// A page of it.
    pub(super) rows: Vec<T>,
    /// How many there are in all.
    pub(super) total: u64,
}

impl Store {
    /// The alerts of a place that began in a stretch of time.
    pub(super) fn alerts(&self, page: &Page) -> Result<Found<Alert>, DatabaseError> {
        self.find(page, ALERT, "alert_entries", "timestamp_ns", Alert::read)
    }

    /// The incidents of a place that began in a stretch of time.
    pub(super) fn incidents(&self, page: &Page) -> Result<Found<Incident>, DatabaseError> {
        self.find(page, INCIDENT, "incident_entries", "timestamp_ns", Incident::read)
    }

    /// What was or is to be told of a place's alerts, in a stretch of time.
    pub(super) fn deliveries(&self, page: &Page) -> Result<Found<Delivery>, DatabaseError> {
        let columns = "delivery.id, alert_id, channel, event, state, created_ns, attempts, error";
        let tables = "delivery JOIN alert_entries ON alert_entries.id = delivery.alert_id";
        self.find(page, columns, tables, "created_ns", Delivery::read)
    }

    fn find<T>(
        &self,
        page: &Page,
        columns: &str,
        tables: &str,
        time: &str,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Found<T>, DatabaseError> {
        let Place { namespace, project, component, environment } = &page.place;
        let (first, last) = page.between;
        let order = if page.newest_first { "DESC" } else { "ASC" };
        let from = format!(
            "FROM {tables} WHERE namespace_name = ?1 AND (?2 = '' OR project_name = ?2) \
             AND (?3 = '' OR component_name = ?3) AND (?4 = '' OR environment_name = ?4) \
             AND {time} BETWEEN ?5 AND ?6"
        );
        let values = params![namespace, project, component, environment, first, last];
        self.database.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {columns} {from} ORDER BY {time} {order} LIMIT {}",
                page.limit
            ))?;
            let rows = statement.query_map(values, |row| read(row))?.collect::<Result<_, _>>()?;
            let total: i64 = connection
                .prepare_cached(&format!("SELECT COUNT(*) {from}"))?
                .query_row(values, |row| row.get(0))?;
            Ok(Found { rows, total: total.unsigned_abs() })
        })
    }
}
