//! Who calls whom, as spans tell it: where nothing on the way counts requests.
//!
//! A call is a span that answers a request, whose parent is of another component, or that has no parent: then it came
//! from outside, or from somebody who records nothing. What the answering side says of time and failure counts, as with
//! everything that is measured where a request arrives. Messages are no requests: nobody waits for them.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};

use super::Store;
use super::list::sources;
use super::wire::{Kind, Status};
use crate::asked::Place;
use crate::database::DatabaseError;
use crate::owner::Owner;

/// Of each process so many of the newest traces are looked at: some seconds of work at most.
const MOST_TRACES: usize = 20_000;
/// A call may come so long after the first span of its trace, in nanoseconds.
const LATE: i64 = 60_000_000_000;

/// A request from one component to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Call<'a> {
    /// Who calls; `None` when no trace knows.
    pub source: Option<&'a Owner>,
    /// Who answers.
    pub destination: &'a Owner,
    /// When it arrived, in nanoseconds since 1970.
    pub start: i64,
    /// How long the answer took, in nanoseconds.
    pub duration: i64,
    /// Whether the one that answers calls it an error.
    pub is_error: bool,
    /// What the one that answers calls it.
    pub name: &'a str,
    /// What describes it: an object in JSON.
    pub attributes: Option<&'a str>,
}

impl Store {
    /// Shows each call from and to components of `place` that arrived within a time, both nanoseconds since 1970, in no
    /// order. False when there were more traces than are looked at; then the older calls are missing.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub fn calls(
        &self,
        place: &Place,
        between: (i64, i64),
        mut each: impl FnMut(Call<'_>),
    ) -> Result<bool, DatabaseError> {
        self.database.read(|connection| {
            let here = sources(connection, place)?;
            if here.is_empty() {
                return Ok(true);
            }
            // The other end may be elsewhere in the namespace.
            let everywhere = Place { namespace: place.namespace.clone(), ..Place::default() };
            let all = sources(connection, &everywhere)?;
            let (traces, complete) = traces(connection, &here, between)?;
            let mut calls = connection.prepare_cached(
                "SELECT c.source, p.source, c.start, c.duration, c.status, c.name, c.attributes FROM span c \
                 LEFT JOIN span p ON p.trace = c.trace AND p.span = c.parent \
                 WHERE c.trace = ?1 AND c.kind = ?2 AND c.start BETWEEN ?3 AND ?4",
            )?;
            let (first, last) = between;
            for trace in traces {
                let mut rows = calls.query(params![trace, Kind::SERVER.0, first, last])?;
                while let Some(row) = rows.next()? {
                    let (to, from) = (row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?);
                    let is_here = |source: &i64| here.contains_key(source);
                    if !is_here(&to) && !from.as_ref().is_some_and(is_here) {
                        continue;
                    }
                    let Some(destination) = all.get(&to) else { continue };
                    let source = from.and_then(|from| all.get(&from));
                    if source == Some(destination) {
                        continue;
                    }
                    each(Call {
                        source,
                        destination,
                        start: row.get(2)?,
                        duration: row.get(3)?,
                        is_error: Status(row.get(4)?) == Status::ERROR,
                        name: row.get_ref(5)?.as_str().unwrap_or_default(),
                        attributes: row.get_ref(6)?.as_str().ok(),
                    });
                }
            }
            Ok(complete)
        })
    }
}

/// The traces in which these sources may have taken part within the time; false when there are more.
fn traces(
    connection: &Connection,
    sources: &BTreeMap<i64, Owner>,
    (first, last): (i64, i64),
) -> Result<(BTreeSet<i64>, bool), DatabaseError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT trace FROM part WHERE source = ?1 AND first BETWEEN ?2 AND ?3 ORDER BY first DESC LIMIT {MOST_TRACES}"
    ))?;
    let (mut traces, mut complete) = (BTreeSet::new(), true);
    for source in sources.keys() {
        let mut rows = statement.query(params![source, first.saturating_sub(LATE), last])?;
        let mut found = 0;
        while let Some(row) = rows.next()? {
            traces.insert(row.get(0)?);
            found += 1;
        }
        complete &= found < MOST_TRACES;
    }
    Ok((traces, complete))
}
