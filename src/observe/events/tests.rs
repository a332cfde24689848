use std::time::Duration;

use curtain_control::mcp::economy::{MOST, TYPICAL};

use super::answer::compact;
use super::wire::{Batch, Event};
use super::*;
use crate::asked::{Page, Place};
use crate::database::Retention;
use crate::owner::Owner;

const SECOND: i64 = 1_000_000_000;
const BASE: i64 = 1_767_225_600 * SECOND;

fn event(uid: &str, at: i64, count: i64, message: &str) -> Event {
    Event {
        uid: uid.into(),
        first: BASE,
        last: BASE + at * SECOND,
        count,
        r#type: "Warning".into(),
        reason: "BackOff".into(),
        message: message.into(),
        object_kind: "Pod".into(),
        object_name: format!("cart-{uid}"),
        object_namespace: "dp-default-shop-development".into(),
        owner: owner("cart", "c"),
    }
}

fn owner(component: &str, uid: &str) -> Owner {
    Owner {
        namespace: "default".into(),
        project: "shop".into(),
        component: component.into(),
        environment: "development".into(),
        component_uid: uid.into(),
        ..Owner::default()
    }
}

fn page(component: &str) -> Page {
    let place = Place {
        namespace: "default".into(),
        project: "shop".into(),
        component: component.into(),
        environment: String::new(),
    };
    Page { place, between: (0, i64::MAX), limit: 100, newest_first: true }
}

fn store(retention: Retention) -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(&directory.path().join("events.db"), retention).expect("opens");
    (directory, store)
}

fn put(store: &Store, events: Vec<Event>) -> usize {
    store.ingest(&Batch { events }).expect("stores")
}

#[test]
fn an_event_is_one_row_however_often_it_is_reported_and_in_whatever_order() {
    let (_directory, store) = store(Retention::default());
    let (early, late) = (event("a", 1, 1, "back-off"), event("a", 9, 4, "back-off again"));
    assert_eq!(put(&store, vec![early.clone(), late.clone()]), 2);
    assert_eq!(put(&store, vec![early, late.clone()]), 0, "reported again after a restart");
    let found = store.query(&page("cart")).expect("finds");
    assert_eq!((found.events, found.total), (vec![late], 1));
}

#[test]
fn a_place_has_its_own_events_only_and_of_the_newer_component() {
    let (_directory, store) = store(Retention::default());
    let with = |uid: &str, owner: Owner| Event { owner, ..event(uid, 1, 1, uid) };
    put(
        &store,
        vec![
            with("former", owner("cart", "old")),
            with("now", owner("cart", "new")),
            with("other", owner("web", "w")),
            with("elsewhere", Owner { namespace: "acme".into(), ..owner("cart", "x") }),
        ],
    );
    let names = |page: &Page| {
        let found = store.query(page).expect("finds");
        found.events.into_iter().map(|event| event.uid).collect::<Vec<_>>()
    };
    assert_eq!(names(&page("cart")), ["now"]);
    assert_eq!(names(&page("")), ["other", "now"]);
    assert_eq!(names(&Page { between: (0, BASE), ..page("cart") }), [""; 0]);
}

#[test]
fn age_and_size_are_bounded() {
    let age = Duration::from_secs(10);
    let (_directory, aged) = store(Retention { age, ..Retention::default() });
    put(&aged, vec![event("a", 1, 1, "old"), event("b", 20, 1, "new")]);
    assert_eq!(aged.prune(BASE + 25 * SECOND).expect("prunes"), 1);
    assert_eq!(aged.query(&page("cart")).expect("finds").events[0].uid, "b");

    let (_directory, full) = store(Retention { bytes: 256 << 10, ..Retention::default() });
    for round in 0..20 {
        let events = (0..100).map(|n| {
            let number = round * 100 + n;
            event(&format!("e{number}"), number, 1, &"x".repeat(500))
        });
        put(&full, events.collect());
    }
    full.prune(BASE).expect("prunes");
    let found = full.query(&page("cart")).expect("finds");
    assert_eq!(found.events[0].uid, "e1999", "the newest stays");
    assert!(found.total < 600, "{}", found.total);
}

