//! Many writers, readers and watchers of one store at a time, on a disk that is slow and now and then full: what they
//! were told is what one after the other would have been told. `scripts/chaos api` does the like with kills.

mod check;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

use crate::apiserver::store::{
    Batch, Change, HistoryError, Journal, JournalError, Key, Limits, Object, Record, Store, Table,
    Write, WriteError,
};
use check::{Call, History, Name, Seen, Span, What};

const WRITERS: usize = 8;
const WATCHERS: u64 = 4;
/// What each writer does.
const STEPS: usize = 120;
const NAMES: Name = 5;
const PATIENCE: Duration = Duration::from_secs(60);

/// A disk in memory.
#[derive(Default)]
struct Disk {
    records: BTreeMap<u64, Record>,
    floor: u64,
}

struct Slow {
    disk: Arc<Mutex<Disk>>,
    dice: StdRng,
}

impl Journal for Slow {
    fn replay(&mut self, each: &mut dyn FnMut(u64, Record)) -> Result<u64, JournalError> {
        let disk = self.disk.lock().unwrap();
        disk.records.iter().for_each(|(rv, record)| each(*rv, record.clone()));
        Ok(disk.floor)
    }

    fn append(&mut self, batch: &Batch) -> Result<(), JournalError> {
        // Long enough for others to queue behind it.
        std::thread::sleep(Duration::from_micros(self.dice.random_range(0..400)));
        if self.dice.random_ratio(1, 15) {
            return Err(JournalError::Full { path: "a disk in memory".into() });
        }
        let mut disk = self.disk.lock().unwrap();
        disk.records.extend(batch.put.iter().cloned());
        batch.drop.iter().for_each(|rv| drop(disk.records.remove(rv)));
        disk.floor = batch.floor;
        Ok(())
    }

    fn compact(&mut self) -> Result<bool, JournalError> {
        Ok(false)
    }
}

fn table(name: Name) -> Table {
    if name.is_multiple_of(2) { "/configmaps".into() } else { "/secrets".into() }
}

fn key(name: Name) -> Key {
    Key::new("d", &name.to_string())
}

fn name_of(object: &Object) -> Name {
    object.key.name.parse().unwrap()
}

fn value_of(object: &Object) -> u64 {
    object.value()["value"].as_u64().unwrap()
}

struct Run {
    store: Store,
    clock: AtomicU64,
    values: AtomicU64,
    over: AtomicBool,
}

impl Run {
    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn next_value(&self) -> u64 {
        self.values.fetch_add(1, Ordering::Relaxed)
    }

    /// What a step read of an object, the latest state or the durable one.
    fn base(&self, name: Name, dice: &mut StdRng) -> Option<u64> {
        if dice.random_ratio(1, 12) {
            return None;
        }
        let object = match dice.random() {
            true => self.store.latest(&table(name), &key(name)),
            false => self.store.get(&table(name), &key(name)),
        };
        object.map(|object| object.rv)
    }

