//! Of which time the collector has told everything.
//!
//! Kept in memory alone: an observer that was away cannot know what it missed, so for it the time before does not count.

use std::sync::{Mutex, PoisonError};

use super::wire::Batch;

/// The newest stretch of time of which everything was told.
#[derive(Debug, Default)]
pub(super) struct Watched(Mutex<Option<(i64, i64)>>);

impl Watched {
    /// Takes note of a post that is stored.
    pub(super) fn note(&self, batch: &Batch) {
        let Some(since) = batch.since else { return };
        let mut stretch = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = stretch.filter(|(_, last)| since <= *last && since < batch.time);
        *stretch = Some(match before {
            Some((first, last)) => (first, last.max(batch.time)),
            None => (since, batch.time),
        });
    }

    /// From when until when, if there is any.
    pub(super) fn stretch(&self) -> Option<(i64, i64)> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_and_a_collector_that_may_have_missed_something_begin_anew() {
        let watched = Watched::default();
        let note = |since: i64, time| {
            watched.note(&Batch { since: Some(since), time, parts: Vec::new() });
        };
        assert_eq!(watched.stretch(), None);
        note(100, 100);
        note(100, 105);
        note(105, 110);
        // Again after an answer was lost, and a post that is not the last of its moment.
        note(105, 110);
        note(100, 105);
        watched.note(&Batch { since: None, time: 115, parts: Vec::new() });
        assert_eq!(watched.stretch(), Some((100, 110)));
        // One moment took long, and tells of all that came since.
        note(110, 120);
        assert_eq!(watched.stretch(), Some((100, 120)));
        // A moment was given up.
        note(125, 130);
        assert_eq!(watched.stretch(), Some((125, 130)));
        // Something may be missing, or it is another collector.
        note(135, 135);
        assert_eq!(watched.stretch(), Some((135, 135)));
    }

    #[test]
    fn what_a_collector_of_before_posts_is_taken_and_says_nothing() {
        let batch: Batch = serde_json::from_str(r#"{"time": 5, "parts": []}"#).expect("a batch");
        assert_eq!(batch, Batch { time: 5, since: None, parts: Vec::new() });
    }
}
