//! From samples to answers.

use std::time::Duration;

use curtain_control::mcp::economy::TYPICAL;
use insta::assert_json_snapshot;
use jiff::Timestamp;
use serde_json::json;

use super::answers::Answers;
use super::ask::Window;
use super::calls::Calls;
use super::costs::Prices;
use super::names::*;
use super::wire::{Batch, INTERVAL, Labels, Part, Requests, Sample, Value};
use super::{Store, answer, application, bills, drawn};
use crate::asked::Place;
use crate::database::Retention;
use crate::owner::Owner;

/// 2026-01-01T00:00:00Z.
const BEGIN: i64 = 1_767_225_600;
const MIB: f64 = 1_048_576.0;

fn store(retention: Retention) -> (Store, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(&directory.path().join("metrics.db"), retention).expect("opens");
    (store, directory)
}

fn owner(component: &str) -> Owner {
    Owner {
        namespace: "default".into(),
        project: "shop".into(),
        component: component.into(),
        environment: "development".into(),
        project_uid: "p".into(),
        component_uid: format!("{component}-uid"),
        environment_uid: "e".into(),
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn sample(name: &str, pairs: &[(&str, &str)], value: Value) -> Sample {
    Sample { name: name.into(), labels: labels(pairs), value }
}

fn requests(count: u64, bucket: u8) -> Value {
    let micros = count * 1500;
    Value::Requests(Requests { count, micros, buckets: [(bucket, count)].into() })
}

/// One moment of a shop: people come to `web` through a gateway, it asks `cart`, and that asks `payment`, which is broken.
fn shop(time: i64) -> Batch {
    let pod = |name: &str, cpu: f64, memory: f64| {
        let pod = [(POD, name)];
        vec![
            sample(CPU, &pod, Value::Gauge(cpu * 1e9)),
            sample(CPU_REQUEST, &pod, Value::Gauge(0.1e9)),
            sample(CPU_LIMIT, &pod, Value::Gauge(0.5e9)),
            sample(MEMORY, &pod, Value::Gauge(memory * MIB)),
            sample(MEMORY_REQUEST, &pod, Value::Gauge(64.0 * MIB)),
            sample(MEMORY_LIMIT, &pod, Value::Gauge(128.0 * MIB)),
            sample(RECEIVED, &pod, Value::Increase(1000.0)),
            sample(READY, &pod, Value::Gauge(1.0)),
        ]
    };
    let from = |name: &str, status: &'static str, value: Value| {
        let (kind, name) = name.split_once(':').unwrap_or(("component", name));
        let mut pairs = vec![
            (PEER, kind),
            (PEER_NAME, name),
            (SERVICE, "it"),
            (PROTOCOL, "http1"),
            (METHOD, "GET"),
            (ROUTE, "/x"),
            (STATUS, status),
        ];
        if kind == "component" {
            let place = [
                (PEER_NAMESPACE, "default"),
                (PEER_PROJECT, "shop"),
                (PEER_ENVIRONMENT, "development"),
            ];
            pairs.extend(place);
        }
        let uid = format!("{name}-uid");
        if kind == "component" {
            pairs.extend([(PEER_UID, uid.as_str()), (PEER_PROJECT_UID, "p")]);
        }
        sample(HTTP_IN, &pairs, value)
    };
    let mut web = pod("web-1", 0.02, 30.0);
    web.push(from("gateway:gateway-default", "200", requests(10, 3)));
    web.push(sample(
        "app:visits_total",
        &[("page", "start"), (POD, "web-1")],
        Value::Increase(10.0),
    ));
    web.push(sample("app:sessions", &[(POD, "web-1")], Value::Gauge(7.0)));
    let mut cart = pod("cart-1", 0.01, 20.0);
    cart.extend(pod("cart-2", 0.03, 40.0));
    cart.push(from("web", "200", requests(9, 2)));
    cart.push(from("web", "404", requests(1, 2)));
    cart.push(sample(
        CONNECTIONS,
        &[
            (PEER, "external"),
            (PEER_NAME, "postgres.db"),
            (SERVICE, "postgres"),
            (VERDICT, "forwarded"),
        ],
        Value::Increase(1.0),
    ));
    let mut payment = pod("payment-1", 0.2, 120.0);
    payment.push(from("cart", "200", requests(2, 4)));
    payment.push(from("cart", "503", requests(3, 10)));
    let out = [(PEER, "external"), (PEER_NAME, "192.0.2.7"), (PROTOCOL, "http1"), (STATUS, "200")];
    payment.push(sample(HTTP_OUT, &out, requests(1, 8)));
    let part = |component: &str, samples| Part { owner: owner(component), samples };
    Batch {
        time,
        since: None,
        parts: vec![part("web", web), part("cart", cart), part("payment", payment)],
    }
}

/// Some minutes of it.
fn filled(minutes: i64) -> (Store, tempfile::TempDir) {
    let (store, directory) = store(Retention::default());
    for tick in 0..minutes * 60 / INTERVAL {
        let time = BEGIN + tick * INTERVAL;
        store.ingest(&shop(time), time).expect("stores");
    }
    (store, directory)
}

fn place(component: &str) -> Place {
    Place {
        namespace: "default".into(),
        project: "shop".into(),
        component: component.into(),
        environment: "development".into(),
    }
}

fn window(component: &str, minutes: i64, step: i64) -> Window {
    Window { place: place(component), between: (BEGIN, BEGIN + minutes * 60 - 1), step }
}

#[test]
fn a_moment_that_comes_twice_is_stored_once_and_one_from_long_ago_never() {
    let (store, _directory) = store(Retention::default());
    let batch = shop(BEGIN);
    let count: usize = batch.parts.iter().map(|part| part.samples.len()).sum();
    assert_eq!(store.ingest(&batch, BEGIN).expect("stores"), count);
    assert_eq!(store.ingest(&batch, BEGIN + 60).expect("stores"), 0);
    // The rest of a moment that came in two posts.
    let mut rest = batch.clone();
    rest.parts.truncate(1);
    rest.parts[0].samples.push(sample("app:late", &[], Value::Gauge(1.0)));
    assert_eq!(store.ingest(&rest, BEGIN + 60).expect("stores"), 1);
    // What is kept in finer rows no more, and what has not been yet.
    for clock in [BEGIN + 2 * 3600, BEGIN - 3600] {
        assert_eq!(store.ingest(&shop(BEGIN + 5), clock).expect("stores"), 0);
    }
    // The same from a store that remembers nothing.
    store.known.forget();
    assert_eq!(store.ingest(&batch, BEGIN).expect("stores"), 0);
}

#[test]
fn sums_and_means_stay_what_they_are_when_rows_get_coarser() {
    let (store, _directory) = filled(40);
    let ask = |step: i64| {
        let resources = store.resources(&window("cart", 40, step)).expect("asks");
        let http = store.requests(&window("cart", 40, step), &Calls::default()).expect("asks");
        let sum = |points: &super::resources::Points| points.iter().flatten().sum::<f64>().round();
        let steps = http.steps.iter().flatten();
        let counts: u64 = steps.map(|step| step.all.count).sum();
        let cpu = resources.0[0].iter().flatten().fold(0.0f64, |all, value| all.max(*value));
        ((cpu * 1e6).round(), sum(&resources.0[6]), counts)
    };
    let fine = ask(60);
    // Two pods, each with so many bytes a moment.
    assert_eq!(fine, (40_000.0, 2.0 * 1000.0 * 480.0, 10 * 480));
    let second = |seconds: i64| (BEGIN + seconds) * 1_000_000_000;
    // By now the first half hour is a row a minute,
    store.prune(second(2 * 3600 + 30 * 60)).expect("prunes");
    assert_eq!(ask(60), fine);
    // and the next day one a quarter of an hour.
    store.prune(second(27 * 3600)).expect("prunes");
    assert_eq!(ask(900), fine);
    let rows = |grain: i64| {
        store.database.read(|connection| {
            let sql = "SELECT COUNT(*), SUM(ticks) FROM moment WHERE grain = ?1";
            let row = connection.query_row(sql, [grain], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?.unwrap_or(0)))
            })?;
            Ok(row)
        })
    };
    assert_eq!(rows(0).expect("counts"), (0, 0));
    assert_eq!(rows(2).expect("counts"), (3 * 3, 3 * 480));
    // In the end nothing is left, names neither.
    store.prune(second(9 * 24 * 3600)).expect("prunes");
    assert_eq!(rows(2).expect("counts"), (0, 0));
    let names = store.database.read(|connection| {
        let sql = "SELECT (SELECT COUNT(*) FROM series) + (SELECT COUNT(*) FROM owner)";
        Ok(connection.query_row(sql, [], |row| row.get::<_, i64>(0))?)
    });
    assert_eq!(names.expect("counts"), 0);
}

