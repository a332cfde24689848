//! The samples of a moment, added up by owner and series.

use std::collections::BTreeMap;

use crate::metrics::wire::{Batch, Labels, Part, Requests, Sample, Value};
use crate::owner::Owner;

/// Samples that a moment may have; what more there is does not count.
const MOST: usize = 50_000;
/// Samples that are posted at once.
const POSTED: usize = 4000;

/// What was measured so far.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    values: BTreeMap<Owner, BTreeMap<(String, Labels), Value>>,
    count: usize,
    pub(super) dropped: usize,
}

impl Gathered {
    fn slot(
        &mut self,
        owner: &Owner,
        name: &str,
        labels: Labels,
        zero: Value,
    ) -> Option<&mut Value> {
        if !self.values.contains_key(owner) {
            self.values.insert(owner.clone(), BTreeMap::new());
        }
        let series = self.values.get_mut(owner)?;
        let key = (name.to_owned(), labels);
        if !series.contains_key(&key) {
            if self.count >= MOST {
                self.dropped += 1;
                return None;
            }
            self.count += 1;
        }
        Some(series.entry(key).or_insert(zero))
    }

    /// How much there is. Two of one series are added.
    pub(super) fn gauge(&mut self, owner: &Owner, name: &str, labels: Labels, value: f64) {
        if !value.is_finite() {
            return;
        }
        if let Some(Value::Gauge(sum)) = self.slot(owner, name, labels, Value::Gauge(0.0)) {
            *sum += value;
        }
    }

    /// How much has come. Nothing is not worth a sample.
    pub(super) fn increase(&mut self, owner: &Owner, name: &str, labels: Labels, value: f64) {
        if !value.is_finite() || value <= 0.0 {
            return;
        }
        if let Some(Value::Increase(sum)) = self.slot(owner, name, labels, Value::Increase(0.0)) {
            *sum += value;
        }
    }

    /// Requests.
    pub(super) fn requests(&mut self, owner: &Owner, name: &str, labels: Labels, more: &Requests) {
        let zero = Value::Requests(Requests::default());
        if let Some(Value::Requests(sum)) = self.slot(owner, name, labels, zero) {
            sum.add(more);
        }
    }

    /// As posts, each of a bounded size. The last one says `since` when; what is of nobody comes in one without parts.
    pub(super) fn batches(self, (since, time): (i64, i64)) -> Vec<Batch> {
        let mut batches = Vec::new();
        let empty = || Batch { time, since: None, parts: Vec::new() };
        let mut batch = empty();
        let mut count = 0;
        for (owner, series) in self.values {
            let mut samples: Vec<Sample> = series
                .into_iter()
                .map(|((name, labels), value)| Sample { name, labels, value })
                .collect();
            while !samples.is_empty() {
                let rest = samples.split_off(samples.len().min(POSTED - count));
                count += samples.len();
                batch.parts.push(Part { owner: owner.clone(), samples });
                samples = rest;
                if count >= POSTED {
                    batches.push(std::mem::replace(&mut batch, empty()));
                    count = 0;
                }
            }
        }
        if !batch.parts.is_empty() || batches.is_empty() {
            batches.push(batch);
        }
        if let Some(last) = batches.last_mut() {
            last.since = Some(since);
        }
        batches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_posted_in_bounded_parts() {
        let mut gathered = Gathered::default();
        let owner = |n: usize| Owner { component: format!("c{n}"), ..Owner::default() };
        for n in 0..3 {
            for m in 0..3000 {
                gathered.gauge(&owner(n), "x", Labels::from([("m".into(), m.to_string())]), 1.0);
            }
        }
        gathered.gauge(&owner(0), "x", Labels::from([("m".into(), "0".into())]), 1.0);
        gathered.gauge(&owner(0), "x", Labels::new(), f64::NAN);
        gathered.increase(&owner(0), "y", Labels::new(), 0.0);
        let batches = gathered.batches((0, 5));
        let samples =
            |batch: &Batch| batch.parts.iter().map(|part| part.samples.len()).sum::<usize>();
        assert_eq!(batches.iter().map(samples).collect::<Vec<_>>(), [4000, 4000, 1000]);
        assert_eq!(batches[0].parts[0].samples[0].value, Value::Gauge(2.0));
        assert_eq!(
            batches.iter().map(|batch| batch.since).collect::<Vec<_>>(),
            [None, None, Some(0)]
        );
        let empty = Batch { time: 5, since: Some(0), parts: Vec::new() };
        assert_eq!(Gathered::default().batches((0, 5)), [empty]);
    }
}
