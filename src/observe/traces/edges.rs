//! Who calls whom, as spans tell it: where nothing on the way counts requests.
//!
//! A call is a span that answers (server or consumer) whose parent is of another component, or that has no parent: then
//! it came from outside. What the answering side says of time and failure counts, as with everything that is measured
//! where a request arrives.

use std::collections::BTreeMap;

use rusqlite::params;

use super::list::{sources, starts};
use super::wire::{Kind, Status};
use super::{COUNTED, Store};
use crate::asked::{Page, Place};
use crate::database::DatabaseError;
use crate::owner::Owner;

/// Calls from one component to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// Who calls; `None` when no trace knows: the caller is outside, or records nothing.
    pub source: Option<Owner>,
    /// Who answers.
    pub destination: Owner,
    /// How often.
    pub requests: u64,
    /// How often that failed.
    pub errors: u64,
    /// How long it took.
    pub latency: Latency,
}

/// Durations, counted in steps of a ninth: eight to each doubling.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latency {
    count: u64,
    sum: f64,
    steps: BTreeMap<i32, u64>,
}

/// Steps to a doubling.
const STEPS: f64 = 8.0;

impl Latency {
    fn add(&mut self, nanoseconds: i64) {
        // Above 2^53 ns, which is a hundred days, the last digits are rounded.
        #[allow(clippy::cast_precision_loss)]
        let duration = nanoseconds.max(1) as f64;
        self.count += 1;
        self.sum += duration;
        // The exponent of an i64 is less than 64.
        #[allow(clippy::cast_possible_truncation)]
        let step = (duration.log2() * STEPS).floor() as i32;
        *self.steps.entry(step).or_default() += 1;
    }

    /// The mean in seconds.
    pub fn mean(&self) -> f64 {
        #[allow(clippy::cast_precision_loss)]
        let count = self.count.max(1) as f64;
        self.sum / count / 1e9
    }

    /// What the part `share` (0 to 1) of the durations does not exceed, in seconds, within five percent.
    pub fn quantile(&self, share: f64) -> f64 {
        #[allow(clippy::cast_precision_loss)]
        let wanted = share.clamp(0.0, 1.0) * self.count as f64;
        let mut seen = 0.0;
        for (step, count) in &self.steps {
            #[allow(clippy::cast_precision_loss)]
            let more = *count as f64;
            seen += more;
            if seen >= wanted {
                return ((f64::from(*step) + 0.5) / STEPS).exp2() / 1e9;
            }
        }
        0.0
    }
}

/// The two ends by their names, for the order and for finding an edge again.
type Ends = (Option<[String; 7]>, [String; 7]);

impl Store {
    /// The calls from and to components of `place` within a time, both nanoseconds since 1970. Of each process the
    /// newest thousand traces count.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub fn edges(&self, place: &Place, between: (i64, i64)) -> Result<Vec<Edge>, DatabaseError> {
        self.database.read(|connection| {
            let here = sources(connection, place)?;
            // The other end may be elsewhere in the namespace.
            let everywhere = Place { namespace: place.namespace.clone(), ..Place::default() };
            let all = sources(connection, &everywhere)?;
            let page = Page { place: place.clone(), between, limit: COUNTED, newest_first: true };
            let mut calls = connection.prepare_cached(
                "SELECT c.source, c.duration, c.status, p.source FROM span c \
                 LEFT JOIN span p ON p.trace = c.trace AND p.span = c.parent \
                 WHERE c.trace = ?1 AND c.kind IN (?2, ?3)",
            )?;
            let mut edges: BTreeMap<Ends, Edge> = BTreeMap::new();
            for trace in starts(connection, &here, &page)?.into_keys() {
                let mut rows = calls.query(params![trace, Kind::SERVER.0, Kind::CONSUMER.0])?;
                while let Some(row) = rows.next()? {
                    let (to, from) = (row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(3)?);
                    let is_here = |source: &i64| here.contains_key(source);
                    if !is_here(&to) && !from.as_ref().is_some_and(is_here) {
                        continue;
                    }
                    let Some(destination) = all.get(&to) else { continue };
                    let source = from.and_then(|from| all.get(&from));
                    if source == Some(destination) {
                        continue;
                    }
                    let names = |owner: &Owner| owner.values().map(str::to_owned);
                    let edge =
                        edges.entry((source.map(names), names(destination))).or_insert_with(|| {
                            Edge {
                                source: source.cloned(),
                                destination: destination.clone(),
                                requests: 0,
                                errors: 0,
                                latency: Latency::default(),
                            }
                        });
                    edge.requests += 1;
                    edge.errors += u64::from(Status(row.get(2)?) == Status::ERROR);
                    edge.latency.add(row.get(1)?);
                }
            }
            Ok(edges.into_values().collect())
        })
    }
}
