use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::delivery::{Attempt, Event};
use super::entry::{Alert, Incident};
use super::incident::{self, Change, Unchanged};
use super::judge::{Look, Outcome};
use super::measure::{Measure, Telemetry};
use super::rule::Rule;
use super::testing::{SECOND, START, look, object, open, rule};
use super::{Store, answer, status};
use crate::asked::{Page, Place};
use crate::database::Retention;
use crate::metrics::names::{CPU_REQUEST, HTTP_IN, POD, PROTOCOL, STATUS};
use crate::metrics::wire::{INTERVAL, Requests, Sample};
use crate::owner::Owner;
use crate::wire::{Batch, Line, Part, Position, Source};
use crate::{events, logs, metrics, traces};

fn page() -> Page {
    Page {
        place: Place { namespace: "default".into(), ..Place::default() },
        between: (0, i64::MAX),
        limit: 100,
        newest_first: false,
    }
}

fn alerts(store: &Store) -> Vec<Alert> {
    store.alerts(&page()).expect("finds").rows
}

fn incidents(store: &Store) -> Vec<Incident> {
    store.incidents(&page()).expect("finds").rows
}

/// What is to be told: the channel and the event of each.
fn planned(store: &Store) -> Vec<(String, Event)> {
    let found = store.deliveries(&page()).expect("finds").rows;
    found.into_iter().map(|delivery| (delivery.channel, delivery.event)).collect()
}

#[test]
fn each_operator_compares_with_the_threshold() {
    for (operator, holds) in [
        ("gt", [false, false, true]),
        ("gte", [false, true, true]),
        ("lt", [true, false, false]),
        ("lte", [true, true, false]),
        ("eq", [false, true, false]),
    ] {
        let condition =
            json!({"window": "1m", "interval": "1s", "operator": operator, "threshold": 2});
        let rule = rule(&json!({ "condition": condition }));
        assert_eq!([1.0, 2.0, 3.0].map(|value| rule.holds(value)), holds, "{operator}");
    }
}

#[test]
fn rules_that_make_no_sense_say_why() {
    let condition = |window: &str, interval: &str| json!({"condition": {"window": window, "interval": interval, "operator": "gt", "threshold": 1}});
    for (change, words) in [
        (condition("soon", "1m"), "condition.window is \"soon\""),
        (condition("1m", "500ms"), "between 1s and 168h"),
        (condition("1m", "5m"), "no longer than the window"),
        (condition("1000h", "1m"), "between 1s and 168h"),
    ] {
        let error = Rule::of(&object(&change)).expect_err("wrong");
        assert!(error.contains(words), "{error}");
    }
    let mut bare = object(&json!({}));
    bare.metadata.labels = None;
    let error = Rule::of(&bare).expect_err("wrong");
    assert!(error.contains("openchoreo.dev/namespace"), "{error}");
    assert_eq!(Rule::of(&object(&json!({"enabled": false}))), Ok(None));
}

fn owner(uid: &str) -> Owner {
    Owner {
        namespace: "default".into(),
        component: "cart".into(),
        component_uid: uid.into(),
        environment_uid: "e".into(),
        ..Owner::default()
    }
}

