//! Slowing down whoever guesses secrets.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

/// Wrong secrets a name may send in a burst.
const BURST: u32 = 10;
/// One more try is granted per this time.
const REFILL: Duration = Duration::from_secs(1);
/// Names remembered at once; the one that failed longest ago goes first.
const NAMES: usize = 1024;

/// Counts wrong secrets per name: a bucket of [`BURST`] tries that refills one per [`REFILL`].
///
/// Only failures take from the bucket, so a working client is never slowed down.
#[derive(Debug, Default)]
pub struct Limiter(Mutex<HashMap<String, Bucket>>);

#[derive(Debug)]
struct Bucket {
    failures: u32,
    since: Instant,
}

impl Bucket {
    /// Failures not yet forgiven at `now`.
    fn remaining(&self, now: Instant) -> u32 {
        let forgiven = now.duration_since(self.since).as_secs() / REFILL.as_secs();
        self.failures.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX))
    }
}

impl Limiter {
    /// Whether `name` may try at `now`.
    ///
    /// # Errors
    /// How long to wait before the next try.
    pub fn admit(&self, name: &str, now: Instant) -> Result<(), Duration> {
        let names = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match names.get(name) {
            Some(bucket) if bucket.remaining(now) >= BURST => {
                let excess = bucket.remaining(now) + 1 - BURST;
                Err(REFILL * excess)
            }
            _ => Ok(()),
        }
    }

    /// Notes a wrong secret of `name`.
    pub fn failed(&self, name: &str, now: Instant) {
        let mut names = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        names.retain(|_, bucket| bucket.remaining(now) > 0);
        if names.len() >= NAMES
            && !names.contains_key(name)
            && let Some(oldest) =
                names.iter().min_by_key(|(_, bucket)| bucket.since).map(|(name, _)| name.clone())
        {
            names.remove(&oldest);
        }
        let bucket = names.entry(name.to_owned()).or_insert(Bucket { failures: 0, since: now });
        let failures = (bucket.remaining(now) + 1).min(BURST);
        *bucket = Bucket { failures, since: now };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slows_down_after_the_burst_and_forgives_with_time() {
        let (limiter, now) = (Limiter::default(), Instant::now());
        for _ in 0..BURST {
            assert_eq!(limiter.admit("admin", now), Ok(()));
            limiter.failed("admin", now);
        }
        assert_eq!(limiter.admit("admin", now), Err(REFILL));
        assert_eq!(limiter.admit("developer", now), Ok(()), "another name is not affected");
        assert_eq!(limiter.admit("admin", now + REFILL), Ok(()));
        limiter.failed("admin", now + REFILL);
        assert_eq!(limiter.admit("admin", now + REFILL), Err(REFILL));
    }

    #[test]
    fn remembers_a_bounded_number_of_names() {
        let (limiter, now) = (Limiter::default(), Instant::now());
        for index in 0..NAMES + 10 {
            limiter.failed(&format!("name-{index}"), now);
        }
        assert_eq!(limiter.0.lock().expect("lock").len(), NAMES);
    }
}
