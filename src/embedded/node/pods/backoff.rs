//! How long to wait before a container that keeps failing is started again.

use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(300);
/// A container that ran this long starts anew with no wait.
const FORGET: Duration = Duration::from_secs(600);

/// The first restart is immediate, then 10 s, 20 s, … up to 5 min.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    /// The container has ended at `now` after having run for `ran`: when may it start, and after what wait?
    pub(super) fn ended(&mut self, now: Instant, ran: Duration) -> (Instant, Duration) {
        if ran >= FORGET {
            self.next = Duration::ZERO;
        }
        let wait = self.next;
        self.next = (self.next * 2).clamp(FIRST, LONGEST);
        (now + wait, wait)
    }

    /// As if `restarts` had happened already: after the node was started again.
    pub(super) fn after(restarts: u32) -> Self {
        let mut backoff = Self::default();
        for _ in 0..restarts.min(8) {
            backoff.next = (backoff.next * 2).clamp(FIRST, LONGEST);
        }
        backoff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_minutes_and_are_forgotten() {
        let mut backoff = Backoff::default();
        let now = Instant::now();
        let mut wait = |ran: u64| backoff.ended(now, Duration::from_secs(ran)).1.as_secs();
        let waits: Vec<u64> = (0..8).map(|_| wait(1)).collect();
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(wait(601), 0);
        assert_eq!(wait(1), 10);
        assert_eq!(Backoff::after(2).ended(now, Duration::ZERO).1.as_secs(), 20);
    }
}