#[test]
fn lines_and_costs_are_counted_in_the_window_and_for_the_component_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let logs = logs::Store::open(&directory.path().join("logs.db"), Retention::default());
    let logs = logs.expect("opens");
    let write = |pod: &str, component: &str, lines: &[(i64, &str)]| {
        let source = Source {
            pod_uid: pod.into(),
            container: "main".into(),
            owner: owner(component),
            ..Source::default()
        };
        let line = |(second, text): &(i64, &str)| {
            Line(Position { time: START + second * SECOND, ordinal: 0 }, (*text).to_owned())
        };
        let lines = lines.iter().map(line).collect();
        logs.ingest(&Batch { parts: vec![Part { source, lines }] }).expect("stores");
    };
    write("1", "c", &[(0, "oh no"), (10, "OH NO!"), (20, "fine"), (31, "oh no, 100% broken")]);
    write("2", "c", &[(12, "well, oh no")]);
    // The component that had the name before.
    write("3", "old", &[(13, "oh no")]);
    let path = |name: &str| directory.path().join(name);
    let samples = metrics::Store::open(&path("metrics.db"), Retention::default()).expect("opens");
    let spans = traces::Store::open(&path("traces.db"), Retention::default()).expect("opens");
    let events = events::Store::open(&path("events.db"), Retention::default()).expect("opens");
    let metrics = metrics::Joined { samples, spans };
    let prices = metrics::Prices { cpu_hour: 1.0, memory_hour: 0.0 };
    let telemetry = Telemetry { logs, metrics, events, prices, answered: Arc::default() };
    let count = |query: &str, second: i64| {
        let rule = rule(&json!({"source": {"type": "log", "query": query}}));
        telemetry.value(&rule.facts, rule.between(START + second * SECOND)).expect("counts")
    };
    // At second 31 the window begins at second 1.
    assert_eq!(count("oh no", 31), Some(3.0));
    assert_eq!(count("oh no", 30), Some(3.0), "the first line is still inside");
    assert_eq!(
        (count("0%", 31), count("%", 30), count("_", 31)),
        (Some(1.0), Some(0.0), Some(0.0))
    );
    assert_eq!((count("", 31), count("oh no", 100)), (Some(4.0), Some(0.0)));
    let unknown = rule(&json!({"source": {"type": "metric", "metric": "disk"}}));
    let error = telemetry.offers(&unknown.facts).expect_err("unknown");
    assert!(error.contains("there are cpu_usage, memory_usage, http_"), "{error}");

    // Two cores for a minute, at a dollar an hour each.
    let budget = json!({"source": {"type": "budget"},
        "condition": {"window": "1h", "interval": "1m", "operator": "gt", "threshold": 1}});
    let budget = rule(&budget);
    telemetry.offers(&budget.facts).expect("offered");
    let spent = |second: i64| {
        telemetry.value(&budget.facts, budget.between(START + second * SECOND)).expect("counts")
    };
    assert_eq!(spent(60), None, "nothing was measured");
    let requested = Sample {
        name: CPU_REQUEST.into(),
        labels: [(POD.to_owned(), "cart-1".to_owned())].into(),
        value: metrics::wire::Value::Gauge(2e9),
    };
    for moment in 0..12 {
        let time = START / SECOND + moment * INTERVAL;
        let owner =
            Owner { environment: "development".into(), project: "shop".into(), ..owner("c") };
        let part = metrics::wire::Part { owner, samples: vec![requested.clone()] };
        let batch = metrics::wire::Batch { time, since: None, parts: vec![part] };
        telemetry.metrics.samples.ingest(&batch, time).expect("stores");
    }
    assert_eq!(spent(60), Some(0.0333));
    assert_eq!(spent(3630), Some(0.0167), "the first half is out of the window");

    // Rules that look at one window count it once, and see the same.
    let asked = |time: i64, status: &str| {
        let labels =
            [(PROTOCOL.to_owned(), "http1".to_owned()), (STATUS.to_owned(), status.to_owned())];
        let requests = Requests { count: 1, micros: 3000, buckets: [(2, 1)].into() };
        let value = metrics::wire::Value::Requests(requests);
        let samples = vec![Sample { name: HTTP_IN.into(), labels: labels.into(), value }];
        let owner =
            Owner { environment: "development".into(), project: "shop".into(), ..owner("c") };
        let batch = metrics::wire::Batch {
            time,
            since: None,
            parts: vec![metrics::wire::Part { owner, samples }],
        };
        telemetry.metrics.samples.ingest(&batch, time).expect("stores");
    };
    let value = |metric: &str, second: i64| {
        let rule = rule(&json!({"source": {"type": "metric", "metric": metric}}));
        telemetry.value(&rule.facts, rule.between(START + second * SECOND)).expect("counts")
    };
    asked(START / SECOND + 100, "500");
    assert_eq!(value("http_error_rate", 110), Some(100.0));
    asked(START / SECOND + 105, "200");
    assert_eq!(value("http_latency_p99", 110).map(f64::round), Some(5.0));
    assert_eq!(value("http_error_rate", 110), Some(100.0), "it was counted already");
    assert_eq!(value("http_error_rate", 111), Some(50.0), "this window was not");
}

