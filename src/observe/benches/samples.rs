//! What samples cost: stored, kept and asked for. Prints; judges nothing.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::collections::BTreeMap;
use std::time::Instant;

use curtain_observe::database::Retention;
use curtain_observe::metrics::wire::{Batch, INTERVAL, Part, Requests, Sample, Value};
use curtain_observe::metrics::{Store, names};
use curtain_observe::{Owner, Place};

const COMPONENTS: usize = 50;
const SERIES: usize = 100;
const TICKS: i64 = 1440;

fn batch(time: i64) -> Batch {
    let part = |component: usize| {
        let samples = (0..SERIES).map(|series| {
            let pod = format!("component-{component}-6f9c4d5b6-x{series}");
            let seed = (time / INTERVAL) as usize * 31 + component * 7 + series;
            let (name, value) = match series % 10 {
                0..6 => (names::MEMORY, Value::Gauge(((40 << 20) + seed % 97 * 4096) as f64)),
                6..8 => (names::CPU, Value::Gauge((seed * 7919 % 50_000_000) as f64)),
                8 => (names::SENT, Value::Increase((seed % 1000) as f64)),
                _ => {
                    let buckets = BTreeMap::from([(3, seed as u64 % 20), (5, 2)]);
                    let count = seed as u64 % 20 + 2;
                    let micros = count * 4321;
                    (names::HTTP_IN, Value::Requests(Requests { count, micros, buckets }))
                }
            };
            Sample { name: name.into(), labels: BTreeMap::from([(names::POD.into(), pod)]), value }
        });
        let owner = Owner {
            namespace: "default".into(),
            project: "shop".into(),
            component: format!("component-{component}"),
            environment: "development".into(),
            ..Owner::default()
        };
        Part { owner, samples: samples.collect() }
    };
    Batch { time, since: None, parts: (0..COMPONENTS).map(part).collect() }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("metrics.db");
    let store = Store::open(&path, Retention { bytes: 1 << 40, ..Retention::default() })?;
    let begin = 1_767_225_600;
    let samples = COMPONENTS * SERIES * TICKS as usize;
    let mut storing = 0.0;
    for tick in 0..TICKS {
        let time = begin + tick * INTERVAL;
        let batch = batch(time);
        let started = Instant::now();
        store.ingest(&batch, time)?;
        storing += started.elapsed().as_secs_f64();
    }
    let end = begin + TICKS * INTERVAL;
    let million = samples as f64 / 1e6;
    let size =
        || -> Result<f64, std::io::Error> { Ok(std::fs::metadata(&path)?.len() as f64 / 1e6) };
    println!("{million:.1} million samples of {} series", COMPONENTS * SERIES);
    println!("stored: {:.0} samples/s", samples as f64 / storing);
    println!("size: {:.2} MB, {:.2} MB a million", size()?, size()? / million);
    for (what, component) in [("one component", "component-7"), ("all components", "")] {
        let place = Place {
            namespace: "default".into(),
            project: "shop".into(),
            component: component.into(),
            environment: "development".into(),
        };
        let started = Instant::now();
        let found = store.usage_of_limits(&place, std::time::Duration::from_secs(7200), end)?;
        println!(
            "asked of two hours of {what}: {:.1} ms ({found:?})",
            started.elapsed().as_secs_f64() * 1e3
        );
    }
    let started = Instant::now();
    store.prune((end + 2 * 3600) * 1_000_000_000)?;
    println!("a row a minute: {:.2} s, then {:.2} MB", started.elapsed().as_secs_f64(), size()?);
    Ok(())
}
