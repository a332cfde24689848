//! What components were asked over HTTP, over time and by route.

use std::collections::BTreeMap;

use super::Store;
use super::ask::Window;
use super::calls::{Calls, Counted, is_procedure};
use super::names::{HTTP_IN, METHOD, PROTOCOL, ROUTE, STATUS};
use super::node::Node;
use super::scan::{Measured, Scan, Series, Stretch};
use super::wire::{Requests, Value};
use crate::asked::Place;
use crate::database::DatabaseError;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// As it should.
    Good,
    /// The caller was wrong.
    Refused,
    /// The one that was asked was.
    Failed,
}

/// HTTP: below 400, below 500, or not. gRPC: by its number. Without an answer it has failed.
pub(super) fn outcome(protocol: &str, status: &str) -> Outcome {
    match (protocol, status.parse::<u16>()) {
        (_, Err(_)) => Outcome::Failed,
        ("grpc", Ok(0)) => Outcome::Good,
        // Unknown, deadline exceeded, resources exhausted, unimplemented, internal, unavailable, data loss.
        ("grpc", Ok(2 | 4 | 8 | 12..=15)) => Outcome::Failed,
        ("grpc", Ok(_)) => Outcome::Refused,
        (_, Ok(..400)) => Outcome::Good,
        (_, Ok(400..500)) => Outcome::Refused,
        (_, Ok(_)) => Outcome::Failed,
    }
}

/// Requests with their outcomes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Asked {
    pub(super) all: Requests,
    /// Of them, not good.
    pub(super) unsuccessful: u64,
    /// Of these, failed.
    pub(super) failed: u64,
    /// The unsuccessful ones by status.
    pub(super) statuses: BTreeMap<String, u64>,
    /// Of all, those that are known from spans alone.
    pub(super) traced: u64,
    /// None is known to have failed from then on, in seconds since 1970.
    pub(super) failed_at: Option<i64>,
    /// One is known to have been good then or later.
    pub(super) good_at: Option<i64>,
}

impl Asked {
    /// Adds requests of a series, of which the last ended within `last`.
    pub(super) fn add(&mut self, series: &Series, requests: &Requests, last: Option<Stretch>) {
        let status = series.label(STATUS);
        self.count(outcome(series.label(PROTOCOL), status), status, requests, last);
    }

    /// Adds requests that ended like this, the last of them within `last`.
    pub(super) fn count(
        &mut self,
        outcome: Outcome,
        status: &str,
        requests: &Requests,
        last: Option<Stretch>,
    ) {
        self.all.add(requests);
        match outcome {
            Outcome::Good => self.good_at = self.good_at.max(last.map(|(begin, _)| begin)),
            Outcome::Failed => self.failed_at = self.failed_at.max(last.map(|(_, end)| end)),
            Outcome::Refused => {}
        }
        if outcome != Outcome::Good {
            self.unsuccessful += requests.count;
            *self.statuses.entry(status.to_owned()).or_default() += requests.count;
        }
        if outcome == Outcome::Failed {
            self.failed += requests.count;
        }
    }

    /// Adds others.
    pub(super) fn join(&mut self, other: &Asked) {
        self.all.add(&other.all);
        self.unsuccessful += other.unsuccessful;
        self.failed += other.failed;
        self.traced += other.traced;
        self.failed_at = self.failed_at.max(other.failed_at);
        self.good_at = self.good_at.max(other.good_at);
        for (status, count) in &other.statuses {
            *self.statuses.entry(status.clone()).or_default() += count;
        }
    }

    /// Since when none failed, if a good one came after the last that did: silence is no recovery.
    pub(super) fn recovered(&self) -> Option<i64> {
        self.failed_at.filter(|failed| self.good_at >= Some(*failed))
    }

    /// Which part of them has failed, 0 to 1.
    pub(super) fn failing(&self) -> f64 {
        self.failed as f64 / self.all.count.max(1) as f64
    }
}

/// What was asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Http {
    /// By step; `None` where nothing was measured.
    pub(super) steps: Vec<Option<Asked>>,
    /// By component, method and route.
    pub(super) routes: BTreeMap<(String, String, String), Asked>,
    /// Whether there were more spans than are looked at, so that older requests are missing.
    pub(super) more: bool,
}

impl Store {
    /// What the components of a place were asked, with the calls that nothing on the way counted.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub(super) fn requests(&self, window: &Window, calls: &Calls) -> Result<Http, DatabaseError> {
        self.scan(
            &window.place,
            window.between,
            |name| name == HTTP_IN,
            |connection, scan| {
                let mut measured: Vec<Measured> = Vec::new();
                measured.resize_with(window.steps(), Measured::default);
                let mut http = Http { steps: vec![None; window.steps()], ..Http::default() };
                let mut by_series = vec![Requests::default(); scan.series.len()];
                let steps = &mut http.steps;
                scan.each(
                    connection,
                    |_, moment| measured[window.step_of(moment)].add(moment),
                    |moment, series, value| {
                        let Value::Requests(requests) = value else { return };
                        let step = steps[window.step_of(moment)].get_or_insert_default();
                        step.add(&scan.series[series], &requests, Some(moment.stretch()));
                        by_series[series].add(&requests);
                    },
                )?;
                http.add_calls(calls, &counted(&scan, &by_series), &window.place);
                // Nothing was asked of anybody who was never asked anything: no series at all, then.
                let asked = http.steps.iter().any(Option::is_some);
                for (step, measured) in http.steps.iter_mut().zip(&measured) {
                    if asked && step.is_none() && measured.ticks() > 0 {
                        *step = Some(Asked::default());
                    }
                }
                for (series, requests) in scan.series.iter().zip(&by_series) {
                    let component = scan.owners[series.owner].component.clone();
                    let route = (
                        component,
                        series.label(METHOD).to_owned(),
                        series.label(ROUTE).to_owned(),
                    );
                    if requests.count > 0 {
                        http.routes.entry(route).or_default().add(series, requests, None);
                    }
                }
                Ok(http)
            },
        )
    }
}

fn counted(scan: &Scan, by_series: &[Requests]) -> Counted {
    let asked = scan.series.iter().zip(by_series).filter(|(_, requests)| requests.count > 0);
    asked
        .map(|(series, _)| {
            let ends = (Node::peer(series).by_name(), Node::named(&scan.owners[series.owner]));
            (ends, is_procedure(series.label(PROTOCOL)))
        })
        .collect()
}

impl Http {
    /// Adds what spans know of the components of a place besides what was counted.
    fn add_calls(&mut self, calls: &Calls, counted: &Counted, place: &Place) {
        self.more = !calls.complete;
        for traced in calls.besides(counted).filter(|traced| place.has(&traced.target)) {
            for (kind, ended) in &traced.requests {
                kind.join(ended, self.steps[kind.step].get_or_insert_default());
                let route =
                    (traced.target.component.clone(), kind.method.clone(), kind.route.clone());
                kind.join(ended, self.routes.entry(route).or_default());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_told_by_protocol() {
        let cases = [
            ("http1", "204", Outcome::Good),
            ("http2", "304", Outcome::Good),
            ("http1", "404", Outcome::Refused),
            ("http1", "503", Outcome::Failed),
            ("http1", "none", Outcome::Failed),
            ("grpc", "0", Outcome::Good),
            ("grpc", "5", Outcome::Refused),
            ("grpc", "14", Outcome::Failed),
            ("grpc", "none", Outcome::Failed),
        ];
        for (protocol, status, wanted) in cases {
            assert_eq!(outcome(protocol, status), wanted, "{protocol} {status}");
        }
    }
}
