//! The work queue of all controllers.
//!
//! A request names an object; asking for it again while it waits changes nothing, asking while it is worked on makes it
//! wait once more. A failed request comes back after a pause that doubles from 20 ms; one object's failures never delay
//! another's work.

use super::store::Key;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The first pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest one.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing to do until something changes.
    Settled,
    /// Look again after this time even if nothing changes.
    Again(Duration),
    /// Try again after a pause.
    Failed,
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    ready: VecDeque<Key>,
    later: BinaryHeap<Reverse<(Instant, Key)>>,
    /// When an object is due; what else `later` says of it is out of date.
    due: HashMap<Key, Instant>,
    state: HashMap<Key, State>,
    failures: HashMap<Key, u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Working,
    WorkingAskedAgain,
}

impl Queue {
    /// Asks for an object to be looked at now.
    pub(crate) fn add(&self, key: Key) {
        if self.lock().add(key) {
            self.wake.notify_one();
        }
    }

    /// Waits for the next request; the caller must give it back with [`Queue::done`].
    pub(crate) async fn next(&self) -> Key {
        loop {
            let due = {
                let mut inner = self.lock();
                inner.promote(Instant::now());
                if let Some(key) = inner.ready.pop_front() {
                    inner.state.insert(key.clone(), State::Working);
                    return key;
                }
                inner.later.peek().map(|Reverse((at, _))| *at)
            };
            match due {
                Some(at) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(at) => {}
                        () = self.wake.notified() => {}
                    }
                }
                None => self.wake.notified().await,
            }
        }
    }

    /// Gives a request back.
    pub(crate) fn done(&self, key: Key, outcome: Outcome) {
        let mut inner = self.lock();
        let again = inner.state.remove(&key) == Some(State::WorkingAskedAgain);
        let pause = match outcome {
            Outcome::Failed => {
                let failures = inner.failures.entry(key.clone()).or_default();
                *failures += 1;
                Some(pause(*failures))
            }
            Outcome::Again(pause) => {
                inner.failures.remove(&key);
                Some(pause)
            }
            Outcome::Settled => {
                inner.failures.remove(&key);
                None
            }
        };
        inner.due.remove(&key);
        if again {
            inner.add(key);
        } else if let Some(pause) = pause {
            let at = Instant::now() + pause;
            inner.due.insert(key.clone(), at);
            inner.later.push(Reverse((at, key)));
        }
        drop(inner);
        self.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pause after so many failures in a row.
fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
}

impl Inner {
    fn add(&mut self, key: Key) -> bool {
        match self.state.get(&key) {
            None => {
                self.state.insert(key.clone(), State::Waiting);
                self.ready.push_back(key);
                true
            }
            Some(State::Waiting | State::WorkingAskedAgain) => false,
            Some(State::Working) => {
                self.state.insert(key, State::WorkingAskedAgain);
                false
            }
        }
    }

    fn promote(&mut self, now: Instant) {
        while self.later.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            if let Some(Reverse((at, key))) = self.later.pop()
                && self.due.get(&key) == Some(&at)
            {
                self.due.remove(&key);
                self.add(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::What;
    use super::*;

    fn key(name: &str) -> Key {
        Key::new(What::Component, "default", name)
    }

    /// Whether nothing is ready.
    async fn idle(queue: &Queue) -> bool {
        tokio::time::timeout(Duration::from_millis(5), queue.next()).await.is_err()
    }

    #[tokio::test]
    async fn a_request_waits_once() {
        let queue = Queue::default();
        queue.add(key("a"));
        queue.add(key("a"));
        queue.add(key("b"));
        assert_eq!(queue.next().await, key("a"));
        assert_eq!(queue.next().await, key("b"));
        assert!(idle(&queue).await);
    }

    #[tokio::test]
    async fn asked_for_while_worked_on_it_comes_again_afterwards() {
        let queue = Queue::default();
        queue.add(key("a"));
        let a = queue.next().await;
        queue.add(key("a"));
        assert!(idle(&queue).await);
        queue.done(a, Outcome::Settled);
        assert_eq!(queue.next().await, key("a"));
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses: Vec<u128> = [1, 2, 4, 9, 10, 40].map(|n| pause(n).as_millis()).into();
        assert_eq!(pauses, [20, 40, 160, 5120, 10_000, 10_000]);
    }

    #[tokio::test]
    async fn a_failure_pauses_and_a_success_forgets_it() {
        let queue = Queue::default();
        queue.add(key("a"));
        for failures in [1, 2] {
            let a = queue.next().await;
            let before = Instant::now();
            queue.done(a, Outcome::Failed);
            let a = queue.next().await;
            assert!(before.elapsed() >= pause(failures));
            queue.lock().state.remove(&a);
            queue.add(a);
        }
        let a = queue.next().await;
        queue.done(a.clone(), Outcome::Settled);
        assert!(queue.lock().failures.is_empty());
    }

    #[tokio::test]
    async fn only_the_last_pause_of_an_object_counts() {
        let queue = Queue::default();
        for outcome in [Outcome::Again(Duration::from_millis(1)), Outcome::Settled] {
            queue.add(key("a"));
            queue.done(queue.next().await, outcome);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert!(idle(&queue).await, "it has settled since");
        assert!(queue.lock().due.is_empty());
    }

    #[tokio::test]
    async fn a_change_does_not_wait_for_the_pause() {
        let queue = Queue::default();
        queue.add(key("a"));
        let a = queue.next().await;
        queue.done(a, Outcome::Again(Duration::from_secs(300)));
        queue.add(key("a"));
        assert_eq!(queue.next().await, key("a"));
    }
}