    async fn write(&self, dice: &mut StdRng, calls: &mut Vec<Call>) {
        let first = dice.random_range(0..NAMES);
        let mut names = vec![first];
        if dice.random_ratio(1, 5) {
            names.push((first + 1) % NAMES);
        }
        let start = self.now();
        let mut writes: Vec<(Write, What)> = Vec::new();
        for name in names {
            let expected = self.base(name, dice);
            let (value, delete) =
                (self.next_value(), expected.is_some() && dice.random_ratio(1, 4));
            let state = (!delete).then_some(value);
            let value = json!({"metadata": {"name": name.to_string()}, "value": value});
            let what = What::Write { name, expected, state, version: 0 };
            writes.push((
                Write { table: table(name), key: key(name), expected, value, delete },
                what,
            ));
        }
        let (mut writes, whats): (Vec<_>, Vec<_>) = writes.into_iter().unzip();
        let with = writes.split_off(1);
        let queued = self.store.queue(writes.remove(0), with);
        let done = match queued {
            Ok(queued) => queued.await,
            Err(error) => Err(error),
        };
        match done {
            Ok(object) => {
                let span = Span { start, end: self.now() };
                for (version, what) in (object.rv..).zip(whats) {
                    let What::Write { name, expected, state, .. } = what else { continue };
                    calls.push(Call { span, what: What::Write { name, expected, state, version } });
                }
                if calls.len() > 1
                    && let [.., one, two] = calls.as_mut_slice()
                    && one.span == two.span
                {
                    // A reader sees both or none.
                    let (What::Write { version, .. }, span) = (one.what.clone(), one.span) else {
                        return;
                    };
                    calls.push(Call { span, what: What::Together(version) });
                }
            }
            Err(WriteError::Raced | WriteError::Overtaken | WriteError::Journal(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn read(&self, dice: &mut StdRng, calls: &mut Vec<Call>) {
        let name = dice.random_range(0..NAMES);
        let start = self.now();
        let what = match dice.random_range(0..3) {
            0 => {
                let found = self.store.get(&table(name), &key(name));
                What::Read { name, found: found.map(|object| (object.rv, value_of(&object))) }
            }
            1 => {
                let page = self.store.list(&table(name), dice.random::<bool>().then_some("d"));
                What::List {
                    odd: name % 2 == 1,
                    version: page.rv,
                    objects: seen(&page.objects),
                    now: true,
                }
            }
            _ => {
                let version = dice.random_range(0..=self.store.rv());
                match self.store.list_at(&table(name), None, version) {
                    Ok(page) => {
                        let objects = seen(&page.objects);
                        What::List { odd: name % 2 == 1, version, objects, now: false }
                    }
                    Err(HistoryError::TooOld { .. }) => return,
                    Err(error @ HistoryError::TooLarge { .. }) => panic!("{error:?}"),
                }
            }
        };
        calls.push(Call { span: Span { start, end: self.now() }, what });
    }

    async fn work(&self, seed: u64) -> Vec<Call> {
        let (mut dice, mut calls) = (StdRng::seed_from_u64(seed), Vec::new());
        for _ in 0..STEPS {
            self.write(&mut dice, &mut calls).await;
            self.read(&mut dice, &mut calls);
        }
        calls
    }

    /// Watches one table to the end; from the state of now where it has fallen behind.
    async fn watch(&self, seed: u64) -> Vec<Seen> {
        let (mut dice, odd) = (StdRng::seed_from_u64(seed), seed % 2 == 1);
        let table = table(seed % 2);
        let (mut wake, mut seen, mut at) = (self.store.wake(&table), Vec::new(), 0);
        loop {
            let over = self.over.load(Ordering::SeqCst);
            wake.borrow_and_update();
            match self.store.events(&table, at, dice.random_range(1..20)) {
                Ok((events, complete)) => {
                    let last = events.is_empty() && over;
                    let changes = events.iter().map(|event| {
                        let version = event.previous.as_ref().map(|object| object.rv);
                        let state =
                            (event.change != Change::Deleted).then(|| value_of(&event.object));
                        assert_eq!(event.change == Change::Added, version.is_none());
                        (event.object.rv, name_of(&event.object), state)
                    });
                    seen.push(Seen { odd, from: at, to: complete, changes: changes.collect() });
                    at = complete;
                    if last {
                        return seen;
                    }
                }
                Err(HistoryError::TooOld { oldest }) => at = oldest,
                Err(error @ HistoryError::TooLarge { .. }) => panic!("{error:?}"),
            }
            if dice.random_ratio(1, 3) {
                // Falls behind, or waits for the next change.
                let _ = tokio::time::timeout(Duration::from_millis(2), wake.changed()).await;
            }
            tokio::task::yield_now().await;
        }
    }
}

fn seen(objects: &[Arc<Object>]) -> BTreeMap<Name, (u64, u64)> {
    objects.iter().map(|object| (name_of(object), (object.rv, value_of(object)))).collect()
}

async fn history(seed: u64, events: usize) -> (History, Arc<Mutex<Disk>>) {
    let disk = Arc::new(Mutex::new(Disk::default()));
    let journal = Slow { disk: disk.clone(), dice: StdRng::seed_from_u64(seed) };
    let limits = Limits { events, at_least: 1, ..Limits::default() };
    let store = Store::open(Box::new(journal), limits).unwrap();
    let run = Run {
        store,
        clock: AtomicU64::new(0),
        values: AtomicU64::new(1),
        over: AtomicBool::new(false),
    };
    let run = Arc::new(run);
    let watchers: Vec<_> = (0..WATCHERS)
        .map(|n| {
            tokio::spawn({
                let run = run.clone();
                async move { run.watch(seed * 100 + n).await }
            })
        })
        .collect();
    let writers: Vec<_> = (0..WRITERS as u64)
        .map(|n| {
            tokio::spawn({
                let run = run.clone();
                async move { run.work(seed * 100 + 50 + n).await }
            })
        })
        .collect();
    let mut history = History::default();
    for writer in writers {
        history
            .calls
            .extend(tokio::time::timeout(PATIENCE, writer).await.expect("in time").unwrap());
    }
    run.over.store(true, Ordering::SeqCst);
    for watcher in watchers {
        history
            .seen
            .extend(tokio::time::timeout(PATIENCE, watcher).await.expect("in time").unwrap());
    }
    run.store.close();
    (history, disk)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_many_are_told_at_a_time_could_have_been_told_one_after_the_other() {
    for (seed, events) in [(1, 8192), (2, 8192), (3, 40), (4, 40)] {
        let (history, disk) = history(seed, events).await;
        let writes =
            history.calls.iter().filter(|call| matches!(call.what, What::Write { .. })).count();
        assert!(writes > STEPS, "only {writes} writes were done");
        assert_eq!(history.check(), [] as [String; 0], "seed {seed}");

        // Whoever comes after a restart finds what there was, and the changes that are remembered.
        let floor = disk.lock().unwrap().floor;
        let journal = Slow { disk, dice: StdRng::seed_from_u64(seed) };
        let store = Store::open(Box::new(journal), Limits::default()).unwrap();
        let mut after = History { calls: history.calls.clone(), seen: Vec::new() };
        let span = Span { start: u64::MAX - 1, end: u64::MAX };
        for odd in [false, true] {
            let table = table(u64::from(odd));
            let page = store.list(&table, None);
            let (version, objects) = (page.rv, seen(&page.objects));
            after.calls.push(Call { span, what: What::List { odd, version, objects, now: true } });
            let (events, to) = store.events(&table, floor, usize::MAX).unwrap();
            let changes = events.iter().map(|event| {
                let state = (event.change != Change::Deleted).then(|| value_of(&event.object));
                (event.object.rv, name_of(&event.object), state)
            });
            after.seen.push(Seen { odd, from: floor, to, changes: changes.collect() });
        }
        assert_eq!(after.check(), [] as [String; 0], "seed {seed}, after a restart");
        let names: BTreeSet<Name> = (0..NAMES).collect();
        let left =
            names.iter().filter(|name| store.get(&table(**name), &key(**name)).is_some()).count();
        assert_eq!(left, store.count(&table(0)) + store.count(&table(1)));
    }
}
