//! Going through what is stored of a place and a stretch of time.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, params};

use super::Store;
use super::packed::unpack;
use super::schema::GRAINS;
use super::wire::{INTERVAL, Labels, Value};
use crate::asked::Place;
use crate::database::DatabaseError;
use crate::owner::{COLUMNS, IN_PLACE, Owner, newest};

/// The highest number of a series is so far from the lowest one that a table of all numbers would be too large.
const FAR: i64 = 1 << 17;

/// A series that is looked at.
#[derive(Clone, Debug)]
pub(super) struct Series {
    /// Place of the owner in [`Scan::owners`].
    pub(super) owner: usize,
    pub(super) name: String,
    pub(super) labels: Labels,
}

impl Series {
    /// A label, or nothing.
    pub(super) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// When something was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Moment {
    /// Its beginning, in seconds since 1970.
    pub(super) time: i64,
    /// Seconds that it covers.
    pub(super) span: i64,
    /// How often was measured in it.
    pub(super) ticks: i64,
}

impl Moment {
    /// Its beginning and its end.
    pub(super) fn stretch(self) -> Stretch {
        (self.time, self.time + self.span)
    }
}

/// A beginning and an end in seconds since 1970.
pub(super) type Stretch = (i64, i64);

/// What to go through.
pub(super) struct Scan {
    pub(super) owners: Vec<Owner>,
    pub(super) series: Vec<Series>,
    numbers: Vec<(i64, usize)>,
    ids: Vec<i64>,
    between: (i64, i64),
}

/// The times at which anything was measured in a scope, and how often.
#[derive(Debug, Default)]
pub(super) struct Measured(HashMap<(i64, i64), i64>);

impl Measured {
    pub(super) fn add(&mut self, moment: Moment) {
        let ticks = self.0.entry((moment.span, moment.time)).or_default();
        *ticks = moment.ticks.max(*ticks);
    }

    /// How often was measured in all.
    pub(super) fn ticks(&self) -> i64 {
        self.0.values().sum()
    }

    /// How many seconds that are.
    pub(super) fn seconds(&self) -> f64 {
        (self.ticks() * INTERVAL) as f64
    }
}

impl Store {
    /// Everything of a place between two times (seconds since 1970, both included) whose name is `wanted`. Of a component
    /// that was deleted and made anew under the same name, only the newer one's. Then calls `read` with it.
    pub(super) fn scan<T>(
        &self,
        place: &Place,
        between: (i64, i64),
        wanted: impl Fn(&str) -> bool,
        read: impl FnOnce(&Connection, Scan) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        self.database.read(|connection| {
            let found = owners(connection, place)?;
            let mut scan = Scan {
                owners: Vec::new(),
                series: Vec::new(),
                numbers: Vec::new(),
                ids: Vec::new(),
                between,
            };
            for (id, owner) in found {
                scan.add_series(connection, id, &wanted)?;
                scan.owners.push(owner);
                scan.ids.push(id);
            }
            scan.numbers.sort_unstable();
            read(connection, scan)
        })
    }
}

impl Scan {
    fn add_series(
        &mut self,
        connection: &Connection,
        owner: i64,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<(), DatabaseError> {
        let mut statement =
            connection.prepare_cached("SELECT id, name, labels FROM series WHERE owner = ?1")?;
        let mut rows = statement.query([owner])?;
        while let Some(row) = rows.next()? {
            let name: String = row.get(1)?;
            if wanted(&name) {
                let labels: String = row.get(2)?;
                self.numbers.push((row.get(0)?, self.series.len()));
                let labels = serde_json::from_str(&labels).unwrap_or_default();
                self.series.push(Series { owner: self.owners.len(), name, labels });
            }
        }
        Ok(())
    }

    /// Shows each moment of each owner to `moment`, and its values to `value` with the places of their series.
    pub(super) fn each(
        &self,
        connection: &Connection,
        mut moment: impl FnMut(usize, Moment),
        mut value: impl FnMut(Moment, usize, Value),
    ) -> Result<(), DatabaseError> {
        let place = Places::new(&self.numbers);
        let mut statement = connection.prepare_cached(
            "SELECT time, ticks, data FROM moment WHERE owner = ?1 AND grain = ?2 AND time BETWEEN ?3 AND ?4 \
             ORDER BY time",
        )?;
        let (first, last) = self.between;
        for (owner, id) in self.ids.iter().enumerate() {
            for (grain, kind) in GRAINS.iter().enumerate() {
                let first = first.div_euclid(kind.span) * kind.span;
                let mut rows = statement.query(params![id, grain as i64, first, last])?;
                while let Some(row) = rows.next()? {
                    let at = Moment { time: row.get(0)?, span: kind.span, ticks: row.get(1)? };
                    moment(owner, at);
                    let data = row.get_ref(2)?.as_blob().unwrap_or_default();
                    let mut values = unpack(data);
                    while let Some((number, found)) =
                        values.next_of(|number| place.of(number).is_some())
                    {
                        if let Some(series) = place.of(number) {
                            value(at, series, found);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// From the number of a series to its place.
struct Places<'a> {
    sorted: &'a [(i64, usize)],
    first: i64,
    /// Place plus one by number; empty when the numbers are far apart.
    table: Vec<u32>,
}

impl<'a> Places<'a> {
    fn new(sorted: &'a [(i64, usize)]) -> Places<'a> {
        let first = sorted.first().map_or(0, |one| one.0);
        let width = sorted.last().map_or(0, |one| one.0 - first + 1);
        let mut table = Vec::new();
        if width <= FAR {
            table.resize(usize::try_from(width).unwrap_or(0), 0);
            for (number, place) in sorted {
                let at = usize::try_from(number - first).unwrap_or(0);
                table[at] = u32::try_from(place + 1).unwrap_or(0);
            }
        }
        Places { sorted, first, table }
    }

    fn of(&self, number: i64) -> Option<usize> {
        if self.table.is_empty() {
            let found = self.sorted.binary_search_by_key(&number, |one| one.0).ok()?;
            return Some(self.sorted[found].1);
        }
        let at = usize::try_from(number - self.first).ok()?;
        self.table.get(at).and_then(|place| place.checked_sub(1)).map(|place| place as usize)
    }
}

/// The owners in scope with their numbers, without former incarnations of a component.
fn owners(connection: &Connection, place: &Place) -> Result<BTreeMap<i64, Owner>, DatabaseError> {
    let mut statement = connection
        .prepare_cached(&format!("SELECT id, {COLUMNS} FROM owner WHERE {IN_PLACE} ORDER BY id"))?;
    let Place { namespace, project, component, environment } = place;
    let rows = statement.query_map(params![namespace, project, component, environment], |row| {
        Ok((row.get(0)?, Owner::read(row, 1)?))
    })?;
    let mut all: BTreeMap<i64, Owner> = rows.collect::<Result<_, _>>()?;
    newest(&mut all, |owner| owner);
    Ok(all)
}

#[cfg(test)]
impl Store {
    /// Names and values of one moment, for tests of what was stored.
    pub(crate) fn raw(&self, place: &Place, time: i64) -> Result<Vec<String>, DatabaseError> {
        self.scan(
            place,
            (time, time),
            |_| true,
            |connection, scan| {
                let mut all = Vec::new();
                scan.each(
                    connection,
                    |_, _| {},
                    |_, series, value| {
                        let value = match value {
                            Value::Gauge(value) | Value::Increase(value) => value,
                            Value::Requests(requests) => requests.count as f64,
                        };
                        all.push(format!("{} {value}", scan.series[series].name));
                    },
                )?;
                Ok(all)
            },
        )
    }
}
