//! Measures an API server through its front door: TLS, HTTP/2, kube-rs.
//!
//! `bench_api` starts a server of its own in a temporary directory; `bench_api KUBECONFIG` measures whatever that
//! file points at, for comparison. One JSON line per measurement: `{"bench","metric","value","unit"}`.
#![allow(clippy::print_stdout, reason = "an example is a program")]

mod common;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const NAMESPACE: &str = "bench";
const LISTED: usize = 10_000;
const WRITERS: usize = 16;

fn report(metric: &str, value: f64, unit: &str) {
    println!(
        "{}",
        json!({"bench": "api", "metric": metric, "value": (value * 1000.0).round() / 1000.0, "unit": unit})
    );
}

fn object(name: &str) -> ConfigMap {
    let body: Value = json!({"metadata": {"name": name, "labels": {"bench": "api"}}, "data": {"text": "x".repeat(900)}});
    serde_json::from_value(body).unwrap_or_default()
}

fn quantile(times: &mut [Duration], q: f64) -> f64 {
    times.sort();
    times[((times.len() - 1) as f64 * q) as usize].as_secs_f64() * 1e3
}

async fn client(kubeconfig: &std::path::Path) -> Outcome<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let mut config =
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.read_timeout = None;
    Ok(Client::try_from(config)?)
}

/// Creates objects from `writers` connections for some time; returns how many.
async fn creates(
    kubeconfig: &std::path::Path,
    writers: usize,
    time: Duration,
    prefix: &str,
) -> Outcome<usize> {
    let end = Instant::now() + time;
    let made = Arc::new(AtomicUsize::new(0));
    let work = (0..writers).map(|writer| {
        let (made, prefix) = (made.clone(), prefix.to_owned());
        async move {
            let maps: Api<ConfigMap> = Api::namespaced(client(kubeconfig).await?, NAMESPACE);
            for n in 0.. {
                if Instant::now() > end {
                    break;
                }
                maps.create(&PostParams::default(), &object(&format!("{prefix}-{writer}-{n}")))
                    .await?;
                made.fetch_add(1, Ordering::Relaxed);
            }
            Outcome::Ok(())
        }
    });
    try_join_all(work).await?;
    Ok(made.load(Ordering::Relaxed))
}

async fn fan_out(kubeconfig: &std::path::Path, watchers: usize, events: usize) -> Outcome<f64> {
    let maps: Api<ConfigMap> = Api::namespaced(client(kubeconfig).await?, NAMESPACE);
    let rv = maps
        .list(&ListParams::default().limit(1))
        .await?
        .metadata
        .resource_version
        .unwrap_or_default();
    let (ready, mut readies) = tokio::sync::mpsc::channel::<()>(watchers);
    let work: Vec<_> = (0..watchers)
        .map(|_| {
            let (kubeconfig, rv, ready) = (kubeconfig.to_owned(), rv.clone(), ready.clone());
            tokio::spawn(async move {
                let maps: Api<ConfigMap> = Api::namespaced(client(&kubeconfig).await?, NAMESPACE);
                let selected = WatchParams::default().labels("fan=out");
                let mut watch = maps.watch(&selected, &rv).await?.boxed();
                let _ = ready.send(()).await;
                for _ in 0..events {
                    watch.try_next().await?;
                }
                Outcome::Ok(())
            })
        })
        .collect();
    for _ in 0..watchers {
        readies.recv().await;
    }
    let begin = Instant::now();
    let create = |n: usize| {
        let maps = maps.clone();
        async move {
            let mut object = object(&format!("fan-{n}"));
            object.metadata.labels = Some([("fan".to_owned(), "out".to_owned())].into());
            maps.create(&PostParams::default(), &object).await
        }
    };
    futures::stream::iter((0..events).map(create))
        .buffer_unordered(8)
        .try_collect::<Vec<_>>()
        .await?;
    for watcher in work {
        watcher.await??;
    }
    Ok((watchers * events) as f64 / begin.elapsed().as_secs_f64())
}

async fn measure(kubeconfig: &std::path::Path) -> Outcome<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client(kubeconfig).await?, NAMESPACE);
    let namespaces: Api<Namespace> = Api::all(maps.clone().into_client());
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}}))?;
    namespaces.create(&PostParams::default(), &namespace).await?;

    for writers in [1, WRITERS, 64] {
        let time = Duration::from_secs(2);
        let made = creates(kubeconfig, writers, time, &format!("w{writers}")).await?;
        report(&format!("creates_{writers}_writers"), made as f64 / time.as_secs_f64(), "1/s");
    }
    let mut times = Vec::new();
    for _ in 0..1000 {
        let begin = Instant::now();
        maps.get("w1-0-0").await?;
        times.push(begin.elapsed());
    }
    report("get_p50", quantile(&mut times, 0.5), "ms");
    report("get_p99", quantile(&mut times, 0.99), "ms");
    for (metric, patch) in [
        ("patch", |n: usize| Patch::Merge(json!({"data": {"n": n.to_string()}}))),
        ("apply", |n: usize| {
            Patch::Apply(
                json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"applied": n.to_string()}}),
            )
        }),
    ] as [(_, fn(usize) -> Patch<Value>); 2]
    {
        let mut times = Vec::new();
        for n in 0..300 {
            let begin = Instant::now();
            maps.patch("w1-0-0", &PatchParams::apply("bench"), &patch(n)).await?;
            times.push(begin.elapsed());
        }
        report(&format!("{metric}_p50"), quantile(&mut times, 0.5), "ms");
    }
    maps.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
    let fill = (0..LISTED).map(|n| {
        let maps = maps.clone();
        async move { maps.create(&PostParams::default(), &object(&format!("l-{n}"))).await }
    });
    futures::stream::iter(fill).buffer_unordered(64).try_collect::<Vec<_>>().await?;
    let mut times = Vec::new();
    for _ in 0..10 {
        let request = http::Request::get(format!("/api/v1/namespaces/{NAMESPACE}/configmaps"))
            .body(Vec::new())?;
        let begin = Instant::now();
        maps.clone().into_client().request_text(request).await?;
        times.push(begin.elapsed());
    }
    report("list_10k_p50", quantile(&mut times, 0.5), "ms");
    report("fan_out_100_watchers", fan_out(kubeconfig, 100, 1000).await?, "events/s");
    Ok(())
}

fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("Pss:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or_default()
        / 1024.0
}

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let Some(kubeconfig) = std::env::args_os().nth(1) {
        return runtime.block_on(measure(kubeconfig.as_ref()));
    }
    let home = std::env::temp_dir().join(format!("bench-api-{}", std::process::id()));
    let begin = Instant::now();
    let served = common::Served::start(&home)?;
    report("start_empty", begin.elapsed().as_secs_f64() * 1e3, "ms");
    report("pss_idle", resident_mb(), "MB");
    let outcome = runtime.block_on(measure(&served.kubeconfig));
    report("pss_10k_objects_and_client", resident_mb(), "MB");
    served.stop();
    let begin = Instant::now();
    let served = common::Served::start(&home)?;
    report("start_10k_objects", begin.elapsed().as_secs_f64() * 1e3, "ms");
    served.stop();
    std::fs::remove_dir_all(&home)?;
    outcome
}