#[test]
fn an_alert_begins_once_and_is_over_when_it_was_quiet_for_a_window() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let rule = rule(&json!({}));
    assert_eq!(look(&store, &rule, 0, 2.0), Outcome::Same);
    assert_eq!(look(&store, &rule, 5, 3.0), Outcome::Fired);
    assert_eq!(look(&store, &rule, 10, 9.0), Outcome::Same);
    // Another process with the same file, as after a kill.
    let store = open(directory.path());
    assert_eq!(look(&store, &rule, 15, 9.0), Outcome::Same);
    assert_eq!((alerts(&store).len(), incidents(&store).len()), (1, 1));
    assert_eq!(
        (alerts(&store)[0].value.as_str(), incidents(&store)[0].status.as_str()),
        ("3", "active")
    );
    assert_eq!(planned(&store), [("ops".to_owned(), Event::Trigger), (String::new(), Event::Rca)]);

    // Quiet for less than the window, loud again: it goes on.
    assert_eq!(look(&store, &rule, 20, 0.0), Outcome::Same);
    assert_eq!(look(&store, &rule, 45, 0.0), Outcome::Same);
    assert_eq!(look(&store, &rule, 47, 3.0), Outcome::Same);
    assert_eq!(look(&store, &rule, 50, 0.0), Outcome::Same);
    assert_eq!(look(&store, &rule, 79, 0.0), Outcome::Same);
    assert_eq!(look(&store, &rule, 80, 0.0), Outcome::Resolved);
    assert_eq!(alerts(&store)[0].resolved, Some(START + 80 * SECOND));
    let incident = &incidents(&store)[0];
    assert_eq!(incident.status, "resolved");
    assert!(incident.notes.contains("has not held for 30s"), "{}", incident.notes);
    assert_eq!(planned(&store).last(), Some(&("ops".to_owned(), Event::Resolve)));
    assert_eq!(look(&store, &rule, 85, 0.0), Outcome::Same);
}

#[test]
fn time_in_which_something_may_be_missing_is_not_quiet() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let rule = rule(&json!({}));
    let look = |second: i64, value: Option<f64>, watched: Option<(i64, i64)>| {
        let at = |second: i64| START + second * SECOND;
        let watched = watched.map(|(first, last)| (at(first), at(last)));
        let (now, suppression) = (at(second), Duration::ZERO);
        let look = Look { value, now, watched, suppression, rca: false };
        store.judge(&rule, look).expect("judges")
    };
    assert_eq!(look(0, Some(3.0), None), Outcome::Fired, "what is known is enough to begin");
    let same = |second: i64, watched: Option<(i64, i64)>| {
        assert_eq!(look(second, None, watched), Outcome::Same, "{second}");
    };
    // Nothing is known for far longer than the window of 30 s.
    same(10, None);
    same(90, None);
    // The collector is back, and away for ever after a moment.
    same(95, Some((92, 95)));
    same(400, Some((92, 115)));
    // Back again: what came before does not count, also where no look fell into the gap.
    same(426, Some((425, 425)));
    same(457, Some((440, 455)));
    same(471, Some((440, 465)));
    assert_eq!(look(472, None, Some((440, 470))), Outcome::Resolved);
}

