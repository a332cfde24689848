//! Records as they are kept, on a real file.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;

use super::*;
use crate::{
    authz::{Clock, Via},
    identity::SubjectKind,
};

const PLENTY: Retention = Retention { age: Duration::from_secs(3600), bytes: 1 << 20 };

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("time")
}

fn record(actor: &str, action: &str, second: i64) -> Record {
    Record {
        time: at(second),
        actor: actor.into(),
        actor_kind: SubjectKind::Agent,
        via: Via::Mcp,
        call: "tool".into(),
        action: action.into(),
        object: "ReleaseBinding/web".into(),
        at: "ns/default/project/shop".into(),
        environment: "default/development".into(),
        result: Outcome::Allowed,
        binding: String::new(),
        granted_by: String::new(),
        note: String::new(),
        change: String::new(),
        reason: String::new(),
    }
}

/// A database whose clock shows `hands`.
fn open(path: &Path, retention: Retention, hands: &Arc<AtomicI64>) -> Audit {
    let hands = hands.clone();
    let clock = Clock::new(move || at(hands.load(Ordering::Relaxed)));
    Audit::open(path, retention, clock).expect("database")
}

async fn all(audit: &Audit) -> Vec<i64> {
    let query = Query { limit: 1000, ..Query::default() };
    let found = audit.find(query).await.expect("records");
    found.records.iter().map(|one| one.record.time.as_second()).collect()
}

#[tokio::test]
async fn what_was_kept_is_there_after_the_process_ended() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("audit.redb");
    let hands = Arc::new(AtomicI64::new(100));
    let audit = open(&path, PLENTY, &hands);
    for second in 1..=300 {
        let action = if second % 3 == 0 { "releasebinding:update" } else { "component:view" };
        audit.keep(record("claude-1", action, second)).await;
    }
    let mut denied = record("claude-2", "component:delete", 301);
    denied.result = Outcome::Denied;
    audit.keep(denied).await;
    audit.flush().await;
    let counts = audit.counts();
    drop(audit);

    // The thread lets go of the file once it has written everything.
    let reopened = async {
        loop {
            let clock = Clock::new(|| at(400));
            match Audit::open(&path, PLENTY, clock) {
                Ok(audit) => return audit,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    let again = tokio::time::timeout(Duration::from_secs(10), reopened).await.expect("reopened");
    assert_eq!(all(&again).await, (1..=301).rev().collect::<Vec<_>>());
    assert_eq!(again.counts(), counts);
    let claude = &counts["claude-1"];
    assert_eq!((claude.reads, claude.writes, claude.denied), (200, 100, 0));
    assert_eq!((counts["claude-2"].denied, counts["claude-2"].last_seen), (1, Some(at(301))));
}

#[tokio::test]
async fn a_change_is_on_the_disk_when_it_is_kept() {
    let directory = tempfile::tempdir().expect("directory");
    let hands = Arc::new(AtomicI64::new(100));
    let audit = open(&directory.path().join("audit.redb"), PLENTY, &hands);
    for second in 1..=5 {
        audit.keep(record("claude-1", "releasebinding:update", second)).await;
        assert_eq!(all(&audit).await.first(), Some(&second));
    }
}

#[tokio::test]
async fn old_records_and_too_many_bytes_go() {
    let directory = tempfile::tempdir().expect("directory");
    let hands = Arc::new(AtomicI64::new(10));
    let retention = Retention { age: Duration::from_secs(60), bytes: 2_000 };
    let audit = open(&directory.path().join("audit.redb"), retention, &hands);
    for second in 1..=10 {
        audit.keep(record("claude-1", "releasebinding:update", second)).await;
    }
    let kept = all(&audit).await;
    assert!((2..10).contains(&kept.len()) && kept[0] == 10, "{kept:?}");
    assert_eq!(audit.counts()["claude-1"].writes, kept.len() as u64);
    hands.store(69, Ordering::Relaxed);
    audit.keep(record("claude-2", "releasebinding:update", 69)).await;
    assert_eq!(all(&audit).await, [69, 10, 9], "what is older than a minute is gone");
    hands.store(200, Ordering::Relaxed);
    audit.keep(record("claude-2", "releasebinding:update", 200)).await;
    assert_eq!(all(&audit).await, [200]);
    assert_eq!(audit.counts().keys().collect::<Vec<_>>(), ["claude-2"]);
}

#[tokio::test]
async fn a_query_narrows_and_pages() {
    let directory = tempfile::tempdir().expect("directory");
    let hands = Arc::new(AtomicI64::new(100));
    let audit = open(&directory.path().join("audit.redb"), PLENTY, &hands);
    for second in 1..=10 {
        let mut one = record("claude-1", "component:view", second);
        match second {
            2 => one.actor = "claude-2".into(),
            3 => one.result = Outcome::Denied,
            4 => one.at = "ns/defaults".into(),
            5 => one.action = "releasebinding:update".into(),
            _ => {}
        }
        audit.keep(one).await;
    }
    let find = async |query: Query| {
        let found = audit.find(Query { limit: 3, ..query }).await.expect("records");
        let last = found.records.last().map(|one| one.number);
        let seconds: Vec<_> = found.records.iter().map(|one| one.record.time.as_second()).collect();
        (seconds, found.more, last)
    };
    let query = Query::default;
    let (first, more, last) = find(query()).await;
    assert_eq!((first, more), (vec![10, 9, 8], true));
    assert_eq!(find(Query { before: last, ..query() }).await.0, [7, 6, 5]);
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(find(Query { actor: text("claude-2"), ..query() }).await.0, [2]);
    assert_eq!(find(Query { result: Some(Outcome::Denied), ..query() }).await.0, [3]);
    assert_eq!(find(Query { namespace: text("defaults"), ..query() }).await.0, [4]);
    assert_eq!(find(Query { action: text("releasebinding:*"), ..query() }).await.0, [5]);
    assert_eq!(find(Query { changes: true, ..query() }).await.0, [5]);
    let between = Query { since: Some(at(6)), until: Some(at(7)), ..query() };
    assert_eq!(find(between).await.0, [7, 6]);
    assert_eq!(find(Query { actor_kind: Some(SubjectKind::User), ..query() }).await.0, [0; 0]);
}

#[tokio::test]
async fn no_text_of_a_record_steers_a_terminal_or_fills_the_database() {
    let directory = tempfile::tempdir().expect("directory");
    let hands = Arc::new(AtomicI64::new(100));
    let audit = open(&directory.path().join("audit.redb"), PLENTY, &hands);
    let odd = format!("\u{1b}]0;x\u{7}\u{9b}2J\u{202e}{}", "ä".repeat(20_000));
    let odd = || odd.clone();
    let one = Record {
        call: odd(),
        object: odd(),
        at: odd(),
        environment: odd(),
        binding: odd(),
        granted_by: odd(),
        note: odd(),
        ..record(&odd(), &odd(), 1)
    };
    audit.keep(one).await;
    let found = audit.find(Query { limit: 1, ..Query::default() }).await.expect("records");
    let Record { actor, call, action, object, at, environment, binding, granted_by, note, .. } =
        &found.records[0].record;
    for text in [actor, call, action, object, at, environment, binding, granted_by, note] {
        let steers = text.contains(|char: char| char.is_control() || char == '\u{202e}');
        assert!(!steers && text.starts_with("\u{fffd}]0;x") && text.ends_with("ä…"), "{text:.40?}");
        assert!(text.len() < 20_000, "{}", text.len());
    }
}
