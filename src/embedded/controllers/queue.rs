//! A work queue: each key waits once, however often it is added; failures come back later and later. Keys come in the
//! order in which they were added, or in that of a rank.
//!
//! What waits for a time of day is looked at once a minute at least: the clock by which tasks sleep stands still while
//! the machine does, and does not notice when the other is set.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Display;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

const FIRST_RETRY: Duration = Duration::from_millis(20);
const LAST_RETRY: Duration = Duration::from_secs(5);
/// So long nobody looks at the clock on the wall.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Who is lower comes first.
pub(super) type Rank = (i64, i64);

/// A queue for one worker.
pub(super) struct Queue<K> {
    state: Mutex<State<K>>,
    changed: Notify,
}

struct State<K> {
    rank: fn(&K) -> Rank,
    /// By rank, and a number that keeps those of one rank in turn.
    ready: BTreeMap<(Rank, u64), K>,
    queued: HashSet<K>,
    /// When, a number that keeps equal times apart, what.
    later: BTreeMap<(Instant, u64), K>,
    /// What waits for a time of day.
    by_clock: BTreeMap<Timestamp, HashSet<K>>,
    number: u64,
    failures: HashMap<K, u32>,
}

impl<K: Clone + Eq + Hash> Queue<K> {
    pub(super) fn new() -> Self {
        Self::ranked(|_| (0, 0))
    }

