//! The latest flows.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;

use super::report::Record;

/// Flows that are kept.
const KEPT: usize = 2048;

/// The latest flows that have ended.
pub(super) struct Ring {
    /// Number of the next flow. It begins with the time in microseconds: a reader's cursor from before a restart of
    /// the node is in the past.
    next: u64,
    kept: VecDeque<Arc<Record>>,
}

impl Ring {
    pub(super) fn new(now: Timestamp) -> Self {
        let next = u64::try_from(now.as_microsecond()).unwrap_or(0);
        Self { next, kept: VecDeque::new() }
    }

    pub(super) fn push(&mut self, record: Record) {
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.next += 1;
        self.kept.push_back(Arc::new(record));
    }

    /// The flows that have ended since `cursor`, as far as they are kept, and the cursor to go on from.
    pub(super) fn since(&self, cursor: u64) -> (u64, Vec<Arc<Record>>) {
        let first = self.next - self.kept.len() as u64;
        let skipped = cursor.saturating_sub(first).min(self.kept.len() as u64);
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        (self.next, self.kept.iter().skip(skipped).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_on_from_where_one_was() {
        let mut ring = Ring::new(Timestamp::UNIX_EPOCH);
        let (cursor, none) = ring.since(0);
        assert!(none.is_empty());
        for _ in 0..3 {
            ring.push(Record::sample());
        }
        let (next, three) = ring.since(cursor);
        assert_eq!((three.len(), ring.since(next).1.len()), (3, 0));
        assert_eq!(ring.since(next - 1).1.len(), 1);
        assert_eq!(ring.since(next + 99).1.len(), 0);
        for _ in 0..2 * KEPT {
            ring.push(Record::sample());
        }
        assert_eq!(ring.since(next).1.len(), KEPT, "the oldest are lost");
        let later = Ring::new(Timestamp::now());
        assert!(later.since(0).0 > ring.since(0).0, "after a restart");
    }
}
