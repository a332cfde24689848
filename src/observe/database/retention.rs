//! How much of a signal is kept.

use std::time::Duration;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// What is older goes.
    pub age: Duration,
    /// Above this size of the database in bytes, the oldest goes.
    pub bytes: u64,
}

impl Default for Retention {
    /// A week, and 256 MB.
    fn default() -> Self {
        Retention { age: Duration::from_secs(7 * 24 * 3600), bytes: 256 << 20 }
    }
}

impl Retention {
    /// The oldest time that is kept at `now`, both in nanoseconds since 1970.
    pub fn oldest(&self, now: i64) -> i64 {
        now.saturating_sub(i64::try_from(self.age.as_nanos()).unwrap_or(i64::MAX))
    }
}
