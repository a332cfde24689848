//! Processor time as a rate over a window.
//!
//! Nobody reads in the background: a reading is taken when somebody asks, and the rate is since an earlier one. All who
//! ask share the readings, so whatever is read is read once. Two are kept, so that asking often does not make windows
//! shorter.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// The shortest time that a rate is taken over.
pub(super) const SHORTEST: Duration = Duration::from_secs(1);
/// Once there are readings that are this far apart, no rate is taken over less.
const WINDOW: Duration = Duration::from_secs(10);
/// What was used over a longer time says little about now.
pub(super) const LONGEST: Duration = Duration::from_secs(120);
/// What nobody has asked for in this time is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(15 * 60);

/// Rates of processor time, by what it is of.
#[derive(Default)]
pub(super) struct Rates(Mutex<HashMap<String, Readings>>);

/// Processor time that was used in a second, on average.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    /// Nanoseconds of it: thousand-millionths of a processor.
    pub(super) nanocores: u64,
    /// The time that it is the average of,
    pub(super) window: Duration,
    /// and when that ended.
    pub(super) ended: Timestamp,
}

/// Processor time at one moment.
#[derive(Clone, Copy)]
struct Reading {
    at: Instant,
    usage: u64,
}

/// The last reading, and one that is older by a window or more.
struct Readings {
    last: Reading,
    before: Option<Reading>,
}

impl Rates {
    /// The rate, once there are two readings to take it from. `now` and `clock` are the same moment.
    pub(super) fn of(&self, key: &str, usage: u64, now: Instant, clock: Timestamp) -> Option<Rate> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reading = Reading { at: now, usage };
        let Some(readings) = all.get_mut(key) else {
            all.retain(|_, one| now.saturating_duration_since(one.last.at) < FORGOTTEN);
            all.insert(key.to_owned(), Readings { last: reading, before: None });
            return None;
        };
        let since = readings.since(now);
        let window = now.saturating_duration_since(since.at);
        if now.saturating_duration_since(readings.last.at) >= WINDOW {
            *readings = Readings { last: reading, before: Some(readings.last) };
        }
        let used = usage.saturating_sub(since.usage) as f64;
        let nanocores = (used / window.as_secs_f64()) as u64;
        (window >= SHORTEST).then_some(Rate { nanocores, window, ended: clock })
    }
}

impl Readings {
    /// The one to take a rate from.
    fn since(&self, now: Instant) -> Reading {
        let ago = |reading: &Reading| now.saturating_duration_since(reading.at);
        match self.before {
            Some(before) if ago(&self.last) < WINDOW && ago(&before) <= LONGEST => before,
            _ => self.last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_taken_over_some_seconds() {
        let (rates, start) = (Rates::default(), Instant::now());
        let at = |tenths: u64, usage| {
            let clock = Timestamp::from_millisecond(100 * tenths as i64).unwrap();
            let rate = rates.of("a", usage, start + Duration::from_millis(100 * tenths), clock)?;
            let ended = rate.ended.as_millisecond() / 100;
            Some((rate.nanocores, rate.window.as_millis() / 100, ended))
        };
        assert_eq!(at(0, 1000), None);
        assert_eq!(at(5, 9000), None, "too short");
        assert_eq!(at(20, 3000), Some((1000, 20, 20)), "better than nothing");
        assert_eq!(at(100, 51_000), Some((5000, 100, 100)), "since the first");
        assert_eq!(at(105, 53_500), Some((5000, 105, 105)), "not less than the window");
        assert_eq!(at(190, 58_000), Some((3000, 190, 190)));
        assert_eq!(at(200, 61_000), Some((1000, 100, 200)), "since the second");
        assert_eq!(at(2000, 241_000), Some((1000, 1800, 2000)), "nobody asked for long");
        assert_eq!(at(2005, 242_000), None, "too short since the last, and too long since others");
        assert_eq!(at(2010, 242_000), Some((1000, 10, 2010)));
        let clock = Timestamp::UNIX_EPOCH;
        assert_eq!(rates.of("b", 7, start, clock), None);
        rates.of("c", 7, start + FORGOTTEN + Duration::from_secs(201), clock);
        assert_eq!(rates.0.lock().unwrap().len(), 1, "others are forgotten");
    }
}