#[test]
fn a_database_that_grows_too_large_loses_its_oldest_rows() {
    let bytes = 256 << 10;
    let (store, _directory) = store(Retention { bytes, ..Retention::default() });
    for tick in 0..3600 {
        let time = BEGIN + tick * INTERVAL;
        store.ingest(&shop(time), time).expect("stores");
    }
    let used = store.database.read(crate::database::used).expect("asks");
    assert!(used <= bytes + bytes / 8, "{used}");
    let last = BEGIN + 3599 * INTERVAL;
    let newest = Window { place: place(""), between: (last, last), step: INTERVAL };
    assert!(store.resources(&newest).expect("asks").0[0][0].is_some());
    let oldest = Window { place: place(""), between: (BEGIN, BEGIN + 60), step: INTERVAL };
    assert!(store.resources(&oldest).expect("asks").0[0].is_empty());
}

#[test]
fn answers_count_what_the_component_got_wrong_and_not_its_callers() {
    let (store, _directory) = filled(2);
    let within = |component: &str, between: (i64, i64)| {
        let window = Window { place: place(component), between, step: 120 };
        Answers::of(&store.requests(&window, &Calls::default()).expect("asks"))
    };
    let of = |component: &str| within(component, (BEGIN, BEGIN + 119));
    let payment = of("payment").expect("was asked");
    assert!((payment.failed - 60.0).abs() < 1e-9, "{payment:?}");
    assert!(payment.p99.is_some_and(|p99| p99 > 1.0), "{payment:?}");
    assert_eq!(of("cart").expect("was asked").failed, 0.0, "its 404s are its callers' business");
    assert_eq!(of("mail"), None);
    assert_eq!(within("cart", (BEGIN - 60, BEGIN - 1)), None);
}

