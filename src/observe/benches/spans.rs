//! Spans into the store and lists out of it, one JSON line per measurement.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::Instant;

use curtain_observe::database::Retention;
use curtain_observe::traces::Store;
use curtain_observe::traces::wire::{Batch, Kind, Part, Source, Span, Status};
use curtain_observe::{Owner, Page, Place};
use serde_json::json;
use serde_json::value::RawValue;

const TRACES: u32 = 20_000;
const SPANS: u32 = 10;
/// Spans that a post of the collector has.
const BATCH: u32 = 1000;
const SECOND: i64 = 1_000_000_000;
const BASE: i64 = 1_767_225_600 * SECOND;

fn source(component: u32) -> Source {
    Source {
        owner: Owner {
            namespace: "default".into(),
            project: "shop".into(),
            component: format!("component-{component}"),
            environment: "development".into(),
            component_uid: format!("uid-{component}"),
            ..Owner::default()
        },
        pod: format!("component-{component}-7f9c4d5b6-x2x"),
        pod_namespace: "dp-default-shop-development".into(),
        resource: json!({"service.name": format!("component-{component}"), "telemetry.sdk.name": "opentelemetry"})
            .to_string(),
    }
}

fn span(trace: u32, number: u32) -> Span {
    let attributes = json!({"http.request.method": "GET", "http.route": "/api/items/{id}", "http.response.status_code": 200,
        "url.path": format!("/api/items/{trace}"), "server.address": "cart", "server.port": 8080,
        "user_agent.original": "curl/8.5.0", "network.protocol.version": "1.1"});
    Span {
        trace: format!("{:032x}", u64::from(trace) * 0x9e37_79b9 + 1).parse().unwrap(),
        span: format!("{:016x}", number + 1).parse().unwrap(),
        parent: (number > 0).then(|| format!("{number:016x}").parse().unwrap()),
        name: "GET /api/items/{id}".into(),
        kind: Kind::SERVER,
        start: BASE + i64::from(trace) * SECOND / 100 + i64::from(number) * 1000,
        duration: 5_000_000,
        status: Status(0),
        message: String::new(),
        attributes: RawValue::from_string(attributes.to_string()).ok(),
        events: None,
    }
}

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("traces.db");
    let store = Store::open(&path, Retention { bytes: u64::MAX, ..Retention::default() }).unwrap();
    let all: Vec<(u32, u32)> =
        (0..TRACES).flat_map(|trace| (0..SPANS).map(move |number| (trace, number))).collect();
    let bodies: Vec<Vec<u8>> = all
        .chunks(BATCH as usize)
        .map(|chunk| {
            let parts = (0..SPANS).map(|component| {
                let mine = chunk.iter().filter(|(_, number)| *number == component);
                let spans = mine.map(|(trace, number)| span(*trace, *number)).collect();
                Part { source: source(component), spans }
            });
            serde_json::to_vec(&Batch { parts: parts.collect() }).unwrap()
        })
        .collect();
    // As the observer does it: from the body of a post to what is stored.
    let started = Instant::now();
    let stored: usize = bodies
        .iter()
        .map(|body| store.ingest(&serde_json::from_slice(body).unwrap()).unwrap())
        .sum();
    let took = started.elapsed().as_secs_f64();
    let bytes = std::fs::metadata(&path).unwrap().len();
    println!(
        "{}",
        json!({"what": "ingest", "spans": stored, "per_second": (stored as f64 / took).round(),
        "bytes_per_span": bytes / stored as u64})
    );
    let started = Instant::now();
    let again: usize = bodies
        .iter()
        .map(|body| store.ingest(&serde_json::from_slice(body).unwrap()).unwrap())
        .sum();
    let took = started.elapsed().as_secs_f64();
    println!(
        "{}",
        json!({"what": "ingest again", "stored": again, "per_second": (stored as f64 / took).round()})
    );
    for (component, project) in [("component-3", "shop"), ("", "")] {
        let place = Place {
            namespace: "default".into(),
            project: project.into(),
            component: component.into(),
            environment: String::new(),
        };
        let page =
            Page { place: place.clone(), between: (0, i64::MAX), limit: 100, newest_first: true };
        let started = Instant::now();
        let found = store.list(&page).unwrap();
        let took = started.elapsed().as_micros();
        println!(
            "{}",
            json!({"what": "list", "component": component, "found": found.traces.len(), "micros": took})
        );
        let started = Instant::now();
        let mut calls = 0;
        let complete = store.calls(&place, (0, i64::MAX), |_| calls += 1).unwrap();
        let took = started.elapsed().as_micros();
        println!(
            "{}",
            json!({"what": "calls", "component": component, "found": calls, "complete": complete, "micros": took})
        );
    }
}
