//! Lines into the store and queries out of it, one line per measurement: name, value, unit. Prints; judges nothing.
//!
//! `--lines N` says how many lines; without, half a million.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::Instant;

use curtain_observe::database::Retention;
use curtain_observe::logs::{Query, Store};
use curtain_observe::wire::{Batch, Line, Part, Position, Source};
use curtain_observe::{Level, Owner, Page, Place};

const COMPONENTS: u64 = 30;
/// Lines that a post of the collector has.
const BATCH: u64 = 1000;
/// Times that a query is asked, each time of another component.
const ASKED: u64 = COMPONENTS;
const SECOND: i64 = 1_000_000_000;
const BASE: i64 = 1_767_225_600 * SECOND;
/// All lines are of a week.
const SPAN: i64 = 7 * 24 * 3600 * SECOND;

fn source(component: u64) -> Source {
    Source {
        pod_uid: format!("pod-{component}"),
        pod: format!("component-{component}-7f9c4d5b6-x2x"),
        pod_namespace: "dp-default-shop-development".into(),
        container: "main".into(),
        owner: Owner {
            namespace: "default".into(),
            project: "shop".into(),
            component: format!("component-{component}"),
            environment: "development".into(),
            component_uid: format!("uid-{component}"),
            ..Owner::default()
        },
    }
}

/// What programs write: numbers that differ, words that come again, and one line in fifty is about a time-out.
fn text(number: u64) -> String {
    let random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
    let level = match random % 100 {
        0 => "ERROR",
        1..=4 => "WARN",
        5..=14 => "DEBUG",
        _ => "INFO",
    };
    let words = [
        "request answered",
        "order placed",
        "cache refreshed for the items of",
        "connection to the database opened by",
        "message taken from the queue by",
    ][(random >> 8) as usize % 5];
    let what =
        if (random >> 16).is_multiple_of(50) { "upstream timed out after 2s:" } else { words };
    format!(
        "level={level} {what} worker-{} order={} trace={random:016x} took={}ms",
        random % 17,
        number % 100_000,
        (random >> 40) % 900
    )
}

fn batch(first: u64, lines: u64) -> Batch {
    let step = SPAN / i64::try_from(lines).unwrap();
    let parts = (0..COMPONENTS).map(|component| {
        let mine =
            (first..(first + BATCH).min(lines)).filter(|line| line % COMPONENTS == component);
        let line = |number: u64| {
            let time = BASE + step * i64::try_from(number).unwrap();
            Line(Position { time, ordinal: 0 }, text(number))
        };
        Part { source: source(component), lines: mine.map(line).collect() }
    });
    Batch { parts: parts.collect() }
}

/// Warnings and errors about a time-out in so many hours, of a component or of the whole project.
fn query(number: u64, hours: i64, one: bool) -> Query {
    let (name, project) = (format!("component-{}", number % COMPONENTS), "shop".to_owned());
    let room = SPAN / (3600 * SECOND) - hours;
    let start = BASE + i64::try_from(number * 37).unwrap() % room.max(1) * 3600 * SECOND;
    let place = Place {
        namespace: "default".into(),
        project,
        component: if one { name } else { String::new() },
        environment: String::new(),
    };
    let between = (start, start + hours * 3600 * SECOND);
    let page = Page { place, between, limit: 100, newest_first: true };
    Query { page, levels: vec![Level::Error, Level::Warn], phrase: "timed out".into() }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let asked = arguments.iter().position(|argument| argument == "--lines");
    let lines: u64 = asked.map_or(500_000, |at| arguments[at + 1].parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("logs.db");
    let store = Store::open(&path, Retention { bytes: u64::MAX, ..Retention::default() }).unwrap();
    let mut took = 0.0;
    for first in (0..lines).step_by(BATCH as usize) {
        let batch = batch(first, lines);
        let started = Instant::now();
        store.ingest(&batch).unwrap();
        took += started.elapsed().as_secs_f64();
    }
    let bytes = std::fs::metadata(&path).unwrap().len();
    println!("ingested {:.0} lines/s", lines as f64 / took);
    println!("disk_per_million {} MB", bytes / lines);
    for (what, hours, one) in [
        ("component_hour", 1, true),
        ("component_day", 24, true),
        ("component_week", 168, true),
        ("project_day", 24, false),
    ] {
        let mut found = 0;
        let mut times: Vec<f64> = (0..ASKED)
            .map(|number| {
                let query = query(number, hours, one);
                let started = Instant::now();
                found += store.query(&query).unwrap().rows.len();
                started.elapsed().as_secs_f64() * 1000.0
            })
            .collect();
        times.sort_unstable_by(f64::total_cmp);
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        println!("{what}_found {found} lines");
        println!("{what}_p50 {:.1} ms", at(50));
        println!("{what}_p95 {:.1} ms", at(95));
    }
}
