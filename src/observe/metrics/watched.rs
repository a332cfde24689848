//! Since when the collector has told of everything without a gap.
//!
//! Kept in memory alone: an observer that was away cannot know what it missed, so for it the time before does not count.

use std::sync::{Mutex, PoisonError};

use super::wire::{Batch, INTERVAL};

/// Seconds after which the collector is late: a moment takes one interval, its post another, a busy machine a third.
const LATE: i64 = 3 * INTERVAL;

/// A stretch of time of which everything was told.
#[derive(Debug, Default)]
pub(super) struct Watched(Mutex<Option<Stretch>>);

#[derive(Clone, Copy, Debug)]
struct Stretch {
    first: i64,
    last: i64,
}

impl Watched {
    /// Takes note of a moment that is stored.
    pub(super) fn note(&self, batch: &Batch) {
        let mut stretch = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = stretch.filter(|before| batch.since <= before.last);
        *stretch = Some(Stretch {
            first: before.map_or(batch.since, |before| before.first),
            last: before.map_or(batch.time, |before| before.last.max(batch.time)),
        });
    }

    /// Since when, if it still does.
    pub(super) fn since(&self, now: i64) -> Option<i64> {
        let stretch = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stretch.filter(|stretch| now - stretch.last <= LATE).map(|stretch| stretch.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_a_new_collector_and_one_that_is_late_are_not_watching() {
        let watched = Watched::default();
        let note = |since, time| watched.note(&Batch { since, time, parts: Vec::new() });
        assert_eq!(watched.since(100), None);
        note(100, 100);
        note(100, 105);
        note(105, 110);
        // In two posts, and again after an answer was lost.
        note(105, 110);
        note(100, 105);
        assert_eq!((watched.since(110), watched.since(125)), (Some(100), Some(100)));
        assert_eq!(watched.since(126), None, "it is late");
        // One moment took long, and tells of all that came since.
        note(110, 120);
        assert_eq!(watched.since(126), Some(100));
        // A moment was given up.
        note(125, 130);
        assert_eq!(watched.since(130), Some(125));
        // Another collector, which does not know what came before its first moment.
        note(135, 135);
        assert_eq!(watched.since(135), Some(135));
    }
}
