//! Measures a node: a pod's way to readiness, a hundred pods at once, what idle pods take.
//!
//! `bench_node` runs a bare cluster of its own, whose image is there already; needs root. One JSON line per measurement:
//! `{"bench","metric","value","unit"}`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example is a program")]

#[path = "../bare/mod.rs"]
mod bare;
#[path = "../bare/instance.rs"]
mod instance;
mod pods;
#[path = "../bare/process.rs"]
mod process;

use std::error::Error;
use std::time::{Duration, Instant};

use serde_json::json;

use instance::Instance;
use pods::{Pods, Stage};
use process::Role;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Pods that come one after the other.
const ONE_BY_ONE: usize = 40;
const AT_ONCE: usize = 100;
/// For what goes on after a pod is ready or gone.
const REST: Duration = Duration::from_secs(5);
/// What the density is told for.
const MACHINE: f64 = (4_u64 << 30) as f64;

fn print(metric: &str, value: f64, unit: &str) {
    let value = (value * 1000.0).round() / 1000.0;
    println!("{}", json!({"bench": "node", "metric": metric, "value": value, "unit": unit}));
}

fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

/// Bytes of memory of all processes with a role.
fn memory(instance: &Instance, role: Role) -> f64 {
    let all = process::all(&instance.config.path());
    all.iter().filter(|one| one.role == role).filter_map(|one| pss(one.pid)).sum::<u64>() as f64
}

/// The memory that a process has, and its part of what it shares.
fn pss(pid: i32) -> Option<u64> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// What the machine could give to programs, in bytes: also the kernel's part of a pod is missing there.
fn available() -> Outcome<f64> {
    let table = std::fs::read_to_string("/proc/meminfo")?;
    let line = table.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).ok_or("no MemAvailable")?;
    Ok(kib.parse::<f64>()? * 1024.0)
}

/// A pod that is gone again; how long it took until it was ready.
async fn one(pods: &mut Pods, name: &str) -> Outcome<Duration> {
    let begin = Instant::now();
    pods.create(name).await?;
    pods.until(Stage::Ready, 1).await?;
    let took = begin.elapsed();
    pods.delete(name).await?;
    pods.until(Stage::Gone, 1).await?;
    Ok(took)
}

/// Pods one after the other, each of them gone before the next.
async fn one_by_one(pods: &mut Pods) -> Outcome<()> {
    let mut took = Vec::new();
    for number in 0..ONE_BY_ONE {
        took.push(one(pods, &format!("single-{number}")).await?);
    }
    took.sort();
    for (quantile, name) in [(0.5, "create_ready_p50"), (0.99, "create_ready_p99")] {
        let at = (took.len() - 1) as f64 * quantile;
        print(name, milliseconds(took[at.round() as usize]), "ms");
    }
    Ok(())
}

/// Many pods at once, what they take while they do nothing, and their end.
async fn at_once(instance: &Instance, pods: &mut Pods) -> Outcome<()> {
    let count = AT_ONCE as f64;
    let names: Vec<String> = (0..AT_ONCE).map(|number| format!("many-{number}")).collect();
    tokio::time::sleep(REST).await;
    let (before, free) = (memory(instance, Role::Node), available()?);
    let begin = Instant::now();
    pods.create_all(&names).await?;
    pods.until(Stage::Ready, AT_ONCE).await?;
    print("ready_100", begin.elapsed().as_secs_f64(), "s");

    tokio::time::sleep(REST).await;
    let node = (memory(instance, Role::Node) - before) / count;
    let [shim, container] =
        [Role::Shim, Role::Container].map(|role| memory(instance, role) / count);
    print("node_per_pod", node / 1e6, "MB");
    print("shim_per_pod", shim / 1e6, "MB");
    print("agent_and_shim_per_pod", (node + shim) / 1e6, "MB");
    print("container_per_pod", container / 1e6, "MB");
    // Whatever else the machine does meanwhile counts, too.
    let machine = (free - available()?) / count;
    print("machine_per_pod", machine / 1e6, "MB");
    print("node_without_pods", before / 1e6, "MB");
    let left = MACHINE - before - memory(instance, Role::Supervisor);
    print("idle_pods_in_4_gib", (left / machine.max(node + shim + container)).floor(), "pods");

    let begin = Instant::now();
    pods.delete_all(&names).await?;
    pods.until(Stage::Gone, AT_ONCE).await?;
    print("delete_100", begin.elapsed().as_secs_f64(), "s");
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let directory = tempfile::tempdir()?;
    let instance = Instance::new("bench", &directory.path().join("cluster"), &[])?;
    instance.start()?;
    let mut pods = Pods::of(instance.client().await?).await?;
    // What the first one of all needs is not the others', neither time nor memory.
    print("first_create_ready", milliseconds(one(&mut pods, "first").await?), "ms");
    at_once(&instance, &mut pods).await?;
    one_by_one(&mut pods).await?;
    match instance.remove()?[..] {
        [] => Ok(()),
        ref left => Err(format!("left behind: {left:?}").into()),
    }
}
