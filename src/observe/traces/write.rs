//! Taking spans in.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Transaction, params};

use super::wire::{Batch, Source, Span, Status, TraceId};
use super::{Store, retention::remove};
use crate::database::DatabaseError;
use crate::forget::bound;

/// What a batch adds to a part.
struct Added<'a> {
    first: i64,
    last: i64,
    spans: i64,
    errors: i64,
    /// The span that stands for the others.
    top: &'a Span,
}

/// A root comes before others, then the earliest.
fn rank(span: &Span) -> (bool, i64) {
    (span.parent.is_some(), span.start)
}

impl<'a> Added<'a> {
    fn of(span: &'a Span) -> Self {
        Added { first: span.start, last: span.start, spans: 0, errors: 0, top: span }
    }

    fn add(&mut self, span: &'a Span) {
        self.first = self.first.min(span.start);
        self.last = self.last.max(span.start.saturating_add(span.duration));
        self.spans += 1;
        self.errors += i64::from(span.status == Status::ERROR);
        if rank(span) < rank(self.top) {
            self.top = span;
        }
    }
}

impl Store {
    /// Stores the spans of a batch that are not stored yet; returns how many these were. When the size they are kept by
    /// is exceeded, the oldest traces go.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`]; nothing of the batch is stored then.
    pub fn ingest(&self, batch: &Batch) -> Result<usize, DatabaseError> {
        self.database.write(|connection| {
            let transaction = connection.transaction()?;
            let mut traces: HashMap<TraceId, i64> = HashMap::new();
            let mut parts: HashMap<(i64, i64), Added<'_>> = HashMap::new();
            for part in &batch.parts {
                let source = source(&transaction, &part.source)?;
                for span in &part.spans {
                    let trace = match traces.get(&span.trace) {
                        Some(trace) => *trace,
                        None => {
                            *traces.entry(span.trace).or_insert(trace(&transaction, span.trace)?)
                        }
                    };
                    if insert(&transaction, (trace, source), span)? {
                        parts.entry((trace, source)).or_insert_with(|| Added::of(span)).add(span);
                    }
                }
            }
            let mut stored = 0;
            for (part, added) in &parts {
                stored += added.spans;
                sum_up(&transaction, *part, added)?;
            }
            transaction.commit()?;
            bound(connection, self.retention, remove)?;
            Ok(usize::try_from(stored).unwrap_or_default())
        })
    }
}

/// The number of a source.
fn source(transaction: &Transaction<'_>, source: &Source) -> Result<i64, DatabaseError> {
    let [namespace, project, component, environment, project_uid, component_uid, environment_uid] =
        source.owner.values();
    let Source { pod, pod_namespace, resource, .. } = source;
    let values = [
        namespace,
        project,
        component,
        environment,
        project_uid,
        component_uid,
        environment_uid,
        pod,
        pod_namespace,
        resource,
    ];
    let known = transaction
        .prepare_cached(
            "SELECT id FROM source WHERE namespace = ?1 AND project = ?2 AND component = ?3 AND environment = ?4 \
             AND project_uid = ?5 AND component_uid = ?6 AND environment_uid = ?7 \
             AND pod = ?8 AND pod_namespace = ?9 AND resource = ?10",
        )?
        .query_row(values, |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    transaction
        .prepare_cached(
            "INSERT INTO source (namespace, project, component, environment, project_uid, component_uid, \
             environment_uid, pod, pod_namespace, resource) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(values)?;
    Ok(transaction.last_insert_rowid())
}

/// The number of a trace.
fn trace(transaction: &Transaction<'_>, id: TraceId) -> Result<i64, DatabaseError> {
    let bytes = id.bytes();
    let known = transaction
        .prepare_cached("SELECT id FROM trace WHERE trace = ?1")?
        .query_row([&bytes[..]], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    transaction
        .prepare_cached("INSERT INTO trace (trace, last) VALUES (?1, 0)")?
        .execute([&bytes[..]])?;
    Ok(transaction.last_insert_rowid())
}

/// False when the span is stored already.
fn insert(
    transaction: &Transaction<'_>,
    (trace, source): (i64, i64),
    span: &Span,
) -> Result<bool, DatabaseError> {
    let mut statement = transaction.prepare_cached(
        "INSERT OR IGNORE INTO span (trace, span, parent, source, name, kind, start, duration, status, message, \
         attributes, events) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    let changed = statement.execute(params![
        trace,
        span.span.number(),
        span.parent.map(|parent| parent.number()),
        source,
        span.name,
        span.kind.0,
        span.start,
        span.duration,
        span.status.0,
        span.message,
        span.attributes.as_ref().map(|raw| raw.get()),
        span.events.as_ref().map(|raw| raw.get()),
    ])?;
    Ok(changed > 0)
}

fn sum_up(
    transaction: &Transaction<'_>,
    (trace, source): (i64, i64),
    added: &Added<'_>,
) -> Result<(), DatabaseError> {
    let better = "(excluded.top_is_root, -excluded.top_start) > (top_is_root, -top_start)";
    let taken: Vec<String> = ["top", "top_name", "top_kind", "top_is_root", "top_start"]
        .map(|name| format!("{name} = CASE WHEN {better} THEN excluded.{name} ELSE {name} END"))
        .into();
    transaction
        .prepare_cached(&format!(
            "INSERT INTO part (trace, source, first, last, spans, errors, top, top_is_root, top_start, top_name, \
             top_kind) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
             ON CONFLICT (trace, source) DO UPDATE SET first = min(first, excluded.first), \
             last = max(last, excluded.last), spans = spans + excluded.spans, errors = errors + excluded.errors, {}",
            taken.join(", ")
        ))?
        .execute(params![
            trace,
            source,
            added.first,
            added.last,
            added.spans,
            added.errors,
            added.top.span.number(),
            added.top.parent.is_none(),
            added.top.start,
            added.top.name,
            added.top.kind.0,
        ])?;
    transaction
        .prepare_cached("UPDATE trace SET last = ?2 WHERE id = ?1 AND last < ?2")?
        .execute(params![trace, added.last])?;
    Ok(())
}
