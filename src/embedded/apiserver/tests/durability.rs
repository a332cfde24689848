//! What survives: restarts, `kill -9`, full disks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, PostParams, WatchEvent, WatchParams};
use serde_json::json;

use super::harness::Cluster;
use crate::apiserver::store::{
    Batch, Journal, JournalError, Key, Limits, Record, RedbJournal, Store, Write, WriteError,
};

fn map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()
}

#[tokio::test]
async fn watches_resume_after_a_restart() {
    let mut cluster = Cluster::start().await;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), "default");
    let first = maps.create(&PostParams::default(), &map("a")).await.unwrap();
    maps.create(&PostParams::default(), &map("b")).await.unwrap();
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    let before = maps.list(&Default::default()).await.unwrap();
    cluster.restart().await;

    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), "default");
    let after = maps.list(&Default::default()).await.unwrap();
    assert_eq!(
        after.metadata.resource_version, before.metadata.resource_version,
        "a restart writes nothing"
    );
    assert_eq!(
        serde_json::to_value(after.items).unwrap(),
        serde_json::to_value(before.items).unwrap()
    );
    let rv = first.metadata.resource_version.unwrap();
    let events = maps.watch(&WatchParams::default(), &rv).await.unwrap().take(2);
    let seen: Vec<_> = events
        .map_ok(|event| match event {
            WatchEvent::Added(map) => format!("added {}", map.metadata.name.unwrap()),
            WatchEvent::Deleted(map) => format!("deleted {}", map.metadata.name.unwrap()),
            other => format!("{other:?}"),
        })
        .try_collect()
        .await
        .unwrap();
    assert_eq!(seen, ["added b", "deleted a"]);
}

fn table() -> crate::apiserver::store::Table {
    "/configmaps".into()
}

async fn write(store: &Store, name: &str) -> Result<u64, WriteError> {
    let key = Key::new("d", name);
    let live = store.latest(&table(), &key).map(|object| object.rv);
    let value = json!({"metadata": {"name": name}});
    store.write(&table(), &key, live, value, false).await.map(|object| object.rv)
}

#[tokio::test]
async fn what_belongs_to_a_write_is_written_with_it_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let journal = RedbJournal::open(&dir.path().join("objects.redb")).unwrap();
    let store = Store::open(Box::new(journal), Limits::default()).unwrap();
    let one = |name: &str, expected: Option<u64>| Write {
        table: table(),
        key: Key::new("d", name),
        expected,
        value: json!({"metadata": {"name": name}}),
        delete: false,
    };
    let rv = write(&store, "account").await.unwrap();
    let stale = store.queue(one("a", None), vec![one("account", Some(rv + 1))]).map(drop);
    assert!(matches!(stale, Err(WriteError::Overtaken)), "{stale:?}");
    assert!(store.latest(&table(), &Key::new("d", "a")).is_none());

    let held = store.hold();
    let queued = store.queue(one("a", None), vec![one("account", Some(rv))]).unwrap();
    let latest = store.latest_in(&table(), "d");
    assert_eq!(latest.iter().map(|o| o.rv).collect::<Vec<_>>(), [rv + 1, rv + 2]);
    assert_eq!(store.count(&table()), 1, "nothing of it is durable yet");
    drop(held);
    assert_eq!(queued.await.unwrap().rv, rv + 1);
    assert_eq!(store.get(&table(), &Key::new("d", "account")).unwrap().rv, rv + 2);
}

/// The child of the next test: writes and says what was acknowledged, until it is killed.
#[tokio::test]
async fn write_until_killed() {
    let Some(path) = std::env::var_os("CURTAIN_TEST_JOURNAL") else { return };
    let journal = RedbJournal::open(path.as_ref()).unwrap();
    let store = Arc::new(Store::open(Box::new(journal), Limits::default()).unwrap());
    let writers = (0..8).map(|writer| {
        let store = store.clone();
        async move {
            for n in 0.. {
                let name = format!("w{writer}-{}", n % 50);
                let rv = write(&store, &name).await.unwrap();
                use std::io::Write as _;
                writeln!(std::io::stderr(), "ack {name} {rv}").unwrap();
            }
        }
    });
    futures::future::join_all(writers).await;
}

#[test]
fn no_acknowledged_write_is_lost_by_kill() {
    use std::io::{BufRead as _, BufReader};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("objects.redb");
    let mut last = 0;
    for round in 0..5 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "apiserver::tests::durability::write_until_killed", "--nocapture"])
            .env("CURTAIN_TEST_JOURNAL", &path)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut acknowledged = std::collections::HashMap::new();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        while acknowledged.len() < 100 + round {
            let line = lines.next().expect("the child writes").unwrap();
            if let Some((name, rv)) =
                line.strip_prefix("ack ").and_then(|rest| rest.split_once(' '))
            {
                acknowledged.insert(name.to_owned(), rv.parse::<u64>().unwrap());
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            if let Some((name, rv)) =
                line.strip_prefix("ack ").and_then(|rest| rest.split_once(' '))
                && let Ok(rv) = rv.parse()
            {
                acknowledged.insert(name.to_owned(), rv);
            }
        }
        let store =
            Store::open(Box::new(RedbJournal::open(&path).unwrap()), Limits::default()).unwrap();
        assert!(store.rv() > last, "time goes on");
        last = store.rv();
        for (name, rv) in acknowledged {
            let stored =
                store.get(&table(), &Key::new("d", &name)).expect("acknowledged, so there");
            assert!(stored.rv >= rv, "{name} was acknowledged at {rv} and is at {}", stored.rv);
        }
    }
}

