//! Finding lines.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::Store;
use super::phrase::{INDEXED, by_text, like};
use crate::asked::{Page, Place};
use crate::database::DatabaseError;
use crate::level::Level;
use crate::owner::{COLUMNS, IN_PLACE, Owner, newest};
use crate::wire::Source;

/// More matches than this are not counted.
pub(super) const COUNTED: usize = 1000;

/// The text of so many lines is looked at sooner than the full-text index.
const SEEN: i64 = 20_000;

/// What to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Where, when, and how many lines.
    pub page: Page,
    /// Only these levels; empty means all.
    pub levels: Vec<Level>,
    /// Only lines with this text in them, whatever its case.
    pub phrase: String,
}

/// One found line.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Nanoseconds since 1970.
    pub time: i64,
    /// Its text.
    pub text: String,
    /// Its level.
    pub level: Level,
    /// Where it came from.
    pub source: Source,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The lines, in the wanted order.
    pub rows: Vec<Row>,
    /// How many match in all, counted up to 1000.
    pub total: u64,
}

impl Found {
    /// Whether the total is the exact number, and not where counting stopped.
    pub fn is_counted(&self) -> bool {
        self.total < COUNTED as u64
    }
}

impl Store {
    /// Finds lines. Of a component that was deleted and made anew under the same name, only the newer one's.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub fn query(&self, query: &Query) -> Result<Found, DatabaseError> {
        self.find(query, SEEN)
    }

    /// The same, where the text of up to `seen` lines is looked at without the full-text index.
    pub(super) fn find(&self, query: &Query, seen: i64) -> Result<Found, DatabaseError> {
        self.database.read(|connection| {
            let streams = streams(connection, query)?;
            if streams.is_empty() {
                return Ok(Found::default());
            }
            let indexed = query.phrase.chars().count() >= INDEXED;
            let (mut hits, total) = if indexed {
                by_text(connection, query, &streams, seen)?
            } else {
                by_stream(connection, query, &streams)?
            };
            if query.page.newest_first {
                hits.sort_by_key(|hit| Reverse((hit.time, hit.ordinal, hit.stream)));
            } else {
                hits.sort_by_key(|hit| (hit.time, hit.ordinal, hit.stream));
            }
            hits.truncate(query.page.limit);
            let rows = hits.into_iter().filter_map(|hit| {
                let source = streams.get(&hit.stream)?.clone();
                Some(Row {
                    time: hit.time,
                    text: hit.text,
                    level: Level::from_number(hit.level),
                    source,
                })
            });
            Ok(Found { rows: rows.collect(), total: total.min(COUNTED as u64) })
        })
    }
}

pub(super) struct Hit {
    stream: i64,
    time: i64,
    ordinal: u32,
    level: i64,
    text: String,
}

/// The streams in scope, without those of former incarnations of a component.
fn streams(connection: &Connection, query: &Query) -> Result<BTreeMap<i64, Source>, DatabaseError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT id, pod_uid, container, pod, pod_namespace, {COLUMNS} FROM stream WHERE {IN_PLACE} ORDER BY id"
    ))?;
    let Place { namespace, project, component, environment } = &query.page.place;
    let names = params![namespace, project, component, environment];
    let rows = statement.query_map(names, |row| {
        let source = Source {
            pod_uid: row.get(1)?,
            container: row.get(2)?,
            pod: row.get(3)?,
            pod_namespace: row.get(4)?,
            owner: Owner::read(row, 5)?,
        };
        Ok((row.get(0)?, source))
    })?;
    let mut streams = rows.collect::<Result<_, _>>()?;
    newest(&mut streams, |source: &Source| &source.owner);
    Ok(streams)
}

/// The wanted levels.
pub(super) fn levels(query: &Query) -> &[Level] {
    if query.levels.is_empty() { &Level::ALL } else { &query.levels }
}

/// Levels as SQL.
pub(super) fn numbers(levels: &[Level]) -> String {
    let numbers: Vec<String> = levels.iter().map(|level| level.number().to_string()).collect();
    numbers.join(",")
}

/// The phrase as SQL. It is always given as a parameter.
fn condition(query: &Query) -> &'static str {
    if query.phrase.is_empty() { "?5 IS NOT NULL" } else { "text LIKE ?5 ESCAPE '\\'" }
}

pub(super) fn direction(query: &Query) -> &'static str {
    if query.page.newest_first { "DESC" } else { "ASC" }
}

/// Each level of each stream is read from its own end of the index, so a page costs at most streams × levels × limit lines.
pub(super) fn by_stream(
    connection: &Connection,
    query: &Query,
    streams: &BTreeMap<i64, Source>,
) -> Result<(Vec<Hit>, u64), DatabaseError> {
    let order = direction(query);
    let place =
        format!("stream = ?1 AND level = ?2 AND time BETWEEN ?3 AND ?4 AND {}", condition(query));
    let limit = query.page.limit;
    // With a phrase the texts are what takes time, and each is looked at once. Without, the index alone counts.
    let counted = if query.phrase.is_empty() { limit } else { COUNTED.max(limit) };
    let mut page = connection.prepare_cached(&format!(
        "SELECT stream, time, ordinal, level, text FROM line WHERE {place} \
         ORDER BY time {order}, ordinal {order} LIMIT {counted}"
    ))?;
    let mut count = connection.prepare_cached(&format!(
        "SELECT COUNT(*) FROM (SELECT 1 FROM line WHERE {place} LIMIT {COUNTED})"
    ))?;
    let (first, last) = query.page.between;
    let like = format!("%{}%", like(&query.phrase));
    let mut taken = Taken::default();
    let levels = levels(query);
    let lanes = streams.keys().flat_map(|stream| levels.iter().map(move |level| (stream, level)));
    for (stream, level) in lanes {
        let values = params![stream, level.number(), first, last, like];
        let before = taken.total;
        taken.take(page.query(values)?, limit)?;
        if query.phrase.is_empty() && before < COUNTED {
            let there: i64 = count.query_row(values, |row| row.get(0))?;
            taken.total = before + usize::try_from(there).unwrap_or(COUNTED);
        }
    }
    Ok((taken.hits, taken.total as u64))
}

/// Found lines, and how many there are.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) hits: Vec<Hit>,
    pub(super) total: usize,
}

impl Taken {
    /// Takes up to `limit` more lines, and counts on until there are [`COUNTED`] in all.
    pub(super) fn take(
        &mut self,
        mut rows: rusqlite::Rows<'_>,
        limit: usize,
    ) -> rusqlite::Result<()> {
        let mut taken = 0;
        while let Some(row) = rows.next()? {
            if taken < limit {
                self.hits.push(hit(row)?);
                taken += 1;
            }
            self.total += 1;
            if taken >= limit && self.total >= COUNTED {
                break;
            }
        }
        Ok(())
    }
}

fn hit(row: &rusqlite::Row<'_>) -> rusqlite::Result<Hit> {
    Ok(Hit {
        stream: row.get(0)?,
        time: row.get(1)?,
        ordinal: row.get(2)?,
        level: row.get(3)?,
        text: row.get(4)?,
    })
}
