//! What pods take of the node's disk: writable layers, logs, and the volumes that are emptied with the pod.
//!
//! Only a pod's shim may look at it, and does so in slices. It is asked every few seconds for pods that have a limit, and
//! once a minute for the others, but only while somebody reads the node's statistics. Whoever has used no processor time
//! since has written nothing and is not looked at again, and after a long measurement comes a longer rest. So pods that are
//! idle, or that nobody asks about, cost nothing but a look at a counter.

mod pressure;
mod relief;
mod room;
mod summary;
mod terms;
mod verdict;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use tokio::sync::Notify;

use super::context::{Context, Entry, Stage};
use crate::node::shim::DiskUsage;
use relief::Relief;
pub(super) use room::Room;
pub(super) use summary::{fs, put};
pub(super) use terms::{EPHEMERAL_STORAGE, Terms};

/// How often the node looks whether something is to be measured.
const PERIOD: Duration = Duration::from_secs(10);
/// Between two measurements of a pod without limits.
const SELDOM: Duration = Duration::from_secs(60);
/// For how long somebody who has read the statistics is expected to read them again.
const WANTED: Duration = Duration::from_secs(300);
/// A pod rests so many times as long as it took to measure.
const REST: u32 = 10;
/// Pods that are measured at a time.
const AT_ONCE: usize = 4;

/// What a pod takes of the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// When it was measured.
    pub(super) at: Timestamp,
    /// By container name.
    pub(super) containers: BTreeMap<String, ContainerUsage>,
    /// By volume name.
    pub(super) volumes: BTreeMap<String, DiskUsage>,
}

/// What a container takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ContainerUsage {
    /// Its writable layer, of the latest attempt.
    pub(super) root: DiskUsage,
    /// Its logs, of all attempts that are kept.
    pub(super) logs: DiskUsage,
}

impl ContainerUsage {
    pub(super) fn total(&self) -> DiskUsage {
        let mut total = self.root;
        total += self.logs;
        total
    }
}

impl Usage {
    /// All of it.
    pub(super) fn total(&self) -> DiskUsage {
        let mut total = DiskUsage::default();
        self.containers.values().for_each(|one| total += one.total());
        self.volumes.values().for_each(|one| total += *one);
        total
    }
}

/// Why a pod has to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Eviction {
    /// In a kubelet's words.
    pub(super) message: String,
    /// Whether it is because the node is short of something, and not because the pod takes more than it may.
    pub(super) by_node: bool,
}

/// What a pod's worker is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    /// To have the pod go.
    Evict(Eviction),
    /// To remove the files of a pod that has ended.
    Clear,
}

/// What was measured last, by pod uid.
#[derive(Default)]
pub(super) struct Storage {
    known: Mutex<HashMap<String, Known>>,
    /// When somebody wanted to know last.
    asked: Mutex<Option<Instant>>,
    wake: Notify,
    relief: Relief,
    /// Told when the node has something else to tell.
    pub(super) news: Notify,
}

struct Known {
    usage: Option<Arc<Usage>>,
    /// Which attempts of containers there were.
    attempts: Vec<(String, u32)>,
    /// Processor time that the pod had used.
    cpu: Option<u64>,
    at: Instant,
    took: Duration,
}

impl Known {
    /// Whether it is time for another measurement, if they are `every` so long.
    fn is_due(&self, every: Duration, attempts: &[(String, u32)], now: Instant) -> bool {
        let age = now.saturating_duration_since(self.at);
        age >= every.max(self.took * REST) || (self.attempts != attempts && age >= PERIOD)
    }

    /// Whether nothing can have been written since.
    fn is_like(&self, attempts: &[(String, u32)], cpu: Option<u64>) -> bool {
        self.usage.is_some() && self.attempts == attempts && cpu.is_some() && self.cpu == cpu
    }
}

impl Storage {
    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a pod took when it was measured last.
    pub(super) fn of(&self, uid: &str) -> Option<Arc<Usage>> {
        self.known().get(uid)?.usage.clone()
    }