#[test]
fn usage_of_limits_is_of_all_pods_together_and_of_now() {
    let (store, _directory) = filled(10);
    let now = BEGIN + 10 * 60;
    let usage = |component: &str, now: i64| {
        store.usage_of_limits(&place(component), Duration::from_secs(300), now).expect("asks")
    };
    let cart = usage("cart", now).expect("measured");
    assert_eq!(cart.cpu.map(f64::round), Some(4.0));
    assert_eq!(cart.memory.map(|percent| (percent * 10.0).round()), Some(234.0));
    assert_eq!(usage("cart", now + 120), None, "that was long ago");
    assert_eq!(usage("nobody", now), None);
    // Without limits there is nothing to have a part of.
    let samples = vec![sample(CPU, &[(POD, "free-1")], Value::Gauge(1e9))];
    let batch =
        Batch { time: now, since: None, parts: vec![Part { owner: owner("free"), samples }] };
    store.ingest(&batch, now).expect("stores");
    assert_eq!(usage("free", now), Some(super::Usage::default()));
}

#[test]
fn a_component_made_anew_does_not_have_the_former_ones_past() {
    let (store, _directory) = filled(1);
    let samples = vec![sample(MEMORY, &[(POD, "cart-9")], Value::Gauge(MIB))];
    let anew = Owner { component_uid: "new".into(), ..owner("cart") };
    let time = BEGIN + 60;
    store
        .ingest(&Batch { time, since: None, parts: vec![Part { owner: anew, samples }] }, time)
        .expect("stores");
    let found = store.resources(&window("cart", 2, 60)).expect("asks");
    assert!(found.0[0].is_empty(), "{found:?}");
    assert_eq!(found.0[3], [None, Some(MIB)]);
}

#[test]
fn what_rest_answers() {
    let (store, _directory) = filled(2);
    let two = window("cart", 2, 60);
    assert_json_snapshot!(
        "rest_resources",
        answer::resources(&store.resources(&two).expect("asks"), &two)
    );
    assert_json_snapshot!(
        "rest_http",
        answer::http(&store.requests(&two, &Calls::default()).expect("asks"), &two)
    );
    let shop = window("", 2, 60);
    let topology = store.topology(&shop, &Calls::default()).expect("asks");
    let now = Timestamp::from_second(BEGIN).expect("a time");
    assert_json_snapshot!("rest_topology", drawn::answer(&topology, &shop, (true, true), now));
    let bare = drawn::answer(&topology, &shop, (false, false), now);
    assert_eq!(bare["edges"].as_array().map(Vec::len), Some(2), "{bare}");
    let day = Window { step: 60, ..window("payment", 2, 60) };
    let costs = store.costs(&day, Prices::default()).expect("asks");
    assert_json_snapshot!("rest_costs", bills::costs(&costs));
    let found = store.recommendations(&day).expect("asks");
    assert_json_snapshot!(
        "rest_recommendations",
        bills::recommendations(&found, Prices::default())
    );
}