#[test]
fn a_rule_that_fired_waits_unless_it_is_changed() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let rule_of = |threshold: i64| {
        rule(
            &json!({"condition": {"window": "30s", "interval": "5s", "operator": "gt", "threshold": threshold}}),
        )
    };
    assert_eq!(look(&store, &rule_of(2), 0, 3.0), Outcome::Fired);
    // The threshold is raised above the value: over at once, and without waiting for a window.
    assert_eq!(look(&store, &rule_of(5), 1, 3.0), Outcome::Resolved);
    assert!(incidents(&store)[0].notes.contains("the rule was changed"));
    // Lowered: it fires although it fired a moment ago.
    assert_eq!(look(&store, &rule_of(1), 2, 3.0), Outcome::Fired);
    assert_eq!(look(&store, &rule_of(1), 3, 0.0), Outcome::Same);
    assert_eq!(look(&store, &rule_of(1), 33, 0.0), Outcome::Resolved);
    // The same condition has to wait, and is told when it has waited.
    assert_eq!(look(&store, &rule_of(1), 40, 9.0), Outcome::Same);
    assert_eq!(look(&store, &rule_of(1), 303, 9.0), Outcome::Fired);
    assert_eq!(alerts(&store).len(), 3);
}

#[test]
fn nothing_known_is_nothing_wrong_and_a_rule_that_is_gone_takes_its_alert_along() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let rule = rule(&json!({}));
    let unknown = |second: i64| {
        let (now, suppression) = (START + second * SECOND, Duration::ZERO);
        let watched = Some((START, now));
        let look = Look { value: None, now, watched, suppression, rca: false };
        store.judge(&rule, look).expect("judges")
    };
    assert_eq!(unknown(0), Outcome::Same);
    assert_eq!(look(&store, &rule, 1, 3.0), Outcome::Fired);
    assert_eq!((unknown(2), unknown(32)), (Outcome::Same, Outcome::Resolved));
    assert_eq!(look(&store, &rule, 400, 3.0), Outcome::Fired);
    let now = START + 401 * SECOND;
    assert_eq!(store.end(|_| true, "gone", now).expect("ends"), 0);
    let stays = |key: &(String, String)| key.1 != "cart-errors";
    assert_eq!(store.end(stays, "gone", now).expect("ends"), 1);
    assert_eq!(incidents(&store)[1].notes, "gone");
    assert_eq!(incidents(&store)[1].resolved_by.as_deref(), Some(incident::OURSELVES));
}

#[test]
fn incidents_go_forward_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    assert_eq!(look(&store, &rule(&json!({})), 0, 3.0), Outcome::Fired);
    let id = incidents(&store)[0].id.clone();
    let by = |status: &str, notes: Option<&str>, second: i64, actor: &str| {
        let notes = notes.map(str::to_owned);
        let change = Change { status: status.into(), notes, description: None };
        store.update(&id, change, actor, START + second * SECOND).expect("writes")
    };
    let update = |status: &str, notes: Option<&str>, second: i64| by(status, notes, second, "dev");
    let seen = update("acknowledged", Some("looking"), 1).expect("may");
    assert_eq!((seen.acknowledged, seen.notes.as_str()), (Some(START + SECOND), "looking"));
    let seen = by("acknowledged", None, 2, "another").expect("may");
    assert_eq!((seen.acknowledged, seen.notes.as_str()), (Some(START + SECOND), "looking"));
    assert_eq!(
        update("active", None, 3),
        Err(Unchanged::Transition { from: "acknowledged".into() })
    );
    let seen = update("resolved", None, 4).expect("may");
    assert_eq!(
        (seen.resolved, seen.description.as_str()),
        (Some(START + 4 * SECOND), "It fails \"often\"")
    );
    assert!(update("acknowledged", None, 5).is_err());
    assert_eq!(
        update("resolved", Some("done"), 6).expect("may").resolved,
        Some(START + 4 * SECOND)
    );
    let kept = store.incident(&id).expect("reads").expect("is there");
    let actors = (kept.acknowledged_by.as_deref(), kept.resolved_by.as_deref());
    assert_eq!(actors, (Some("dev"), Some("dev")), "who was first");
    let shown = answer::incident(&kept);
    assert_eq!(shown["acknowledgedBy"], "dev");
    assert_eq!(shown["title"], "cart: \"oh no\" in the logs in development");
    assert_eq!(shown["atStart"], "3 times");
    let unknown = store.update("none", Change::default(), "dev", START).expect("looks");
    assert_eq!(unknown, Err(Unchanged::Unknown));
}

