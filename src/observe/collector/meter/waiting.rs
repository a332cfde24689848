//! Moments that wait for the observer, each of some posts.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::metrics::wire::Batch;

/// Posts that may wait.
pub(super) const WAITING: usize = 24;

/// What waits, the oldest moment first. A moment goes as a whole: without one of its posts the rest of it would be taken
/// for all.
#[derive(Debug, Default)]
pub(super) struct Waiting(VecDeque<VecDeque<Bytes>>);

impl Waiting {
    /// Puts a moment at the end. When there are too many posts, the oldest moments are given up.
    pub(super) fn put(&mut self, batches: &[Batch]) {
        // Strings and numbers only: it cannot fail.
        let encode = |batch| serde_json::to_vec(batch).unwrap_or_default().into();
        self.0.push_back(batches.iter().map(encode).collect());
        while self.posts() > WAITING && self.0.len() > 1 {
            self.0.pop_front();
        }
    }

    /// The next post.
    pub(super) fn next(&self) -> Option<Bytes> {
        self.0.front()?.front().cloned()
    }

    /// The next post arrived.
    pub(super) fn arrived(&mut self) {
        let Some(moment) = self.0.front_mut() else { return };
        moment.pop_front();
        if moment.is_empty() {
            self.0.pop_front();
        }
    }

    /// The next post will never arrive.
    pub(super) fn lost(&mut self) {
        self.0.pop_front();
    }

    /// How many posts there are.
    pub(super) fn posts(&self) -> usize {
        self.0.iter().map(VecDeque::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(time: i64, posts: usize) -> Vec<Batch> {
        vec![Batch { time, since: None, parts: Vec::new() }; posts]
    }

    fn next(waiting: &Waiting) -> Option<i64> {
        let post: Batch = serde_json::from_slice(&waiting.next()?).expect("a batch");
        Some(post.time)
    }

    #[test]
    fn a_moment_goes_as_a_whole() {
        let mut waiting = Waiting::default();
        waiting.put(&moment(5, 3));
        waiting.put(&moment(10, 2));
        waiting.arrived();
        assert_eq!((next(&waiting), waiting.posts()), (Some(5), 4));
        waiting.lost();
        assert_eq!((next(&waiting), waiting.posts()), (Some(10), 2));
        waiting.arrived();
        waiting.put(&moment(15, WAITING));
        assert_eq!(
            (next(&waiting), waiting.posts()),
            (Some(15), WAITING),
            "the one begun is given up"
        );
        // One that is larger than all room is tried all the same.
        waiting.put(&moment(20, WAITING + 1));
        assert_eq!((next(&waiting), waiting.posts()), (Some(20), WAITING + 1));
    }
}