#[test]
fn what_an_agent_is_told() {
    let (store, _directory) = filled(15);
    let quarter = window("cart", 15, 15);
    let resources = store.resources(&quarter).expect("asks");
    assert_json_snapshot!(
        "told_resources",
        answer::compact_resources(&resources, &quarter, (false, false))
    );
    let http = store.requests(&quarter, &Calls::default()).expect("asks");
    assert_json_snapshot!("told_http", answer::compact_http(&http, &quarter, (false, false)));
    let stepped = window("cart", 15, 300);
    let http = store.requests(&stepped, &Calls::default()).expect("asks");
    assert_json_snapshot!("told_http_stepped", answer::compact_http(&http, &stepped, (true, true)));
    let all = window("", 15, 15);
    let topology = store.topology(&all, &Calls::default()).expect("asks");
    assert_json_snapshot!("told_topology", drawn::compact(&topology, &all.place, TYPICAL));
    let costs = store.costs(&Window { step: 900, ..all.clone() }, Prices::default()).expect("asks");
    assert_json_snapshot!("told_costs", bills::compact_costs(&costs, false, TYPICAL));
    let found = store.recommendations(&all).expect("asks");
    assert_json_snapshot!(
        "told_recommendations",
        bills::compact_recommendations(&found, Prices::default(), TYPICAL)
    );
    let scraped = store.scraped(&all, "").expect("asks");
    assert_json_snapshot!("told_application", application::compact(&scraped, TYPICAL));
}

#[test]
fn failures_that_are_over_are_told_as_such() {
    let ticks = 4 * 60 / INTERVAL;
    // In the second half, what matches is not there.
    let half = |gone: fn(&Sample) -> bool| {
        let (store, directory) = store(Retention::default());
        for tick in 0..ticks {
            let mut batch = shop(BEGIN + tick * INTERVAL);
            if tick >= ticks / 2 {
                batch.parts.iter_mut().for_each(|part| part.samples.retain(|one| !gone(one)));
            }
            store.ingest(&batch, batch.time).expect("stores");
        }
        (store, directory)
    };
    let told = |store: &Store, minutes: i64| {
        let found = store.topology(&window("", minutes, 60), &Calls::default()).expect("asks");
        drawn::compact(&found, &place(""), TYPICAL)["unhealthy"]["payment"].to_string()
    };
    let (store, _directory) =
        half(|sample| sample.labels.get(STATUS).is_some_and(|status| status == "503"));
    let end = Timestamp::from_second(BEGIN + ticks / 2 * INTERVAL).expect("a time");
    let all = told(&store, 4);
    assert!(all.contains(&format!("none since {end}, it seems over")), "{all}");
    let first = told(&store, 2);
    assert!(first.contains("starts here") && !first.contains("over"), "{first}");
    // Whom nobody asks any more has not recovered.
    let (store, _directory) = half(|sample| sample.name == HTTP_IN);
    let silent = told(&store, 4);
    assert!(silent.contains("starts here") && !silent.contains("over"), "{silent}");
}

#[test]
fn a_topology_of_many_components_is_told_in_few_words() {
    let (store, _directory) = store(Retention::default());
    let peer = |n: usize| format!("component-with-a-long-name-{n}");
    let part = |n: usize| {
        let samples = (0..4).map(|m| {
            let name = peer((n + m) % 60);
            let pairs = [
                (PEER, "component"),
                (PEER_NAME, name.as_str()),
                (PEER_PROJECT, "shop"),
                (PEER_NAMESPACE, "default"),
                (PEER_ENVIRONMENT, "development"),
                (STATUS, "500"),
                (PROTOCOL, "http1"),
            ];
            sample(HTTP_IN, &pairs, requests(1, 1))
        });
        Part { owner: owner(&peer(n)), samples: samples.collect() }
    };
    let batch = Batch { time: BEGIN, since: None, parts: (0..60).map(part).collect() };
    store.ingest(&batch, BEGIN).expect("stores");
    let found = store.topology(&window("", 1, 60), &Calls::default()).expect("asks");
    let told = drawn::compact(&found, &place(""), TYPICAL);
    let bytes = told.to_string().len();
    assert!(bytes < 4 * TYPICAL, "{bytes}");
    assert!(told["hint"].as_str().is_some_and(|hint| hint.contains("of 240 calls")), "{told}");
    let one = store.topology(&window(&peer(3), 1, 60), &Calls::default()).expect("asks");
    assert_eq!((one.states.len(), one.edges.len()), (1, 8 - 1), "{:?}", json!(one.edges.len()));
}
