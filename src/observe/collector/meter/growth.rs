//! By how much counters have grown.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// Counters that are remembered of one place; what more there is does not count.
const MOST: usize = 200_000;

/// The counters of one place that is read again and again.
#[derive(Debug, Default)]
pub(super) struct Growth {
    /// The last value, and the reading it is of, by a hash of the series.
    last: HashMap<u64, (f64, u32)>,
    hasher: RandomState,
    reading: u32,
}

impl Growth {
    /// A new reading begins.
    pub(super) fn begin(&mut self) {
        self.reading = self.reading.wrapping_add(1);
    }

    /// By how much a counter has grown since the reading before. One that is smaller was set back, and all that it has
    /// came since. One that was not there then has grown from nothing; in the first reading nobody knows since when.
    pub(super) fn of(&mut self, series: &str, value: f64) -> f64 {
        let first = self.reading == 1;
        let key = self.hasher.hash_one(series);
        let before = match self.last.get(&key) {
            Some((before, _)) => Some(*before),
            None if self.last.len() >= MOST => return 0.0,
            None => None,
        };
        self.last.insert(key, (value, self.reading));
        match before {
            Some(before) if value >= before => value - before,
            None if first => 0.0,
            Some(_) | None => value.max(0.0),
        }
    }

    /// The reading is complete: counters that were not in it are gone.
    pub(super) fn end(&mut self) {
        let reading = self.reading;
        self.last.retain(|_, (_, last)| *last == reading);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(growth: &mut Growth, values: &[(&str, f64)]) -> Vec<f64> {
        growth.begin();
        let found = values.iter().map(|(series, value)| growth.of(series, *value)).collect();
        growth.end();
        found
    }

    #[test]
    fn counters_grow_begin_and_are_set_back() {
        let mut growth = Growth::default();
        assert_eq!(read(&mut growth, &[("a", 100.0)]), [0.0], "nobody knows since when");
        assert_eq!(read(&mut growth, &[("a", 103.0), ("b", 2.0)]), [3.0, 2.0]);
        assert_eq!(read(&mut growth, &[("a", 1.0), ("b", 2.0)]), [1.0, 0.0]);
        assert_eq!(read(&mut growth, &[("b", 3.0)]), [1.0]);
        assert_eq!(read(&mut growth, &[("a", 5.0), ("b", 3.0)]), [5.0, 0.0]);
    }
}