/// A journal on a disk that can be full.
struct Disk {
    inner: RedbJournal,
    full: Arc<AtomicBool>,
}

impl Journal for Disk {
    fn replay(&mut self, each: &mut dyn FnMut(u64, Record)) -> Result<u64, JournalError> {
        self.inner.replay(each)
    }

    fn append(&mut self, batch: &Batch) -> Result<(), JournalError> {
        match self.full.load(Ordering::SeqCst) {
            true => Err(JournalError::Full { path: "objects.redb".into() }),
            false => self.inner.append(batch),
        }
    }

    fn compact(&mut self) -> Result<bool, JournalError> {
        self.inner.compact()
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("objects.redb");
    let full = Arc::new(AtomicBool::new(false));
    let disk = Disk { inner: RedbJournal::open(&path).unwrap(), full: full.clone() };
    let store = Store::open(Box::new(disk), Limits::default()).unwrap();
    write(&store, "a").await.unwrap();
    full.store(true, Ordering::SeqCst);
    let error = write(&store, "b").await.unwrap_err();
    assert!(
        matches!(&error, WriteError::Journal(cause) if matches!(**cause, JournalError::Full { .. })),
        "{error}"
    );
    assert_eq!(store.list(&table(), None).objects.len(), 1);
    assert!(store.latest(&table(), &Key::new("d", "b")).is_none(), "what failed leaves no trace");
    full.store(false, Ordering::SeqCst);
    let rv = write(&store, "b").await.unwrap();
    let (events, complete) = store.events(&table(), 1, 10).unwrap();
    assert_eq!((events.len(), complete), (1, rv));
}

#[tokio::test]
async fn the_window_moves_and_the_journal_shrinks_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("objects.redb");
    let limits = Limits { events: 10, bytes: 1 << 20, at_least: 5, ..Limits::default() };
    let store = Store::open(Box::new(RedbJournal::open(&path).unwrap()), limits).unwrap();
    for _ in 0..50 {
        write(&store, "a").await.unwrap();
    }
    assert!(store.events(&table(), 30, 10).is_err(), "too old");
    assert_eq!(store.events(&table(), 45, 10).unwrap().0.len(), 5);
    assert_eq!(
        store.list_at(&table(), None, 45).unwrap().objects[0].rv,
        45,
        "the past can be listed"
    );
    drop(store);
    let mut journal = RedbJournal::open(&path).unwrap();
    let mut records = 0;
    journal.replay(&mut |_, _| records += 1).unwrap();
    assert!(records <= 12, "{records} records are kept");
}

/// A journal that says what it is asked to do.
struct Told {
    inner: RedbJournal,
    tell: std::sync::mpsc::Sender<&'static str>,
}

impl Journal for Told {
    fn replay(&mut self, each: &mut dyn FnMut(u64, Record)) -> Result<u64, JournalError> {
        self.inner.replay(each)
    }

    fn append(&mut self, batch: &Batch) -> Result<(), JournalError> {
        assert!(batch.put.iter().all(|(_, record)| &*record.key.name != "panic"), "as asked");
        let _ = self.tell.send("append");
        self.inner.append(batch)
    }

    fn compact(&mut self) -> Result<bool, JournalError> {
        let _ = self.tell.send("compact");
        self.inner.compact()
    }
}

fn told(dir: &std::path::Path) -> (Store, std::sync::mpsc::Receiver<&'static str>) {
    let (tell, hear) = std::sync::mpsc::channel();
    let journal = Told { inner: RedbJournal::open(&dir.join("objects.redb")).unwrap(), tell };
    let limits = Limits { idle: Duration::from_millis(1), ..Limits::default() };
    (Store::open(Box::new(journal), limits).unwrap(), hear)
}

#[tokio::test]
async fn quiet_moments_are_for_tidying_up_once_each() {
    let dir = tempfile::tempdir().unwrap();
    let (store, hear) = told(dir.path());
    let next = || hear.recv_timeout(Duration::from_secs(20)).expect("something to do");
    assert_eq!(next(), "compact", "after the start");
    write(&store, "a").await.unwrap();
    assert_eq!((next(), next()), ("append", "compact"));
    write(&store, "b").await.unwrap();
    assert_eq!((next(), next()), ("append", "compact"));
    store.close();
    assert_eq!(hear.try_iter().count(), 0, "once is enough");
}

#[tokio::test]
async fn what_is_written_while_commits_are_held_is_one_commit() {
    let dir = tempfile::tempdir().unwrap();
    let (store, hear) = told(dir.path());
    let held = store.hold();
    let names: Vec<String> = (0..20).map(|n| format!("a{n}")).collect();
    let writes = futures::future::try_join_all(names.iter().map(|name| write(&store, name)));
    let (written, ()) = futures::future::join(writes, async { drop(held) }).await;
    assert_eq!(written.unwrap(), (1..=20).collect::<Vec<u64>>());
    store.close();
    assert_eq!(hear.try_iter().filter(|what| *what == "append").count(), 1);
}

#[tokio::test]
async fn nobody_waits_for_a_commit_thread_that_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _hear) = told(dir.path());
    write(&store, "a").await.unwrap();
    assert!(matches!(write(&store, "panic").await, Err(WriteError::Closed)));
    assert!(matches!(write(&store, "b").await, Err(WriteError::Closed)));
    assert!(store.get(&table(), &Key::new("d", "a")).is_some(), "reads go on");
}
