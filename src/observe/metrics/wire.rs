//! What the collector posts of one moment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::owner::Owner;

/// Where samples are posted.
pub const SAMPLES_PATH: &str = "/internal/v1/samples";
/// Seconds between two moments. Every moment is a multiple of it since 1970.
pub const INTERVAL: i64 = 5;

/// Upper bounds of the buckets of latencies, in seconds. One more bucket takes what is longer.
pub const BOUNDS: [f64; 13] =
    [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// The samples of one moment; without parts when there was nobody to measure. Posted twice, it is stored once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// Seconds since 1970.
    pub time: i64,
    /// With the last post of a moment: since when everything was counted that is of it and of the moments in between, mostly
    /// the moment before it. The same moment when something may be missing, as for a collector that has just begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// One part an owner.
    pub parts: Vec<Part>,
}

/// The samples of one owner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Whose samples.
    pub owner: Owner,
    /// The samples, each of another series.
    pub samples: Vec<Sample>,
}

/// What makes series of one name different.
pub type Labels = BTreeMap<String, String>;

/// One value of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Of what; see [`super::names`].
    #[serde(rename = "n")]
    pub name: String,
    /// Its labels.
    #[serde(rename = "l", default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// The value.
    #[serde(rename = "v")]
    pub value: Value,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// How much there is at the moment.
    #[serde(rename = "g")]
    Gauge(f64),
    /// How much has come since the moment before.
    #[serde(rename = "i")]
    Increase(f64),
    /// Requests since the moment before.
    #[serde(rename = "h")]
    Requests(Requests),
}

/// How many requests there were, and how long they took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Requests {
    /// All, also those without an answer.
    #[serde(rename = "c")]
    pub count: u64,
    /// What those with an answer took together, in microseconds.
    #[serde(rename = "s", default)]
    pub micros: u64,
    /// Those with an answer, by the number of their bucket in [`BOUNDS`].
    #[serde(rename = "b", default)]
    pub buckets: BTreeMap<u8, u64>,
}

impl Requests {
    /// Adds others.
    pub fn add(&mut self, other: &Requests) {
        self.count = self.count.saturating_add(other.count);
        self.micros = self.micros.saturating_add(other.micros);
        for (bucket, count) in &other.buckets {
            let own = self.buckets.entry(*bucket).or_default();
            *own = own.saturating_add(*count);
        }
    }

    /// Those with an answer.
    pub fn answered(&self) -> u64 {
        self.buckets.values().sum()
    }

    /// What they took on average, in seconds.
    pub fn mean(&self) -> Option<f64> {
        let answered = self.answered();
        (answered > 0).then(|| self.micros as f64 / 1e6 / answered as f64)
    }

    /// What the fraction `of` (0 to 1) of them took at most, in seconds: evenly spread inside of a bucket. Of what is
    /// longer than all bounds the last bound is told.
    pub fn quantile(&self, of: f64) -> Option<f64> {
        let answered = self.answered();
        if answered == 0 {
            return None;
        }
        let rank = of * answered as f64;
        let mut below = 0.0;
        for (bucket, count) in &self.buckets {
            let count = *count as f64;
            if below + count >= rank {
                let place = usize::from(*bucket);
                let last = BOUNDS[BOUNDS.len() - 1];
                let Some(upper) = BOUNDS.get(place) else { return Some(last) };
                let lower = place.checked_sub(1).map_or(0.0, |place| BOUNDS[place]);
                let part = ((rank - below) / count).clamp(0.0, 1.0);
                return Some(lower + (upper - lower) * part);
            }
            below += count;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(buckets: &[(u8, u64)]) -> Requests {
        let count = buckets.iter().map(|(_, count)| count).sum();
        Requests { count, micros: 0, buckets: buckets.iter().copied().collect() }
    }

    #[test]
    fn quantiles_lie_inside_of_their_buckets() {
        // A hundred requests between 5 and 10 ms, a hundred between 50 and 100 ms.
        let all = requests(&[(3, 100), (6, 100)]);
        let near = |of: f64, wanted: f64| {
            let found = all.quantile(of).expect("some");
            assert!((found - wanted).abs() < 1e-9, "{of}: {found}");
        };
        near(0.25, 0.0075);
        near(0.5, 0.01);
        near(0.75, 0.075);
        near(0.99, 0.099);
        assert_eq!(requests(&[(13, 1)]).quantile(0.5), Some(10.0));
        assert_eq!(requests(&[(0, 2)]).quantile(0.5), Some(0.0005));
        assert_eq!(Requests::default().quantile(0.5), None);
    }

    #[test]
    fn requests_without_an_answer_do_not_count_for_latency() {
        let mut all = Requests { count: 3, ..Requests::default() };
        assert_eq!((all.mean(), all.quantile(0.5)), (None, None));
        all.add(&Requests { count: 2, micros: 30_000, buckets: [(4, 2)].into() });
        assert_eq!((all.count, all.answered()), (5, 2));
        assert_eq!(all.mean(), Some(0.015));
    }
}
