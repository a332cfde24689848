//! The pause between tries of a watch.

use std::time::{Duration, Instant};

/// Doubling pauses from 20 ms to 5 s, with a spread of a quarter; starts over after 30 s without a failure.
///
/// The first pause is short because most failures a role meets are a neighbour that is still starting.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    next: Duration,
    last: Option<Instant>,
    spread: u32,
}

const FIRST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(5);
const CALM: Duration = Duration::from_secs(30);

impl Default for Backoff {
    fn default() -> Self {
        Self::starting_at(FIRST)
    }
}

impl Backoff {
    /// Starts with `first` instead of 20 ms, for failures that are dear to the other side.
    pub fn starting_at(first: Duration) -> Self {
        Self { first, next: first, last: None, spread: std::process::id() }
    }

    /// The next pause, `now` being the time of the failure.
    fn advance(&mut self, now: Instant) -> Duration {
        if self.last.is_some_and(|last| now.duration_since(last) > CALM + self.next) {
            self.next = self.first;
        }
        self.last = Some(now);
        let pause = self.next;
        self.next = (self.next * 2).min(LONGEST);
        // A linear congruential step (constants of Numerical Recipes) is spread enough to part two replicas.
        self.spread = self.spread.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        pause.mul_f64(0.75 + f64::from(self.spread >> 16) / f64::from(1_u32 << 16) / 4.0)
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.advance(Instant::now()))
    }
}

impl kube::runtime::utils::Backoff for Backoff {
    fn reset(&mut self) {
        self.next = self.first;
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_longest_and_never_beyond() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..12).map(|_| backoff.advance(now)).collect();
        assert!(pauses[0] <= FIRST && pauses[0] >= FIRST.mul_f64(0.75), "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= LONGEST), "{pauses:?}");
        assert!(pauses[11] >= LONGEST.mul_f64(0.75), "{pauses:?}");
    }

    #[test]
    fn starts_over_after_a_calm_time() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        for _ in 0..12 {
            backoff.advance(now);
        }
        assert!(backoff.advance(now + CALM * 2) <= FIRST);
    }
}
