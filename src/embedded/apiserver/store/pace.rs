//! When to commit.
//!
//! A commit takes as long as the disk takes to sync, whatever it holds. Writers that wait for their answer and then
//! write again would split into two halves that take turns, each commit holding one of them. Waiting a little for
//! those who have just been answered puts all of them into every commit. Who writes alone never waits: nobody else
//! is expected. Who comes after the moment has passed does not wait either.

use std::time::{Duration, Instant};

/// The longest that a commit is put off, however slow the disk.
const MOST: Duration = Duration::from_millis(2);

/// What the last commit says about the next one.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Writers that were under way then: in the commit, or waiting behind it.
    writers: usize,
    /// Until when they are waited for.
    until: Option<Instant>,
}

impl Pace {
    /// A commit of `writes` ended at `now`, with `queued` writes behind it; syncing took that long.
    pub(super) fn committed(&mut self, writes: usize, queued: usize, took: Duration, now: Instant) {
        self.writers = writes + queued;
        self.until = Some(now + (took / 2).min(MOST));
    }

    /// How much longer to wait when `queued` writes are there.
    pub(super) fn wait(&self, queued: usize, now: Instant) -> Duration {
        match self.until {
            Some(until) if queued < self.writers => until.saturating_duration_since(now),
            _ => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_commit_waits_for_those_who_were_just_answered_and_for_nobody_else() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert_eq!(pace.wait(1, start), Duration::ZERO, "the first");
        pace.committed(1, 0, 2 * MS, start);
        assert_eq!(pace.wait(1, start), Duration::ZERO, "alone");
        pace.committed(8, 8, 2 * MS, start);
        assert_eq!(pace.wait(8, start), MS, "half of them are missing");
        assert_eq!(pace.wait(15, start + MS / 4), MS * 3 / 4);
        assert_eq!(pace.wait(16, start), Duration::ZERO, "all are there");
        assert_eq!(pace.wait(1, start + MS), Duration::ZERO, "the moment has passed");
        pace.committed(2, 0, 100 * MS, start);
        assert_eq!(pace.wait(1, start), MOST);
    }
}
