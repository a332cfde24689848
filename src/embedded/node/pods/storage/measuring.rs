//! Whose turn it is to be measured, and a task for each of them: nobody waits for who takes long.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{Id, JoinSet};

use super::Usage;

/// How often the node looks whether something is to be measured.
pub(super) const PERIOD: Duration = Duration::from_secs(10);
/// Between two measurements of a pod without limits.
pub(super) const SELDOM: Duration = Duration::from_secs(60);
/// A pod rests so many times as long as it took to measure.
const REST: u32 = 10;
/// Pods that are measured at a time.
const AT_ONCE: usize = 4;

/// Which attempts of containers there are, by name.
pub(super) type Attempts = Vec<(String, u32)>;

/// What is known of what a pod takes.
pub(super) struct Known {
    whole: Option<Whole>,
    /// What was found last, be it all or not.
    latest: Option<Arc<Usage>>,
    last: Try,
    at: Instant,
    took: Duration,
}

/// What a pod takes, and what tells whether it has written anything since.
struct Whole {
    usage: Arc<Usage>,
    of: Try,
}

/// What is noted before a measurement: what is written meanwhile is seen the next time.
#[derive(Clone)]
pub(super) struct Try {
    pub(super) attempts: Attempts,
    /// Processor time that the pod had used.
    pub(super) cpu: Option<u64>,
    pub(super) begun: Instant,
}

/// What came of one.
pub(super) enum Outcome {
    /// All that there is.
    Whole(Usage),
    /// At least this.
    Part(Usage),
    Failed,
}

impl Known {
    /// What is known after a measurement. What was known is better than nothing, but is of its own time.
    pub(super) fn after(before: Option<Self>, last: Try, outcome: Outcome, now: Instant) -> Self {
        let (whole, latest) = before.map_or((None, None), |known| (known.whole, known.latest));
        let (whole, latest) = match outcome {
            Outcome::Whole(usage) => {
                let usage = Arc::new(usage);
                (Some(Whole { usage: usage.clone(), of: last.clone() }), Some(usage))
            }
            Outcome::Part(usage) => (whole, Some(Arc::new(usage))),
            Outcome::Failed => (whole, latest),
        };
        let took = now.saturating_duration_since(last.begun);
        Self { whole, latest, last, at: now, took }
    }

    /// All that it takes, as of when that was known last.
    pub(super) fn whole(&self) -> Option<Arc<Usage>> {
        self.whole.as_ref().map(|whole| whole.usage.clone())
    }

    /// What it takes at least.
    pub(super) fn at_least(&self) -> Option<Arc<Usage>> {
        self.latest.clone()
    }

    /// When it was measured last.
    pub(super) fn at(&self) -> Instant {
        self.at
    }

    /// It is as it was.
    pub(super) fn is_confirmed(&mut self, now: Instant) {
        self.at = now;
    }

    /// Whether it is time for another measurement, if they are `every` so long.
    pub(super) fn is_due(&self, every: Duration, attempts: &[(String, u32)], now: Instant) -> bool {
        let age = now.saturating_duration_since(self.at);
        age >= every.max(self.took * REST) || (self.last.attempts != attempts && age >= PERIOD)
    }

    /// Whether nothing can have been written since all of it was measured.
    pub(super) fn is_like(&self, attempts: &[(String, u32)], cpu: Option<u64>) -> bool {
        let like = |whole: &Whole| whole.of.attempts == attempts && whole.of.cpu == cpu;
        cpu.is_some() && self.whole.as_ref().is_some_and(like)
    }
}

/// The measurements that go on. They end with this.
#[derive(Default)]
pub(super) struct Measuring {
    tasks: JoinSet<()>,
    /// Uids of pods.
    whose: HashMap<Id, String>,
}

impl Measuring {
    pub(super) fn goes_on(&self) -> bool {
        !self.tasks.is_empty()
    }

    pub(super) fn goes_on_for(&self, uid: &str) -> bool {
        self.whose.values().any(|one| one == uid)
    }