#[test]
fn an_agent_reads_each_message_once_with_its_count() {
    let again = Event { r#type: "Normal".into(), ..event("c", 5, 1, "pulled") };
    let events = vec![event("a", 9, 4, "back-off"), event("b", 7, 2, "back-off"), again];
    let answer = compact(&Found { events, total: 3 }, TYPICAL);
    let rows = answer["events"].as_array().expect("rows");
    assert_eq!(rows.len(), 2, "{answer}");
    assert_eq!((&rows[0]["count"], &rows[0]["last"]), (&6.into(), &"2026-01-01T00:00:09Z".into()));
    assert_eq!(rows[0]["object"], "Pod/cart-a and 1 more");
    assert_eq!((rows[1].get("count"), &rows[1]["object"]), (None, &"Pod/cart-c".into()));
    assert_eq!(answer["metadata"]["componentName"], "cart");
    assert!(rows[0].get("componentName").is_none() && answer.get("hint").is_none(), "{answer}");
}

#[test]
fn what_does_not_fit_is_left_out_with_a_hint() {
    let events = (0..300).map(|n| event(&n.to_string(), n, 1, &format!("{n} {}", "é".repeat(90))));
    let found = Found { events: events.collect(), total: 1000 };
    for budget in [TYPICAL, MOST] {
        let answer = compact(&found, budget);
        let bytes = answer["events"].to_string().len();
        assert!((budget * 2 / 3..=budget).contains(&bytes), "{bytes} of {budget}");
        let hint = answer["hint"].as_str().expect("a hint");
        assert!(hint.contains("among 300 of more than 1000 events; ask with limit"), "{hint}");
    }
}

#[test]
fn what_cannot_run_is_counted_by_object_and_what_only_begins_is_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(&directory.path().join("events.db"), Retention::default());
    let store = store.expect("opens");
    let named = |uid: &str, r#type: &str, reason: &str, count: i64, object: &str| Event {
        r#type: r#type.into(),
        reason: reason.into(),
        count,
        object_name: object.into(),
        ..event(uid, 10, count, "because")
    };
    let events = vec![
        named("1", "Warning", "BackOff", 3, "cart-a"),
        named("2", "Normal", "Started", 2, "cart-a"),
        named("3", "Normal", "Started", 1, "cart-b"),
        named("4", "Warning", "Unhealthy", 9, "cart-b"),
        named("5", "Warning", "Failed", 1, "cart-c"),
        Event { last: BASE + 99 * SECOND, ..named("6", "Warning", "BackOff", 1, "cart-d") },
    ];
    store.ingest(&Batch { events }).expect("stores");
    let place = Place { namespace: "default".into(), component: "cart".into(), ..Place::default() };
    let count = |first: i64, last: i64| {
        store.failures(&place, (BASE + first * SECOND, BASE + last * SECOND)).expect("counts")
    };
    assert_eq!((count(0, 20), count(20, 99), count(11, 98)), (2, 1, 0));
    // A release that cannot be made is said so once, and is a failure until it can.
    let release = |uid: &str, r#type: &str, at: i64| Event {
        object_kind: "ReleaseBinding".into(),
        last: BASE + at * SECOND,
        ..named(uid, r#type, "RenderingFailed", 1, "cart-development")
    };
    store.ingest(&Batch { events: vec![release("7", "Warning", 200)] }).expect("stores");
    assert_eq!((count(190, 205), count(260, 275)), (1, 1));
    store.ingest(&Batch { events: vec![release("8", "Normal", 300)] }).expect("stores");
    assert_eq!((count(260, 299), count(300, 315)), (1, 0));
    let other = Place { component: "mail".into(), ..place.clone() };
    assert_eq!(store.failures(&other, (0, i64::MAX)).expect("counts"), 0);
}
