//! Measures an API server through its front door: TLS, HTTP/2, kube-rs.
//!
//! `bench_api` starts the example `api` as a process of its own in a temporary directory. `bench_api --against KUBECONFIG`
//! does the same work on another server too, in turns, so that what else the machine does falls on both alike, and prints
//! how many times as well this one does. What it made there is gone afterwards. One JSON line per measurement:
//! `{"bench","metric","value","unit"}`.
#![allow(clippy::print_stdout, reason = "an example is a program")]

#[path = "../process/mod.rs"]
mod process;
mod sample;
mod step;
mod target;

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use process::Server;
use sample::{Measure, Sample};
use step::Step;
use target::Target;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Every step is done in so many parts, which alternate between the servers.
const PARTS: usize = 4;

/// All steps on all servers: the first one's measurements, and the others' beside them.
async fn measure(targets: &[Target]) -> Outcome<()> {
    for step in Step::ALL {
        for target in targets {
            step.prepare(target).await?;
        }
        let mut samples: Vec<Sample> = vec![Sample::default(); targets.len()];
        for part in 0..PARTS {
            for (target, sample) in targets.iter().zip(&mut samples) {
                sample.add(step.run(target, part).await?);
            }
        }
        let mut measures = samples.iter().map(|sample| sample.measures(&step.name()));
        let ours = measures.next().unwrap_or_default();
        ours.iter().for_each(Measure::print);
        for theirs in measures {
            for (ours, theirs) in ours.iter().zip(theirs) {
                let ratio = ours.ratio(&theirs);
                theirs.named("against").print();
                ratio.print();
            }
        }
    }
    Ok(())
}

/// How long the disk takes to make a small write last, which bounds what a durable store can do.
fn fdatasync(directory: &Path) -> Outcome<Sample> {
    let mut file = std::fs::File::create(directory.join("fdatasync"))?;
    let mut times = Vec::new();
    for _ in 0..200 {
        let begin = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(begin.elapsed());
    }
    Ok(Sample::Times(times))
}

/// Resident memory of a process.
fn resident(pid: u32) -> Outcome<Measure> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = kib.and_then(|rest| rest.split_whitespace().next()).ok_or("no VmRSS")?;
    Ok(Measure::size("resident", kib.parse::<f64>()? * 1024.0 / 1e6))
}

/// Starts the server; how long that took.
fn start(program: &Path, home: &Path) -> Outcome<(Server, Duration)> {
    let begin = Instant::now();
    let server = Server::start(program, home)?;
    Ok((server, begin.elapsed()))
}

fn bench(home: &Path, against: Option<&Path>) -> Outcome<()> {
    let program = Server::program()?;
    std::fs::create_dir_all(home)?;
    fdatasync(home)?.measures("fdatasync").iter().for_each(Measure::print);
    let (server, took) = start(&program, home)?;
    Measure::time("start_empty", took).print();
    let pid = server.child.id();
    resident(pid)?.named("idle").print();

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let kubeconfigs = std::iter::once(server.kubeconfig.as_path()).chain(against);
    let targets: Vec<Target> = kubeconfigs.map(Target::new).collect();
    let outcome = runtime.block_on(measure(&targets));
    // With what the allocator keeps of all that was written and deleted.
    resident(pid)?.named("after_load").print();
    for target in &targets[1..] {
        runtime.block_on(target.remove())?;
    }
    outcome?;
    server.kill()?;
    let (server, took) = start(&program, home)?;
    Measure::time("start_10k_objects", took).print();
    resident(server.child.id())?.named("10k_objects").print();
    server.kill()
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let against = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => None,
        ["--against", kubeconfig] => Some(PathBuf::from(kubeconfig)),
        _ => return Err("usage: bench_api [--against KUBECONFIG]".into()),
    };
    let home = std::env::temp_dir().join(format!("bench-api-{}", std::process::id()));
    let outcome = bench(&home, against.as_deref());
    std::fs::remove_dir_all(&home)?;
    outcome
}