#[test]
fn a_delivery_is_tried_again_later_and_ends_as_a_dead_letter() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    assert_eq!(look(&store, &rule(&json!({})), 0, 3.0), Outcome::Fired);
    let mut now = START;
    let mut pauses = Vec::new();
    let dead = loop {
        let (due, next) = store.due(now).expect("reads");
        let Some(errand) = due.into_iter().find(|errand| errand.delivery.channel == "ops") else {
            let next = next.expect("one is left");
            pauses.push((next - now) / SECOND);
            now = next;
            continue;
        };
        assert_eq!(
            errand.incident.as_ref().map(|incident| &incident.alert),
            Some(&errand.alert.id)
        );
        let failed = Attempt::Failed("no answer".into());
        let dead = store.attempted(&errand.delivery, failed, now).expect("writes");
        for other in store.due(now).expect("reads").0 {
            assert_eq!(store.attempted(&other.delivery, Attempt::Done, now).expect("writes"), None);
        }
        if dead.is_some() {
            break dead;
        }
    };
    assert_eq!((dead.as_deref(), pauses), (Some("no answer"), vec![1, 5, 20, 60, 300, 900]));
    let states: Vec<_> = store.deliveries(&page()).expect("finds").rows;
    let states: Vec<_> =
        states.iter().map(|d| (d.state.as_str(), d.attempts, d.error.as_str())).collect();
    assert_eq!(states, [("dead", 7, "no answer"), ("delivered", 1, "")]);
    assert_eq!(store.due(i64::MAX).expect("reads"), (Vec::new(), None));
}

#[test]
fn what_is_old_and_over_is_forgotten_with_all_that_belongs_to_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let rule = rule(&json!({}));
    assert_eq!(look(&store, &rule, 0, 3.0), Outcome::Fired);
    let later = START + 30 * 24 * 3600 * SECOND;
    assert_eq!(store.prune(later).expect("prunes"), 0, "it is not over");
    look(&store, &rule, 1, 0.0);
    assert_eq!(look(&store, &rule, 31, 0.0), Outcome::Resolved);
    assert_eq!(store.prune(START + 60 * SECOND).expect("prunes"), 0, "it is not old");
    assert_eq!(store.prune(later).expect("prunes"), 1);
    assert_eq!((alerts(&store).len(), incidents(&store).len(), planned(&store).len()), (0, 0, 0));
}

#[test]
fn the_status_is_written_when_it_says_something_new() {
    let now = Time(Timestamp::from_second(1_767_225_600).expect("a time"));
    let mut object = object(&json!({}));
    let told = status::of(&object, &Ok(()), now.clone()).expect("news");
    assert_eq!((told.phase.as_deref(), told.observed_generation), (Some("Ready"), Some(1)));
    assert_eq!(told.backend_monitor_id.as_deref(), Some("dp-shop/cart-errors"));
    object.status = Some(told);
    assert_eq!(status::of(&object, &Ok(()), now.clone()), None);
    let told = status::of(&object, &Err("no".into()), now.clone()).expect("news");
    let told: Value = serde_json::to_value(told).expect("JSON");
    assert_eq!(
        (&told["phase"], &told["conditions"][0]["reason"]),
        (&json!("Error"), &json!("SyncFailed"))
    );
    assert_eq!(told["conditions"][0]["message"], "no");
}

#[test]
fn a_database_of_another_version_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path: &Path = &directory.path().join("alerts.db");
    drop(Store::open(path, Retention::default()).expect("opens"));
    let connection = rusqlite::Connection::open(path).expect("opens");
    connection.pragma_update(None, "user_version", 2).expect("writes");
    let error = Store::open(path, Retention::default()).expect_err("newer");
    assert!(error.to_string().contains("run the program that made it"), "{error}");
}
