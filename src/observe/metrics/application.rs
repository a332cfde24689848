//! What programs measure of themselves: the series that were scraped from their pods.

use serde_json::{Value, json};

use super::Store;
use super::answer::table;
use super::ask::Window;
use super::names::APPLICATION;
use super::resources::Points;
use super::scan::Measured;
use super::statistics::{rounded, statistics};
use super::wire::{INTERVAL, Labels, Value as Kept};
use crate::database::DatabaseError;

/// A scraped series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scraped {
    pub(super) component: String,
    pub(super) name: String,
    pub(super) labels: Labels,
    /// Whether it only grows: then its points are per second.
    pub(super) counts: bool,
    pub(super) points: Points,
}

impl Store {
    /// The scraped series whose name has `name` in it, without those of which there is nothing in this time.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub(super) fn scraped(
        &self,
        window: &Window,
        name: &str,
    ) -> Result<Vec<Scraped>, DatabaseError> {
        let wanted =
            |kept: &str| kept.strip_prefix(APPLICATION).is_some_and(|kept| kept.contains(name));
        self.scan(&window.place, window.between, wanted, |connection, scan| {
            let steps = window.steps();
            let mut measured: Vec<Measured> = Vec::new();
            measured.resize_with(steps, Measured::default);
            let mut sums: Vec<(bool, Vec<f64>)> = vec![(false, Vec::new()); scan.series.len()];
            scan.each(
                connection,
                |_, moment| measured[window.step_of(moment)].add(moment),
                |moment, series, value| {
                    let (counts, sums) = &mut sums[series];
                    sums.resize(steps, 0.0);
                    sums[window.step_of(moment)] += match value {
                        Kept::Gauge(value) => value * moment.ticks as f64,
                        Kept::Increase(value) => {
                            *counts = true;
                            value / INTERVAL as f64
                        }
                        Kept::Requests(_) => return,
                    };
                },
            )?;
            let there = scan.series.iter().zip(sums).filter(|(_, (_, sums))| !sums.is_empty());
            let scraped = there.map(|(series, (counts, sums))| {
                let points = sums.into_iter().zip(&measured).map(|(sum, measured)| {
                    let ticks = measured.ticks();
                    (ticks > 0).then(|| sum / ticks as f64)
                });
                Scraped {
                    component: scan.owners[series.owner].component.clone(),
                    name: series.name[APPLICATION.len()..].to_owned(),
                    labels: series.labels.clone(),
                    counts,
                    points: points.collect(),
                }
            });
            Ok(scraped.collect())
        })
    }
}

/// The answer for an agent.
pub(super) fn compact(found: &[Scraped], budget: usize) -> Value {
    let row = |one: &Scraped| {
        let found = statistics(&one.points)?;
        let labels: Vec<String> =
            one.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let kind = if one.counts { "per second" } else { "value" };
        Some(json!([
            one.component,
            one.name,
            labels.join(","),
            kind,
            rounded(found.mean),
            rounded(found.max),
            rounded(found.last),
            found.trend(),
        ]))
    };
    let columns = ["component", "name", "labels", "kind", "mean", "max", "last", "trend"];
    let (table, hint) = table(&columns, found.iter().filter_map(row).collect(), budget);
    let mut answer = json!({"series": table});
    if let Some(hint) = hint {
        answer["hint"] = format!("{hint}, or by name").into();
    } else if found.is_empty() {
        answer["hint"] = json!(
            "no such series; programs are scraped whose pods have the annotation prometheus.io/scrape"
        );
    }
    answer
}