    /// Begins one, if there is a place; whether there was.
    pub(super) fn begin(
        &mut self,
        uid: &str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> bool {
        let free = self.tasks.len() < AT_ONCE;
        if free {
            let id = self.tasks.spawn(task).id();
            self.whose.insert(id, uid.to_owned());
        }
        free
    }

    /// Waits until one has ended, whatever its end.
    pub(super) async fn one_ended(&mut self) {
        let id = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => error.id(),
            None => std::future::pending().await,
        };
        self.whose.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(number: u32) -> Attempts {
        vec![("main".to_owned(), number)]
    }

    /// What came of a measurement that began and ended so many seconds after `start`.
    fn measured(
        before: Option<Known>,
        start: Instant,
        (begun, ended): (u64, u64),
        (number, cpu): (u32, u64),
        outcome: Outcome,
    ) -> Known {
        let at = |seconds| start + Duration::from_secs(seconds);
        let last = Try { attempts: attempts(number), cpu: Some(cpu), begun: at(begun) };
        Known::after(before, last, outcome, at(ended))
    }

    fn bytes(bytes: u64) -> Usage {
        let volumes = [("v".to_owned(), crate::node::shim::DiskUsage { bytes, inodes: 1 })].into();
        Usage { volumes, ..Usage::default() }
    }

    fn known(usage: Option<Arc<Usage>>) -> Option<u64> {
        usage.map(|usage| usage.total().bytes)
    }

    #[test]
    fn who_is_idle_or_takes_long_is_seldom_measured() {
        let start = Instant::now();
        let of = |took| measured(None, start, (0, took), (0, 7), Outcome::Whole(bytes(1)));
        for (ago, took, every, due) in [
            (9, 0, PERIOD, false),
            (10, 0, PERIOD, true),
            (10, 0, SELDOM, false),
            (60, 0, SELDOM, true),
            (60, 7, SELDOM, false),
            (70, 7, PERIOD, true),
        ] {
            let now = start + Duration::from_secs(took + ago);
            assert_eq!(of(took).is_due(every, &attempts(0), now), due, "{ago} {took} {every:?}");
        }
        let soon = start + PERIOD;
        assert!(of(0).is_due(SELDOM, &attempts(1), soon), "another attempt has another layer");
        assert!(of(0).is_like(&attempts(0), Some(7)));
        assert!(!of(0).is_like(&attempts(0), Some(8)), "it has worked");
        assert!(!of(0).is_like(&attempts(1), Some(7)));
        assert!(!of(0).is_like(&attempts(0), None), "nobody knows whether it has worked");
    }

    #[test]
    fn what_was_not_measured_is_not_taken_for_measured() {
        let start = Instant::now();
        let before = || measured(None, start, (0, 1), (0, 7), Outcome::Whole(bytes(5)));
        let after = |outcome| measured(Some(before()), start, (20, 25), (1, 9), outcome);
        let failed = after(Outcome::Failed);
        assert_eq!((known(failed.whole()), known(failed.at_least())), (Some(5), Some(5)));
        assert!(!failed.is_like(&attempts(1), Some(9)), "that is of another time");
        // It rests for as long as it took, all the same.
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!failed.is_due(PERIOD, &attempts(1), at(74)));
        assert!(failed.is_due(PERIOD, &attempts(1), at(75)));
        let nothing = measured(None, start, (0, 1), (0, 7), Outcome::Failed);
        assert_eq!((known(nothing.whole()), known(nothing.at_least())), (None, None));
        assert!(!nothing.is_like(&attempts(0), Some(7)));
    }

    #[test]
    fn a_part_is_not_all_of_it() {
        let start = Instant::now();
        let first = measured(None, start, (0, 60), (0, 7), Outcome::Part(bytes(9)));
        assert_eq!((known(first.whole()), known(first.at_least())), (None, Some(9)));
        assert!(!first.is_like(&attempts(0), Some(7)), "there is more to be found");
        let whole = measured(Some(first), start, (700, 701), (0, 7), Outcome::Whole(bytes(20)));
        let part = measured(Some(whole), start, (800, 860), (0, 8), Outcome::Part(bytes(30)));
        assert_eq!((known(part.whole()), known(part.at_least())), (Some(20), Some(30)));
    }

    #[tokio::test]
    async fn who_takes_long_has_a_place_and_no_more() {
        let mut measuring = Measuring::default();
        assert!(measuring.begin("slow", std::future::pending()));
        for round in 0..3 {
            assert!(measuring.begin("quick", async {}), "{round}");
            assert!(measuring.begin("broken", async { panic!("on purpose") }), "{round}");
            measuring.one_ended().await;
            measuring.one_ended().await;
            assert!(measuring.goes_on_for("slow"), "{round}");
            assert!(!measuring.goes_on_for("quick") && !measuring.goes_on_for("broken"), "{round}");
        }
        for number in 1..AT_ONCE {
            assert!(measuring.begin(&number.to_string(), std::future::pending()));
        }
        assert!(!measuring.begin("one more", async {}));
        assert!(measuring.goes_on());
    }
}
