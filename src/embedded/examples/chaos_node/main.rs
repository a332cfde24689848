//! Kills the processes of a node, again and again, and checks that its workloads come back, with what they kept.
//!
//! `chaos_node [--rounds N] [--seed S]` runs a bare cluster of its own with a few workloads; needs root. In each round it
//! starts a Job, kills what the seed says (the node, shims, containers, the supervisor), and waits until everything runs
//! again: see [`workloads`]. In the end nothing of the cluster is left. Ends with `N passed, N failed`: the rounds, and the
//! end. The moments are the machine's, so a seed repeats what is killed in which order, not the run.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example is a program")]

#[path = "../bare/mod.rs"]
mod bare;
mod door;
#[path = "../bare/instance.rs"]
mod instance;
mod manifests;
#[path = "../shared/option.rs"]
mod option;
#[path = "../bare/process.rs"]
mod process;
mod strikes;
mod workloads;

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use instance::Instance;
use strikes::Strike;
use workloads::{Verdict, Workloads};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Longer than all the waits that a container, a Job or the node itself may owe to what was killed before.
const PATIENCE: Duration = Duration::from_secs(240);
const POLL: Duration = Duration::from_millis(50);

/// Waits until everything runs, and says since when it does.
async fn settle(instance: &Instance, workloads: &mut Workloads) -> Outcome<Duration> {
    let begin = Instant::now();
    loop {
        match workloads.look(instance).await {
            Verdict::Settled => return Ok(begin.elapsed()),
            Verdict::Wrong(what) => return Err(what.into()),
            Verdict::NotYet(what) if begin.elapsed() > PATIENCE => {
                return Err(format!("after {PATIENCE:?}: {what}").into());
            }
            Verdict::NotYet(_) => tokio::time::sleep(POLL).await,
        }
    }
}

/// What a process of the cluster said when it did what it never should.
fn panics(instance: &Instance) -> Outcome<()> {
    for entry in std::fs::read_dir(instance.config.run_dir())?.flatten() {
        let text = std::fs::read(entry.path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        if let Some(line) = text.lines().find(|line| line.contains("panicked at")) {
            return Err(format!("{}: {line}", entry.path().display()).into());
        }
    }
    Ok(())
}

async fn round(
    number: u64,
    dice: &mut StdRng,
    instance: &Instance,
    workloads: &mut Workloads,
) -> Outcome<(Vec<Strike>, Duration)> {
    workloads.start_job(number).await?;
    let strikes = Strike::some(dice);
    for strike in &strikes {
        strike.strike(instance).await.map_err(|error| format!("{strikes:?}: {error}"))?;
    }
    let settled = async {
        let took = settle(instance, workloads).await?;
        panics(instance)?;
        Outcome::Ok(took)
    };
    let took = settled.await.map_err(|error| format!("{strikes:?}: {error}"))?;
    workloads.freshen().await?;
    Ok((strikes, took))
}

/// Rounds until one fails; how many passed, and why the next one did not.
async fn chaos(home: &Path, rounds: u64, seed: u64) -> Outcome<(u64, Option<String>)> {
    let mut dice = StdRng::seed_from_u64(seed);
    let instance = Instance::new("chaos", home, &Workloads::DOORS)?;
    instance.start()?;
    let mut workloads = Workloads::start(&instance).await?;
    settle(&instance, &mut workloads).await?;
    for number in 0..rounds {
        match round(number, &mut dice, &instance, &mut workloads).await {
            Ok((strikes, took)) => {
                println!("ok     round {number}: {strikes:?}, settled after {took:?}");
            }
            Err(why) => return Ok((number, Some(format!("round {number} of seed {seed}: {why}")))),
        }
    }
    match instance.remove()?[..] {
        [] => Ok((rounds + 1, None)),
        ref left => Ok((rounds, Some(format!("left behind: {left:?}")))),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let (rounds, seed) = (option::number("--rounds", 200)?, option::number("--seed", 1)?);
    let directory = tempfile::Builder::new().prefix("chaos-node-").tempdir()?;
    let (passed, failure) = chaos(&directory.path().join("cluster"), rounds, seed).await?;
    let Some(why) = failure else {
        println!("{passed} passed, 0 failed");
        return Ok(());
    };
    println!("FAILED {why}");
    println!("{passed} passed, 1 failed");
    Err(format!("objects and logs are in {}", directory.keep().display()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn workloads_come_back_with_what_they_kept_whatever_is_killed() {
        let directory = tempfile::tempdir().expect("a directory");
        let outcome = chaos(&directory.path().join("cluster"), 4, 7).await.expect("runs");
        assert_eq!(outcome, (5, None));
    }
}
