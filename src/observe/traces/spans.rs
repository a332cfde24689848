//! Finding the spans of a trace.

use rusqlite::{Connection, OptionalExtension, params};

use super::list::{ids, sources};
use super::wire::{Kind, SpanId, Status, TraceId};
use super::{COUNTED, Store};
use crate::asked::Page;
use crate::database::DatabaseError;
use crate::owner::Owner;

/// A stored span.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its id.
    pub span: SpanId,
    /// What caused it.
    pub parent: Option<SpanId>,
    /// What was done.
    pub name: String,
    /// Which side of a call it is.
    pub kind: Kind,
    /// Nanoseconds since 1970.
    pub start: i64,
    /// Nanoseconds.
    pub duration: i64,
    /// How it ended.
    pub status: Status,
    /// Why it failed.
    pub message: String,
    /// An object in JSON, or nothing.
    pub attributes: String,
    /// A list in JSON, or nothing.
    pub events: String,
    /// What its process says of itself: an object in JSON.
    pub resource: String,
    /// Its pod.
    pub pod: String,
    /// Whose it is.
    pub owner: Owner,
}

/// Spans of one trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spans {
    /// The spans, in the wanted order of their start.
    pub spans: Vec<Row>,
    /// How many match in all, counted up to 1000.
    pub total: usize,
}

const SELECT: &str = "SELECT s.span, s.parent, s.name, s.kind, s.start, s.duration, s.status, s.message, \
     s.attributes, s.events, o.resource, o.pod, o.namespace, o.project, o.component, o.environment, \
     o.project_uid, o.component_uid, o.environment_uid \
     FROM span s JOIN source o ON o.id = s.source JOIN trace t ON t.id = s.trace";

impl Store {
    /// The spans of a trace that are of a place. Texts in JSON are left out unless `whole`.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub fn spans(&self, trace: TraceId, page: &Page, whole: bool) -> Result<Spans, DatabaseError> {
        self.database.read(|connection| {
            let sources = sources(connection, &page.place)?;
            let order = if page.newest_first { "DESC" } else { "ASC" };
            let conditions = format!(
                "WHERE t.trace = ?1 AND s.start BETWEEN ?2 AND ?3 AND s.source IN ({})",
                ids(&sources)
            );
            let (first, last) = page.between;
            let bytes = trace.bytes();
            let within = params![&bytes[..], first, last];
            let select = if whole { SELECT.to_owned() } else { bare(SELECT) };
            let mut statement = connection.prepare(&format!(
                "{select} {conditions} ORDER BY s.start {order}, s.span {order} LIMIT {}",
                page.limit
            ))?;
            let rows = statement.query_map(within, row)?;
            let spans = rows.collect::<Result<Vec<_>, _>>()?;
            let total = count(connection, &conditions, within)?;
            Ok(Spans { spans, total })
        })
    }

    /// One span, wherever it is; whether the caller may see it depends on its owner.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub fn span(&self, trace: TraceId, span: SpanId) -> Result<Option<Row>, DatabaseError> {
        self.database.read(|connection| {
            let bytes = trace.bytes();
            Ok(connection
                .prepare_cached(&format!("{SELECT} WHERE t.trace = ?1 AND s.span = ?2"))?
                .query_row(params![&bytes[..], span.number()], row)
                .optional()?)
        })
    }
}

/// The statement without what is long.
fn bare(select: &str) -> String {
    select.replace("s.attributes, s.events, o.resource", "NULL, NULL, ''")
}

fn count(
    connection: &Connection,
    conditions: &str,
    within: &[&dyn rusqlite::ToSql],
) -> Result<usize, DatabaseError> {
    let total: i64 = connection
        .prepare(&format!(
            "SELECT COUNT(*) FROM (SELECT 1 FROM span s JOIN trace t ON t.id = s.trace {conditions} LIMIT {COUNTED})"
        ))?
        .query_row(within, |row| row.get(0))?;
    Ok(usize::try_from(total).unwrap_or_default())
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        span: SpanId::from_number(row.get(0)?),
        parent: row.get::<_, Option<i64>>(1)?.map(SpanId::from_number),
        name: row.get(2)?,
        kind: Kind(row.get(3)?),
        start: row.get(4)?,
        duration: row.get(5)?,
        status: Status(row.get(6)?),
        message: row.get(7)?,
        attributes: row.get::<_, Option<_>>(8)?.unwrap_or_default(),
        events: row.get::<_, Option<_>>(9)?.unwrap_or_default(),
        resource: row.get(10)?,
        pod: row.get(11)?,
        owner: Owner::read(row, 12)?,
    })
}
