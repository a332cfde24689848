use std::time::Duration;

use curtain_control::mcp::economy::{MOST, TYPICAL};
use serde_json::Value;
use serde_json::value::RawValue;

use super::tree::{lines, milliseconds};
use super::wire::{Batch, Kind, Part, Source, Span, SpanId, Status, TraceId};
use super::*;
use crate::asked::{Page, Place};
use crate::database::Retention;
use crate::owner::Owner;

const MS: i64 = 1_000_000;
const BASE: i64 = 1_767_225_600_000_000_000;

fn trace(number: u64) -> TraceId {
    format!("{number:032x}").parse().expect("an id")
}

fn id(number: u64) -> SpanId {
    format!("{number:016x}").parse().expect("an id")
}

/// A span of trace `trace` that starts at `at` ms and takes `takes` ms.
fn span(trace_number: u64, (span, parent): (u64, u64), at: i64, takes: i64) -> Span {
    Span {
        trace: trace(trace_number),
        span: id(span),
        parent: (parent > 0).then(|| id(parent)),
        name: format!("work {span}"),
        kind: Kind(1),
        start: BASE + at * MS,
        duration: takes * MS,
        status: Status(0),
        message: String::new(),
        attributes: RawValue::from_string(r#"{"k":"v"}"#.into()).ok(),
        events: None,
    }
}

fn source(component: &str) -> Source {
    Source {
        owner: Owner {
            namespace: "default".into(),
            project: "shop".into(),
            component: component.into(),
            environment: "development".into(),
            component_uid: format!("{component}-uid"),
            ..Owner::default()
        },
        pod: format!("{component}-1"),
        pod_namespace: "dp".into(),
        resource: format!(r#"{{"service.name":"{component}"}}"#),
    }
}

fn page(component: &str) -> Page {
    let place = Place {
        namespace: "default".into(),
        project: if component.is_empty() { String::new() } else { "shop".into() },
        component: component.into(),
        environment: String::new(),
    };
    Page { place, between: (0, i64::MAX), limit: 100, newest_first: true }
}

fn store(retention: Retention) -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(&directory.path().join("traces.db"), retention).expect("opens");
    (directory, store)
}

fn put(store: &Store, component: &str, spans: Vec<Span>) -> usize {
    let part = Part { source: source(component), spans };
    store.ingest(&Batch { parts: vec![part] }).expect("stores")
}

/// A request to `web` that calls `cart` twice, the second time in vain.
fn shop(store: &Store) {
    let server = |mut span: Span| {
        span.kind = Kind::SERVER;
        span
    };
    let client = |mut span: Span| {
        span.kind = Kind::CLIENT;
        span
    };
    let web = vec![
        server(span(1, (1, 0), 0, 100)),
        client(span(1, (2, 1), 10, 20)),
        client(Span { status: Status::ERROR, ..span(1, (3, 1), 40, 50) }),
    ];
    let failed =
        Span { status: Status::ERROR, message: "no room".into(), ..span(1, (5, 3), 42, 40) };
    let cart = vec![server(span(1, (4, 2), 12, 10)), server(failed)];
    // The end of a request is known before its start: parts come in any order.
    assert_eq!(put(store, "cart", cart), 2);
    assert_eq!(put(store, "web", web), 3);
}

#[test]
fn a_span_is_stored_once_however_often_and_in_whatever_pieces_it_comes() {
    let (directory, store) = store(Retention::default());
    shop(&store);
    let before = store.list(&page("")).expect("lists");
    drop(store);
    // The program was killed; what it had answered is there, what is sent again changes nothing.
    let store =
        Store::open(&directory.path().join("traces.db"), Retention::default()).expect("opens");
    assert_eq!(put(&store, "web", vec![span(1, (1, 0), 0, 100), span(1, (2, 1), 10, 20)]), 0);
    assert_eq!(put(&store, "web", vec![span(1, (2, 1), 10, 20), span(1, (9, 1), 5, 1)]), 1);
    let after = store.list(&page("")).expect("lists");
    assert_eq!((before.traces[0].spans, after.traces[0].spans), (5, 6));
    assert_eq!(after.traces[0].name, "work 1");
    assert_eq!(after.traces[0].end - after.traces[0].start, 100 * MS);
}

#[test]
fn a_place_sees_its_own_spans_only_in_sums_too() {
    let (_directory, store) = store(Retention::default());
    shop(&store);
    let all = store.list(&page("")).expect("lists").traces.remove(0);
    assert_eq!((all.spans, all.errors, all.root, all.kind), (5, 2, id(1), Kind::SERVER));
    let cart = store.list(&page("cart")).expect("lists").traces.remove(0);
    assert_eq!((cart.spans, cart.errors, cart.root, cart.start), (2, 1, id(4), BASE + 12 * MS));
    let spans = store.spans(trace(1), &page("cart"), true).expect("finds");
    assert_eq!(spans.spans.iter().map(|row| row.span).collect::<Vec<_>>(), [id(5), id(4)]);
    assert_eq!((spans.total, spans.spans[0].attributes.as_str()), (2, r#"{"k":"v"}"#));
    assert!(store.spans(trace(1), &page("other"), true).expect("finds").spans.is_empty());
    assert_eq!(store.list(&page("other")).expect("lists"), Listed::default());
    let early = Page { between: (0, BASE - 1), ..page("") };
    assert_eq!(store.list(&early).expect("lists").total, 0);
}

#[test]
fn lists_are_in_order_and_counted() {
    let (_directory, store) = store(Retention::default());
    for number in 1..=50_i64 {
        let spans = vec![span(number.unsigned_abs(), (1, 0), number * 10, 5)];
        put(&store, if number % 2 == 0 { "web" } else { "cart" }, spans);
    }
    let names = |page: &Page| {
        let listed = store.list(page).expect("lists");
        (listed.traces.iter().map(|one| one.trace).collect::<Vec<_>>(), listed.total)
    };
    let few = Page { limit: 2, ..page("") };
    assert_eq!(names(&few), (vec![trace(50), trace(49)], 50));
    assert_eq!(names(&Page { newest_first: false, ..few }), (vec![trace(1), trace(2)], 50));
    assert_eq!(names(&Page { limit: 1, ..page("cart") }), (vec![trace(49)], 25));
}

#[test]
fn age_and_size_are_bounded_and_traces_go_whole() {
    let age = Duration::from_millis(500);
    let (_directory, aged) = store(Retention { age, ..Retention::default() });
    put(&aged, "web", (1..=700).map(|n| span(1, (n, 0), 0, 1)).collect());
    put(&aged, "web", vec![span(2, (1, 0), 0, 900), span(2, (2, 1), 1, 1)]);
    assert_eq!(aged.prune(BASE + 1000 * MS).expect("prunes"), 700);
    let left = aged.list(&page("")).expect("lists");
    assert_eq!((left.total, left.traces[0].trace, left.traces[0].spans), (1, trace(2), 2));
    assert_eq!(aged.prune(BASE + 9000 * MS).expect("prunes"), 2);
    assert_eq!(aged.list(&page("")).expect("lists"), Listed::default());

    let (_directory, full) = store(Retention { bytes: 512 << 10, ..Retention::default() });
    for number in 1..=3000_i64 {
        put(
            &full,
            "web",
            vec![Span {
                message: "x".repeat(1000),
                ..span(number.unsigned_abs(), (1, 0), number, 1)
            }],
        );
    }
    full.prune(BASE).expect("prunes");
    let left = full.list(&page("")).expect("lists");
    assert_eq!(left.traces[0].trace, trace(3000), "the newest stays");
    assert!((50..600).contains(&left.total), "{}", left.total);
}

#[test]
fn calls_are_between_components_with_what_the_answering_side_says() {
    let (_directory, store) = store(Retention::default());
    shop(&store);
    // A message is no request: nobody waits for it.
    put(&store, "mail", vec![Span { kind: Kind(5), ..span(1, (6, 4), 15, 1) }]);
    let calls = |component: &str, between: (i64, i64)| {
        let mut found = Vec::new();
        let complete = store.calls(&page(component).place, between, |call| {
            assert_eq!(call.attributes, Some(r#"{"k":"v"}"#));
            let source = call.source.map(|owner| owner.component.clone());
            let (to, took) = (call.destination.component.clone(), call.duration / MS);
            found.push((source, to, took, call.is_error));
        });
        assert!(complete.expect("finds"));
        found.sort();
        found
    };
    let (all, web) = ((0, i64::MAX), || Some("web".to_owned()));
    let entry = (None, "web".to_owned(), 100, false);
    let good = (web(), "cart".to_owned(), 10, false);
    let failed = (web(), "cart".to_owned(), 40, true);
    assert_eq!(calls("", all), [entry, good.clone(), failed.clone()]);
    assert_eq!(calls("cart", all), [good, failed.clone()]);
    assert_eq!(calls("other", all), []);
    assert_eq!(calls("", (BASE + 20 * MS, BASE + 60_000 * MS)), [failed], "by their own time");
    assert_eq!(calls("", (0, BASE - 1)), []);
}

#[test]
fn an_agent_reads_what_failed_and_then_a_tree() {
    let (_directory, store) = store(Retention::default());
    shop(&store);
    let list = compact::traces(&store.list(&page("")).expect("lists"), TYPICAL);
    let row = serde_json::json!({"trace": trace(1).to_string(), "root": "work 1", "ms": 100,
        "start": "2026-01-01T00:00:00.000Z", "spans": 5, "errors": 2});
    assert_eq!((&list["traces"][0], &list["metadata"]["component"]), (&row, &Value::from("web")));

    let spans = store.spans(trace(1), &page(""), false).expect("finds");
    let answer = compact::spans(trace(1), &spans, 1000, TYPICAL);
    assert_eq!(answer["errors"][0]["message"], "no room", "{answer}");
    assert_eq!(answer["errors"][1]["component"], "web");
    let id = |number: u64| format!("{number:016x}");
    let tree = [
        format!("{} web: work 1 100 ms, self 30", id(1)),
        format!("  {} web: work 2 20 ms, self 10", id(2)),
        format!("    {} cart: work 4 10 ms", id(4)),
        format!("  {} web: work 3 50 ms, self 10 ERROR", id(3)),
        format!("    {} cart: work 5 40 ms ERROR", id(5)),
    ];
    assert_eq!(answer["spans"], serde_json::json!(tree));
    assert!(answer.get("hint").is_none(), "{answer}");

    let short = compact::spans(trace(1), &spans, 2, TYPICAL);
    let hint = short["hint"].as_str().expect("a hint");
    assert!(hint.starts_with("2 lines of 5 for 5 spans; ask with limit"), "{hint}");
}

#[test]
fn a_tree_joins_what_is_alike_and_survives_what_is_no_tree() {
    let (_directory, store) = store(Retention::default());
    let query = |number: u64| Span { name: "SELECT".into(), ..span(1, (number, 1), 1, 2) };
    let mut spans = vec![span(1, (1, 0), 0, 100)];
    spans.extend((10..50).map(query));
    put(&store, "web", spans);
    // Two that are each other's parent, one that is its own, and a very deep row of spans.
    put(&store, "web", vec![span(2, (1, 2), 0, 1), span(2, (2, 1), 0, 1), span(2, (3, 3), 0, 1)]);
    put(&store, "web", (1..1000).map(|n| span(3, (n, n - 1), 0, 1)).collect());
    let find = |number: u64| {
        let page = Page { limit: 1000, ..page("") };
        store.spans(trace(number), &page, false).expect("finds")
    };
    let many = lines(&find(1).spans);
    assert_eq!(many.len(), 2);
    assert_eq!(many[1].text, "SELECT ×40, 80 ms in all, at most 2");
    assert_eq!(lines(&find(2).spans).len(), 3);
    assert_eq!(lines(&find(3).spans).len(), 999);
    let answer = compact::spans(trace(3), &find(3), 1000, MOST);
    assert!(answer.to_string().len() < MOST + 500 && answer["hint"].is_string());
}

#[test]
fn an_agents_answers_stay_within_their_budget() {
    let (_directory, store) = store(Retention::default());
    let long = |n: u64| Span {
        name: format!("GET /a/long/route/with/{n}/and \"quotes\""),
        status: Status::ERROR,
        message: "é\n".repeat(500),
        attributes: RawValue::from_string(format!(r#"{{"http.url":"{}"}}"#, "x".repeat(9000))).ok(),
        events: RawValue::from_string(format!(
            r#"[{}{{"name":"last"}}]"#,
            format!(r#"{{"name":"{}"}},"#, "y".repeat(900)).repeat(20)
        ))
        .ok(),
        ..span(n, (n, 0), i64::try_from(n).expect("small"), 1)
    };
    put(&store, "web", (1..=500).map(long).collect());
    put(&store, "web", (1..=500).map(|n| Span { trace: trace(7000), ..long(n) }).collect());
    let all = Page { limit: 1000, ..page("") };
    for budget in [TYPICAL, MOST] {
        let list = compact::traces(&store.list(&all).expect("lists"), budget);
        let bytes = list["traces"].to_string().len();
        assert!((budget * 2 / 3..=budget + 2).contains(&bytes), "{bytes} of {budget}");
        assert!(
            list["hint"].as_str().is_some_and(|hint| hint.contains("of 501 traces")),
            "{}",
            list["hint"]
        );
        let spans = store.spans(trace(7000), &all, false).expect("finds");
        let answer = compact::spans(trace(7000), &spans, 1000, budget);
        let bytes = answer["spans"].to_string().len() + answer["errors"].to_string().len();
        assert!((budget / 2..=budget + 10).contains(&bytes), "{bytes} of {budget}");
        assert!(answer["hint"].as_str().is_some_and(|hint| hint.contains("500 spans failed")));
    }
    let row = store.span(trace(7000), id(1)).expect("finds").expect("is there");
    let details = compact::details(&row, TYPICAL);
    assert!(details.to_string().len() < TYPICAL + 1500, "{}", details.to_string().len());
    assert!(details["hint"].as_str().is_some_and(|hint| hint.contains("more events")), "{details}");
}

#[test]
fn durations_have_the_digits_that_matter() {
    for (nanoseconds, text) in [
        (0, "0"),
        (999, "0"),
        (1_500, "0.001"),
        (2_000_000, "2"),
        (2_340_000, "2.34"),
        (12_345_678, "12.3"),
        (123_456_789, "123"),
        (65_000_000_000, "65000"),
    ] {
        assert_eq!(milliseconds(nanoseconds), text);
    }
}
