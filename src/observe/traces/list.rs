//! Finding traces.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, params};

use super::wire::{Kind, SpanId, TraceId};
use super::{COUNTED, Store};
use crate::asked::{Page, Place};
use crate::database::DatabaseError;
use crate::owner::{COLUMNS, IN_PLACE, Owner, list, newest};

/// A trace, as far as it is of the place that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Its id.
    pub trace: TraceId,
    /// The span that all others come from, or the first one.
    pub root: SpanId,
    /// What that did.
    pub name: String,
    /// Which side of a call it is.
    pub kind: Kind,
    /// Whose it is.
    pub owner: Owner,
    /// When the first span started, in nanoseconds since 1970.
    pub start: i64,
    /// When the last span ended.
    pub end: i64,
    /// How many spans there are.
    pub spans: i64,
    /// How many of them failed.
    pub errors: i64,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listed {
    /// The traces, in the wanted order of their start.
    pub traces: Vec<Summary>,
    /// How many match in all, counted up to 1000.
    pub total: usize,
}

impl Store {
    /// Finds traces with spans of a place.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub fn list(&self, page: &Page) -> Result<Listed, DatabaseError> {
        self.database.read(|connection| {
            let sources = sources(connection, &page.place)?;
            let mut found: Vec<(i64, i64)> =
                starts(connection, &sources, page)?.into_iter().collect();
            let total = found.len().min(COUNTED);
            let sort = |found: &mut Vec<(i64, i64)>| match page.newest_first {
                true => found.sort_unstable_by_key(|(trace, start)| Reverse((*start, *trace))),
                false => found.sort_unstable_by_key(|(trace, start)| (*start, *trace)),
            };
            sort(&mut found);
            found.truncate(page.limit);
            let mut traces = Vec::with_capacity(found.len());
            for (trace, _) in found {
                traces.extend(summary(connection, trace, &sources)?);
            }
            // A part that started before the time asked for may change the order.
            traces.sort_by_key(|trace| trace.start);
            if page.newest_first {
                traces.reverse();
            }
            Ok(Listed { traces, total })
        })
    }
}

/// The sources in scope, without those of former incarnations of a component.
pub(super) fn sources(
    connection: &Connection,
    place: &Place,
) -> Result<BTreeMap<i64, Owner>, DatabaseError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT id, {COLUMNS} FROM source WHERE {IN_PLACE} ORDER BY id"
    ))?;
    let Place { namespace, project, component, environment } = place;
    let names = params![namespace, project, component, environment];
    let rows = statement.query_map(names, |row| Ok((row.get(0)?, Owner::read(row, 1)?)))?;
    let mut sources = rows.collect::<Result<_, _>>()?;
    newest(&mut sources, |owner| owner);
    Ok(sources)
}

/// The traces that have a part of these sources in the time, and when the first of these started. From each source the
/// first thousand in the wanted order: more are neither shown nor counted.
fn starts(
    connection: &Connection,
    sources: &BTreeMap<i64, Owner>,
    page: &Page,
) -> Result<HashMap<i64, i64>, DatabaseError> {
    let order = if page.newest_first { "DESC" } else { "ASC" };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT trace, first FROM part WHERE source = ?1 AND first BETWEEN ?2 AND ?3 \
         ORDER BY first {order} LIMIT {COUNTED}"
    ))?;
    let mut starts: HashMap<i64, i64> = HashMap::new();
    let (first, last) = page.between;
    for source in sources.keys() {
        let rows = statement.query_map(params![source, first, last], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })?;
        for row in rows {
            let (trace, start) = row?;
            starts.entry(trace).and_modify(|known| *known = start.min(*known)).or_insert(start);
        }
    }
    Ok(starts)
}

/// The parts of a trace that are of these sources, summed up.
fn summary(
    connection: &Connection,
    trace: i64,
    sources: &BTreeMap<i64, Owner>,
) -> Result<Option<Summary>, DatabaseError> {
    let mut statement = connection.prepare_cached(
        "SELECT t.trace, p.source, p.first, p.last, p.spans, p.errors, p.top, p.top_name, p.top_kind \
         FROM part p JOIN trace t ON t.id = p.trace WHERE p.trace = ?1 ORDER BY p.top_is_root DESC, p.top_start",
    )?;
    let mut rows = statement.query([trace])?;
    let mut summary: Option<Summary> = None;
    while let Some(row) = rows.next()? {
        let Some(owner) = sources.get(&row.get::<_, i64>(1)?) else { continue };
        let (start, end) = (row.get(2)?, row.get(3)?);
        let (spans, errors) = (row.get::<_, i64>(4)?, row.get::<_, i64>(5)?);
        match &mut summary {
            Some(summary) => {
                summary.start = summary.start.min(start);
                summary.end = summary.end.max(end);
                summary.spans += spans;
                summary.errors += errors;
            }
            None => {
                let id: Vec<u8> = row.get(0)?;
                let Some(trace) = TraceId::from_bytes(&id) else { continue };
                summary = Some(Summary {
                    trace,
                    root: SpanId::from_number(row.get(6)?),
                    name: row.get(7)?,
                    kind: Kind(row.get(8)?),
                    owner: owner.clone(),
                    start,
                    end,
                    spans,
                    errors,
                });
            }
        }
    }
    Ok(summary)
}

/// For statements over sources.
pub(super) fn ids(sources: &BTreeMap<i64, Owner>) -> String {
    list(sources.keys())
}