    /// Somebody reads the statistics. The first who does finds some that are missing until they are measured.
    pub(super) fn ask(&self) {
        let before =
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).replace(Instant::now());
        if before.is_none_or(|at| at.elapsed() >= WANTED) {
            self.wake.notify_one();
        }
    }

    /// Whether the node is to tell that its disk is short of room.
    pub(super) fn is_under_pressure(&self) -> bool {
        self.relief.is_under_pressure()
    }

    fn is_wanted(&self) -> bool {
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.is_some_and(|at| at.elapsed() < WANTED)
    }
}

/// Measures what is due, for ever.
pub(super) async fn keep(ctx: Arc<Context>) {
    loop {
        look(&ctx).await;
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = ctx.storage.wake.notified() => {}
        }
    }
}

async fn look(ctx: &Context) {
    let entries = ctx.board.all();
    ctx.storage.known().retain(|uid, _| entries.iter().any(|entry| entry.pod.uid == *uid));
    let wanted = ctx.storage.is_wanted();
    let short = Room::of(&ctx.config.home).and_then(|room| pressure::of_pods(&room)).is_some();
    if ctx.storage.relief.note(short) {
        ctx.storage.news.notify_one();
    }
    let due = entries.iter().filter(|entry| match entry.terms.is_limited() || short {
        true => is_due(ctx, entry, PERIOD),
        false => wanted && is_due(ctx, entry, SELDOM),
    });
    let gone = AtomicBool::new(false);
    let judged = async |entry: &Entry| {
        measure(ctx, entry).await;
        if judge(ctx, entry) {
            gone.store(true, Ordering::Relaxed);
        }
    };
    stream::iter(due).for_each_concurrent(AT_ONCE, judged).await;
    // What they took may be all that is needed.
    if !gone.into_inner() {
        relief::relieve(ctx, &entries).await;
    }
}

/// Has a pod go that takes more than it may; whether it does.
fn judge(ctx: &Context, entry: &Entry) -> bool {
    // It may have begun to end while it was measured.
    let Some(entry) = ctx.board.get(&entry.pod.uid) else { return false };
    let Some(usage) = ctx.storage.of(&entry.pod.uid) else { return false };
    exceeded(&entry, &usage).is_some_and(|message| {
        // Its worker may have ended meanwhile.
        entry.orders.send(Order::Evict(Eviction { message, by_node: false })).is_ok()
    })
}

/// Why a pod is to go for what it takes. One that ends already does so at its own pace.
fn exceeded(entry: &Entry, usage: &Usage) -> Option<String> {
    let judged = entry.stage == Stage::On && !entry.terms.is_critical();
    judged.then(|| verdict::exceeded(&entry.terms, usage)).flatten()
}

fn attempts(entry: &Entry) -> Vec<(String, u32)> {
    entry.containers.iter().map(|(name, attempt)| (name.clone(), attempt.number)).collect()
}

/// Whether a pod has not ended and is to be measured now; one that can have written nothing since is as it was.
fn is_due(ctx: &Context, entry: &Entry, every: Duration) -> bool {
    // Containers may wait for their next start.
    if entry.sandbox.is_none() {
        return false;
    }
    let (attempts, now) = (attempts(entry), Instant::now());
    let mut known = ctx.storage.known();
    let Some(known) = known.get_mut(&entry.pod.uid) else { return true };
    if !known.is_due(every, &attempts, now) {
        return false;
    }
    if known.is_like(&attempts, cpu(ctx, &entry.pod.uid)) {
        known.at = now;
        return false;
    }
    true
}

/// Processor time that a pod has used.
fn cpu(ctx: &Context, uid: &str) -> Option<u64> {
    ctx.groups.as_ref()?.group(&format!("pods/{uid}")).usage().cpu
}

async fn measure(ctx: &Context, entry: &Entry) {
    let Some((link, _)) = &entry.sandbox else { return };
    // Before it is measured: what is written meanwhile is seen the next time.
    let (attempts, cpu, begun) = (attempts(entry), cpu(ctx, &entry.pod.uid), Instant::now());
    let measured = link.measure(paths(entry)).await;
    let usage = match measured {
        Ok(found) => Some(Arc::new(usage(entry, found))),
        Err(error) => {
            tracing::debug!(pod = entry.pod.name, %error, "what a pod takes of the disk was not measured");
            None
        }
    };
    let mut known = ctx.storage.known();
    // What was known is better than nothing.
    let before = known.get(&entry.pod.uid).and_then(|known| known.usage.clone());
    let (at, took) = (Instant::now(), begun.elapsed());
    let news = Known { usage: usage.or(before), attempts, cpu, at, took };
    known.insert(entry.pod.uid.clone(), news);
}