    /// One that gives out keys of a lower rank first.
    pub(super) fn ranked(rank: fn(&K) -> Rank) -> Self {
        Queue {
            state: Mutex::new(State {
                rank,
                ready: BTreeMap::new(),
                queued: HashSet::new(),
                later: BTreeMap::new(),
                by_clock: BTreeMap::new(),
                number: 0,
                failures: HashMap::new(),
            }),
            changed: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<K>> {
        // Every change is complete before the lock is released, so a poisoned state is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a key, unless it waits already.
    pub(super) fn add(&self, key: K) {
        self.state().enqueue(key);
        self.changed.notify_one();
    }

    /// Adds several keys at once: none of them is given out before one that goes first is there.
    pub(super) fn add_all(&self, keys: impl IntoIterator<Item = K>) {
        let mut state = self.state();
        keys.into_iter().for_each(|key| state.enqueue(key));
        drop(state);
        self.changed.notify_one();
    }

    /// Adds a key once `delay` has passed.
    pub(super) fn add_after(&self, key: K, delay: Duration) {
        let mut state = self.state();
        state.number += 1;
        let at = (Instant::now() + delay, state.number);
        state.later.insert(at, key);
        drop(state);
        self.changed.notify_one();
    }

    /// Adds a key when the clock on the wall shows `at`.
    pub(super) fn add_at(&self, key: K, at: Timestamp) {
        self.state().by_clock.entry(at).or_default().insert(key);
        self.changed.notify_one();
    }

    /// Adds a key after its next back-off: 20 ms, doubled each time, at most 5 s.
    pub(super) fn retry(&self, key: K) {
        let delay = {
            let mut state = self.state();
            let failures = state.failures.entry(key.clone()).or_insert(0);
            *failures += 1;
            FIRST_RETRY.saturating_mul(1 << (*failures - 1).min(16)).min(LAST_RETRY)
        };
        self.add_after(key, delay);
    }

    /// Forgets the failures of a key.
    pub(super) fn done(&self, key: &K) {
        self.state().failures.remove(key);
    }

    /// Works the queue off for ever: what fails comes back after its back-off. `what` names the work in the log.
    pub(super) async fn work<F>(&self, what: &'static str, reconcile: impl Fn(K) -> F)
    where
        K: Display,
        F: Future<Output = Result<(), kube::Error>>,
    {
        loop {
            let key = self.next().await;
            match reconcile(key.clone()).await {
                Ok(()) => self.done(&key),
                Err(error) => {
                    tracing::debug!(%key, %error, "{what} failed and is tried again");
                    self.retry(key);
                }
            }
        }
    }

    /// The next key, as soon as there is one.
    pub(super) async fn next(&self) -> K {
        loop {
            let wake = {
                let mut state = self.state();
                let (now, clock) = (Instant::now(), Timestamp::now());
                state.promote(now, clock);
                if let Some(key) = state.ready.pop_first().map(|(_, key)| key) {
                    state.queued.remove(&key);
                    return key;
                }
                state.wake_at(now, clock)
            };
            match wake {
                Some(at) => tokio::select! {
                    () = self.changed.notified() => {}
                    () = sleep_until(at) => {}
                },
                None => self.changed.notified().await,
            }
        }
    }
}

impl<K: Clone + Eq + Hash> State<K> {
    fn enqueue(&mut self, key: K) {
        if self.queued.insert(key.clone()) {
            self.number += 1;
            self.ready.insert(((self.rank)(&key), self.number), key);
        }
    }

    fn promote(&mut self, now: Instant, clock: Timestamp) {
        while let Some(entry) = self.later.first_entry().filter(|entry| entry.key().0 <= now) {
            let key = entry.remove();
            self.enqueue(key);
        }
        while let Some(entry) = self.by_clock.first_entry().filter(|entry| *entry.key() <= clock) {
            entry.remove().into_iter().for_each(|key| self.enqueue(key));
        }
    }

    /// When to look again.
    fn wake_at(&self, now: Instant, clock: Timestamp) -> Option<Instant> {
        let later = self.later.first_key_value().map(|((at, _), _)| *at);
        let by_clock = self.by_clock.first_key_value().map(|(at, _)| {
            let left = Duration::try_from(at.duration_since(clock)).unwrap_or_default();
            now + left.min(LONGEST_SLEEP)
        });
        later.into_iter().chain(by_clock).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keys_wait_once_and_failures_back_off() {
        let queue = Queue::new();
        queue.add(1);
        queue.add(2);
        queue.add(1);
        assert_eq!((queue.next().await, queue.next().await), (1, 2));
        let start = Instant::now();
        for at_least in [20, 60, 140] {
            queue.retry(7);
            assert_eq!(queue.next().await, 7);
            assert!(start.elapsed() >= Duration::from_millis(at_least), "{:?}", start.elapsed());
        }
        assert_eq!(queue.state().failures.get(&7), Some(&3));
        queue.done(&7);
        assert!(queue.state().failures.is_empty());
    }

    #[tokio::test]
    async fn ranks_come_before_turns() {
        let queue = Queue::ranked(|key: &(i64, &str)| (-key.0, 0));
        queue.add((1, "a"));
        queue.add_all([(7, "b"), (1, "c"), (7, "d"), (1, "a")]);
        for expected in ["b", "d", "a", "c"] {
            assert_eq!(queue.next().await.1, expected);
        }
    }

    #[tokio::test]
    async fn an_added_key_overtakes_a_later_one() {
        let queue = Queue::new();
        queue.add_after(1, Duration::from_millis(30));
        queue.add(2);
        assert_eq!((queue.next().await, queue.next().await), (2, 1));
    }

    #[tokio::test]
    async fn a_time_of_day_comes_while_the_machine_sleeps() {
        let queue = Queue::new();
        let (now, clock) = (Instant::now(), Timestamp::now());
        let in_an_hour = clock + Duration::from_secs(3600);
        queue.add_at(1, in_an_hour);
        queue.add_at(1, in_an_hour);
        let wake = |clock: Timestamp| queue.state().wake_at(now, clock).map(|at| at - now);
        assert_eq!(wake(clock), Some(LONGEST_SLEEP));
        assert_eq!(wake(in_an_hour - Duration::from_secs(2)), Some(Duration::from_secs(2)));
        queue.state().promote(now, in_an_hour);
        assert_eq!((queue.next().await, wake(clock)), (1, None));
        queue.add_at(2, clock);
        assert_eq!(queue.next().await, 2);
    }
}
