//! Bytes on their way from a client to a pod: all connections of a WebSocket share a budget.
//!
//! Queues are bounded by their number of messages, which may be large, and there may be many queues. So every message
//! takes its length from the budget before it is queued, and gives it back when it is dropped. What is queued is a copy:
//! a slice would keep the whole buffer that it was read into.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that may wait at the same time.
#[derive(Clone)]
pub(super) struct Budget {
    free: Arc<Semaphore>,
    most: u32,
}

/// Bytes with their share of the budget.
pub(super) struct Portion {
    bytes: Bytes,
    _share: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Portion {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Budget {
    pub(super) fn new(most: u32) -> Self {
        Self { free: Arc::new(Semaphore::new(most as usize)), most }
    }

    /// Waits until there is room. What is larger than the whole budget waits for all of it.
    pub(super) async fn take(&self, bytes: &[u8]) -> Option<Portion> {
        let share = self.free.clone().acquire_many_owned(self.share(bytes).min(self.most)).await;
        Some(portion(bytes, share.ok()?))
    }

    /// `None` if there is no room now.
    pub(super) fn try_take(&self, bytes: &[u8]) -> Option<Portion> {
        let share = self.free.clone().try_acquire_many_owned(self.share(bytes));
        Some(portion(bytes, share.ok()?))
    }

    fn share(&self, bytes: &[u8]) -> u32 {
        u32::try_from(bytes.len()).unwrap_or(u32::MAX)
    }
}

fn portion(bytes: &[u8], share: OwnedSemaphorePermit) -> Portion {
    Portion { bytes: Bytes::copy_from_slice(bytes), _share: share }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn room_is_given_back() {
        let budget = Budget::new(10);
        let six = budget.try_take(b"sixsix").expect("room");
        assert!(budget.try_take(b"fives").is_none());
        let mut waiting = std::pin::pin!(budget.take(b"fives"));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(six);
        let five = waiting.now_or_never().flatten().expect("room");
        assert_eq!(five.as_ref(), b"fives");
    }

    #[test]
    fn more_than_the_budget_takes_all_of_it() {
        let budget = Budget::new(4);
        assert!(budget.try_take(b"sixsix").is_none());
        let all = budget.take(b"sixsix").now_or_never().flatten().expect("room");
        assert!(budget.try_take(b"1").is_none());
        drop(all);
        assert!(budget.try_take(b"four").is_some());
    }
}
