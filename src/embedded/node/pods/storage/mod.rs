//! What pods take of the node's disk: writable layers, logs, and the volumes that are emptied with the pod.
//!
//! Only a pod's shim may look at it, and does so in slices. It is asked every few seconds for pods that have a limit, and
//! once a minute for the others, but only while somebody reads the node's statistics. Whoever has used no processor time
//! since has written nothing and is not looked at again, and after a long measurement comes a longer rest. So pods that are
//! idle, or that nobody asks about, cost nothing but a look at a counter.
//!
//! Whether there is room is looked at all the time, however long measurements take.

mod measuring;
mod pressure;
mod relief;
mod room;
mod summary;
mod terms;
mod verdict;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::context::{Context, Entry, Stage};
use crate::node::shim::{DiskUsage, Measured};
use measuring::{Attempts, Known, Measuring, Outcome, PERIOD, SELDOM, Try};
use relief::Relief;
pub(super) use room::Room;
pub(super) use summary::{fs, put};
pub(super) use terms::{EPHEMERAL_STORAGE, Terms};

/// For how long somebody who has read the statistics is expected to read them again.
const WANTED: Duration = Duration::from_secs(300);
/// A shim answers before that, with what it has.
const ANSWER_LIMIT: Duration = Duration::from_secs(75);

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

impl Storage {
    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a pod took when all of it was measured last.
    pub(super) fn of(&self, uid: &str) -> Option<Arc<Usage>> {
        self.known().get(uid)?.whole()
    }

    /// What a pod took at least when it was measured last.
    fn at_least(&self, uid: &str) -> Option<Arc<Usage>> {
        self.known().get(uid)?.at_least()
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

/// Looks after the disk, for ever.
pub(super) async fn keep(ctx: Arc<Context>) {
    let mut measuring = Measuring::default();
    loop {
        look(&ctx, &mut measuring);
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = ctx.storage.wake.notified() => {}
            () = measuring.one_ended() => {}
        }
    }
}

/// Begins what is due, and waits for nothing.
fn look(ctx: &Arc<Context>, measuring: &mut Measuring) {
    let storage = &ctx.storage;
    let entries = storage.relief.seen(ctx.board.all());
    let uids: HashSet<&str> = entries.iter().map(|entry| entry.pod.uid.as_str()).collect();
    storage.known().retain(|uid, _| uids.contains(uid.as_str()));
    let wanted = storage.is_wanted();
    let short = Room::of(&ctx.config.home).and_then(|room| pressure::of_pods(&room)).is_some();
    if storage.relief.note(short) {
        storage.news.notify_one();
    }
    let mut due: Vec<&Entry> = entries
        .iter()
        .filter(|entry| !measuring.goes_on_for(&entry.pod.uid))
        .filter(|entry| match entry.terms.is_limited() || short {
            true => is_due(ctx, entry, PERIOD),
            false => wanted && is_due(ctx, entry, SELDOM),
        })
        .collect();
    // Who has waited longest is first; there may not be a place for all.
    due.sort_by_cached_key(|entry| storage.known().get(&entry.pod.uid).map(Known::at));
    for entry in due {
        let (ctx, entry) = (ctx.clone(), entry.clone());
        let uid = entry.pod.uid.clone();
        let task = async move {
            measure(&ctx, &entry).await;
            judge(&ctx, &entry.pod.uid);
        };
        if !measuring.begin(&uid, task) {
            break;
        }
    }
    relief::relieve(ctx, &entries, measuring.goes_on());
}

/// Has a pod go that takes more than it may.
fn judge(ctx: &Context, uid: &str) {
    // It may have begun to end while it was measured.
    let (Some(entry), Some(usage)) = (ctx.board.get(uid), ctx.storage.at_least(uid)) else {
        return;
    };
    let seen = ctx.storage.relief.seen(vec![entry]);
    for entry in &seen {
        if let Some(message) = exceeded(entry, &usage) {
            evict(ctx, entry, Eviction { message, by_node: false });
        }
    }
}

/// Has a pod go.
fn evict(ctx: &Context, entry: &Entry, eviction: Eviction) {
    ctx.storage.relief.orders(&entry.pod.uid, Instant::now());
    // Its worker may have ended meanwhile.
    let _ = entry.orders.send(Order::Evict(eviction));
}

/// Why a pod is to go for what it takes. One that ends already does so at its own pace.
fn exceeded(entry: &Entry, usage: &Usage) -> Option<String> {
    let judged = entry.stage == Stage::On && !entry.terms.is_critical();
    judged.then(|| verdict::exceeded(&entry.terms, usage)).flatten()
}

fn attempts(entry: &Entry) -> Attempts {
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
        known.is_confirmed(now);
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
    let last =
        Try { attempts: attempts(entry), cpu: cpu(ctx, &entry.pod.uid), begun: Instant::now() };
    let measured = tokio::time::timeout(ANSWER_LIMIT, link.measure(paths(entry))).await;
    let outcome = match measured {
        Ok(Ok(Measured { usage: found, incomplete: false })) => {
            Ok(Outcome::Whole(usage(entry, found)))
        }
        Ok(Ok(Measured { usage: found, incomplete: true })) => {
            tracing::debug!(pod = entry.pod.name, "not all that a pod takes of the disk was found");
            Ok(Outcome::Part(usage(entry, found)))
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", ANSWER_LIMIT.as_secs())),
    };
    let outcome = outcome.unwrap_or_else(|error| {
        tracing::debug!(
            pod = entry.pod.name,
            error,
            "what a pod takes of the disk was not measured"
        );
        Outcome::Failed
    });
    let mut known = ctx.storage.known();
    let before = known.remove(&entry.pod.uid);
    let news = Known::after(before, last, outcome, Instant::now());
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
