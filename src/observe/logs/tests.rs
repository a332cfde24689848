use std::time::Duration;

use super::{Query, Store};
use crate::asked::{Page, Place};
use crate::database::Retention;
use crate::level::Level;
use crate::owner::Owner;
use crate::wire::{Batch, Line, Part, Position, Source};

const SECOND: i64 = 1_000_000_000;

fn source(component: &str, uid: &str, pod: &str) -> Source {
    Source {
        pod_uid: format!("uid-{pod}"),
        pod: pod.into(),
        pod_namespace: "dp".into(),
        container: "main".into(),
        owner: Owner {
            namespace: "default".into(),
            project: "shop".into(),
            component: component.into(),
            environment: "development".into(),
            component_uid: uid.into(),
            ..Owner::default()
        },
    }
}

fn at(time: i64, ordinal: u32) -> Position {
    Position { time, ordinal }
}

fn part(source: Source, lines: &[(i64, u32, &str)]) -> Part {
    Part {
        source,
        lines: lines.iter().map(|(t, n, text)| Line(at(*t, *n), (*text).to_owned())).collect(),
    }
}

/// Everything there is, the oldest first, changed by `change`.
fn query(change: impl FnOnce(&mut Query)) -> Query {
    let place = Place { namespace: "default".into(), ..Place::default() };
    let page = Page { place, between: (0, i64::MAX), limit: 100, newest_first: false };
    let mut query = Query { page, levels: Vec::new(), phrase: String::new() };
    change(&mut query);
    query
}

fn store(directory: &tempfile::TempDir, retention: Retention) -> Store {
    Store::open(&directory.path().join("logs.db"), retention).expect("opens")
}

fn texts(store: &Store, query: &Query) -> Vec<String> {
    let found = store.query(query).expect("queries");
    // By the index it is the same as without.
    assert_eq!(store.find(query, 0).expect("queries"), found);
    found.rows.into_iter().map(|row| row.text).collect()
}

#[test]
fn a_batch_that_comes_twice_is_stored_once_and_positions_survive() {
    let directory = tempfile::tempdir().expect("a directory");
    let kept = store(&directory, Retention::default());
    let first = Batch {
        parts: vec![part(
            source("cart", "1", "a"),
            &[(5, 0, "one"), (5, 1, "two"), (7, 0, "three")],
        )],
    };
    assert_eq!(kept.ingest(&first).expect("stores"), 3);
    assert_eq!(kept.ingest(&first).expect("stores"), 0);
    let overlapping = Batch {
        parts: vec![part(
            source("cart", "1", "a"),
            &[(5, 1, "two"), (7, 0, "three"), (7, 1, "four")],
        )],
    };
    assert_eq!(kept.ingest(&overlapping).expect("stores"), 1);
    drop(kept);
    let kept = store(&directory, Retention::default());
    let positions = kept.positions().expect("positions");
    assert_eq!((positions.len(), positions[0].last), (1, at(7, 1)));
    assert_eq!(texts(&kept, &query(|_| ())), ["one", "two", "three", "four"]);
}

#[test]
fn queries_narrow_by_place_time_level_and_phrase() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = store(&directory, Retention::default());
    let mut other = source("cart", "1", "c");
    other.owner.environment = "production".into();
    store
        .ingest(&Batch {
            parts: vec![
                part(
                    source("cart", "1", "a"),
                    &[(1, 0, "level=error cannot pay"), (4, 0, "100% done")],
                ),
                part(source("cart", "1", "b"), &[(2, 0, "level=info Paid \"twice\"")]),
                part(source("web", "2", "w"), &[(3, 0, "hello")]),
                part(other, &[(5, 0, "in production")]),
            ],
        })
        .expect("stores");
    let cart = query(|query| {
        query.page.place.component = "cart".into();
        query.page.place.environment = "development".into();
    });
    assert_eq!(
        texts(&store, &cart),
        ["level=error cannot pay", "level=info Paid \"twice\"", "100% done"]
    );
    assert_eq!(
        texts(
            &store,
            &query(|query| {
                query.page.newest_first = true;
                query.page.limit = 2;
            })
        ),
        ["in production", "100% done"]
    );
    assert_eq!(
        texts(&store, &query(|query| query.page.between = (2, 3))),
        ["level=info Paid \"twice\"", "hello"]
    );
    assert_eq!(
        texts(&store, &query(|query| query.levels = vec![Level::Error])),
        ["level=error cannot pay"]
    );
    // Long phrases use the index, short ones do not; both know no case and no wildcards.
    assert_eq!(
        texts(&store, &query(|query| query.phrase = "PAID \"twice".into())),
        ["level=info Paid \"twice\""]
    );
    assert_eq!(texts(&store, &query(|query| query.phrase = "0%".into())), ["100% done"]);
    assert_eq!(texts(&store, &query(|query| query.phrase = "00% D".into())), ["100% done"]);
    assert_eq!(texts(&store, &query(|query| query.phrase = "0%_do".into())), [] as [&str; 0]);
    assert_eq!(texts(&store, &query(|query| query.phrase = "a%d".into())), [] as [&str; 0]);
    assert_eq!(store.query(&query(|query| query.page.limit = 1)).expect("queries").total, 5);
    assert_eq!(
        texts(&store, &query(|query| query.page.place.namespace = "other".into())),
        [] as [&str; 0]
    );
}