/// What is measured: layer and logs of each container, then the volumes.
fn paths(entry: &Entry) -> Vec<PathBuf> {
    let places = &entry.places;
    let containers = entry
        .containers
        .iter()
        .flat_map(|(name, attempt)| [places.layer(name, attempt.number), places.logs.join(name)]);
    let volumes = entry.terms.volumes.keys().map(|name| places.volumes().join(name));
    containers.chain(volumes).collect()
}

/// What was found, in the order of [`paths`].
fn usage(entry: &Entry, found: Vec<DiskUsage>) -> Usage {
    let mut found = found.into_iter();
    let mut next = || found.next().unwrap_or_default();
    let containers = entry.containers.keys();
    let containers =
        containers.map(|name| (name.clone(), ContainerUsage { root: next(), logs: next() }));
    let containers = containers.collect();
    let volumes = entry.terms.volumes.keys().map(|name| (name.clone(), next())).collect();
    Usage { at: Timestamp::now(), containers, volumes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::Quantity;

    #[test]
    fn who_is_idle_or_takes_long_is_seldom_measured() {
        let now = Instant::now();
        let attempts = vec![("main".to_owned(), 0)];
        let seconds = Duration::from_secs;
        let known = |ago: u64, took: u64| Known {
            usage: Some(Arc::default()),
            attempts: attempts.clone(),
            cpu: Some(7),
            at: now.checked_sub(seconds(ago)).unwrap(),
            took: seconds(took),
        };
        for (ago, took, every, due) in [
            (9, 0, PERIOD, false),
            (10, 0, PERIOD, true),
            (10, 0, SELDOM, false),
            (60, 0, SELDOM, true),
            (60, 7, SELDOM, false),
            (70, 7, PERIOD, true),
        ] {
            assert_eq!(
                known(ago, took).is_due(every, &attempts, now),
                due,
                "{ago} {took} {every:?}"
            );
        }
        let other = [("main".to_owned(), 1)];
        assert!(known(10, 0).is_due(SELDOM, &other, now), "another attempt has another layer");
        assert!(known(0, 0).is_like(&attempts, Some(7)));
        assert!(!known(0, 0).is_like(&attempts, Some(8)), "it has worked");
        assert!(!known(0, 0).is_like(&other, Some(7)));
        let unmeasured = Known { cpu: None, ..known(0, 0) };
        assert!(!unmeasured.is_like(&attempts, None), "nobody knows whether it has worked");
    }

    #[test]
    fn who_ends_already_is_not_to_end_for_what_it_takes() {
        let limit = Quantity::parse("1Mi");
        let terms = Terms { limit, ..Terms::default() };
        let volumes = [("v".to_owned(), DiskUsage { bytes: 2 << 20, inodes: 1 })].into();
        let usage = Usage { volumes, ..Usage::default() };
        for (stage, goes) in
            [(Stage::On, true), (Stage::Ending(Instant::now()), false), (Stage::Over, false)]
        {
            let entry = Entry { terms: Arc::new(terms.clone()), ..Entry::of("pod", stage) };
            assert_eq!(exceeded(&entry, &usage).is_some(), goes, "{stage:?}");
        }
        let terms = Arc::new(Terms { priority: terms::CRITICAL, ..terms });
        assert_eq!(exceeded(&Entry { terms, ..Entry::of("pod", Stage::On) }, &usage), None);
    }

    #[test]
    fn a_pod_takes_what_its_parts_take() {
        let of = |bytes, inodes| DiskUsage { bytes, inodes };
        let main = ContainerUsage { root: of(1, 2), logs: of(10, 20) };
        let usage = Usage {
            containers: BTreeMap::from([("main".to_owned(), main)]),
            volumes: BTreeMap::from([("data".to_owned(), of(100, 200))]),
            ..Usage::default()
        };
        assert_eq!(usage.total(), of(111, 222));
    }
}