#[test]
fn a_phrase_is_more_than_its_threes_and_letters_have_no_case() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = store(&directory, Retention::default());
    let lines =
        [(1, 0, "abcd and bcde"), (2, 0, "xABCDEx"), (3, 0, "Ärger im ÖPNV"), (4, 0, "100 %")];
    store.ingest(&Batch { parts: vec![part(source("cart", "1", "a"), &lines)] }).expect("stores");
    let found = |phrase: &str| texts(&store, &query(|query| query.phrase = phrase.into()));
    assert_eq!(found("abcde"), ["xABCDEx"]);
    assert_eq!(found("im öpnv"), ["Ärger im ÖPNV"]);
    assert_eq!(found("im äpnv"), [] as [&str; 0]);
    assert_eq!(found("00 %"), ["100 %"]);
    let first = query(|query| {
        query.phrase = "bcd".into();
        query.page.limit = 1;
    });
    for seen in [0, 100] {
        assert_eq!(store.find(&first, seen).expect("finds").total, 2, "all are counted");
    }
}

#[test]
fn a_common_phrase_is_looked_for_where_the_page_begins() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = store(&directory, Retention::default());
    let (end, many) = (1_600_000, 1500);
    let text = |number: i64| {
        let level = ["info", "warn", "error"][usize::try_from(number % 3).expect("small")];
        format!("level={level} common {number}")
    };
    for (pod, first) in [("a", 0), ("b", end - many)] {
        let lines = (first..first + many).map(|time| Line(at(time, 0), text(time))).collect();
        let part = Part { source: source("cart", "1", pod), lines };
        store.ingest(&Batch { parts: vec![part] }).expect("stores");
    }
    let page = |newest_first: bool| {
        query(|query| {
            query.phrase = "COMMON".into();
            query.page.between = (0, end);
            query.page.newest_first = newest_first;
            query.page.limit = 4;
        })
    };
    let expected = |numbers: [i64; 4]| numbers.map(text);
    assert_eq!(texts(&store, &page(false)), expected([0, 1, 2, 3]));
    let newest = [end - 1, end - 2, end - 3, end - 4];
    assert_eq!(texts(&store, &page(true)), expected(newest));
    assert!(!store.query(&page(true)).expect("queries").is_counted());
}

#[test]
fn a_component_made_anew_does_not_inherit_lines() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = store(&directory, Retention::default());
    store
        .ingest(&Batch { parts: vec![part(source("cart", "old", "a"), &[(1, 0, "before")])] })
        .expect("stores");
    store
        .ingest(&Batch { parts: vec![part(source("cart", "new", "b"), &[(2, 0, "after")])] })
        .expect("stores");
    assert_eq!(texts(&store, &query(|_| ())), ["after"]);
}

#[test]
fn age_and_size_are_bounded_and_forgotten_text_is_not_found() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = store(&directory, Retention { age: Duration::from_secs(100), bytes: 512 << 10 });
    store
        .ingest(&Batch {
            parts: vec![part(
                source("cart", "1", "a"),
                &[(1, 0, "ancient words"), (200 * SECOND, 0, "young")],
            )],
        })
        .expect("stores");
    assert_eq!(store.prune(250 * SECOND).expect("prunes"), 1);
    assert_eq!(texts(&store, &query(|query| query.phrase = "ancient".into())), [] as [&str; 0]);
    assert_eq!(texts(&store, &query(|_| ())), ["young"]);
    let long = "x".repeat(900);
    let many: Vec<(i64, u32, &str)> = (0..3000).map(|n| (240 * SECOND, n, long.as_str())).collect();
    store.ingest(&Batch { parts: vec![part(source("web", "2", "w"), &many)] }).expect("stores");
    let size = || {
        let reader = rusqlite::Connection::open(directory.path().join("logs.db")).expect("opens");
        let number = |name: &str| reader.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        number("page_count").expect("pages") * number("page_size").expect("size")
    };
    store.prune(250 * SECOND).expect("prunes");
    assert!(size() <= 512 << 10, "{} bytes", size());
    let left = store
        .query(&query(|query| {
            query.page.newest_first = true;
            query.page.limit = 1000;
        }))
        .expect("queries");
    assert!((1..1000).contains(&left.total), "the newest stay: {}", left.total);
    // Forgotten lines do not come back: the position is kept.
    assert_eq!(
        store.ingest(&Batch { parts: vec![part(source("web", "2", "w"), &many)] }).expect("stores"),
        0
    );
    // Later all of them are too old, and their space goes back to the file system.
    let before = size();
    assert!(store.prune(400 * SECOND).expect("prunes") > 0);
    assert!(size() < before / 2, "{before} to {}", size());
}

#[test]
fn a_burst_does_not_outgrow_the_bound_until_the_next_prune() {
    let directory = tempfile::tempdir().expect("a directory");
    let retention = Retention { age: Duration::from_secs(100), bytes: 1 << 20 };
    let store = store(&directory, retention);
    let long = "y".repeat(900);
    for batch in 0..10 {
        let many: Vec<(i64, u32, &str)> = (0..1000).map(|n| (batch, n, long.as_str())).collect();
        store.ingest(&Batch { parts: vec![part(source("web", "2", "w"), &many)] }).expect("stores");
    }
    let bytes = std::fs::metadata(directory.path().join("logs.db")).expect("a file").len();
    assert!(bytes < 4 << 20, "nine megabytes of lines make a file of {bytes} bytes");
    let newest = store
        .query(&query(|query| {
            query.page.newest_first = true;
            query.page.limit = 1;
        }))
        .expect("queries");
    assert_eq!(newest.rows[0].time, 9, "the newest stay");
}
