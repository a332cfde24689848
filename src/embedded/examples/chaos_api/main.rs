//! Kills an API server under load, again and again, and checks that no acknowledged write is lost, no read is stale and no
//! watch goes back.
//!
//! `chaos_api [--rounds N] [--seed S]` starts the example `api`, lets clients write and a watcher watch, kills it after a
//! time that the seed says, and starts it anew on the same directory. The order of requests is the machine's, so a seed
//! repeats the lives of a run, not the run. Ends with `N passed, N failed`: the rounds, or what contradicts their history.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example is a program")]

mod check;
mod clients;
mod history;
#[path = "../shared/option.rs"]
mod option;
#[path = "../process/mod.rs"]
mod process;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, PostParams};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use clients::Run;
use history::{History, Outcome as Done, Sight, What};
use process::{Server, connect};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const NAMESPACE: &str = "chaos";
/// Objects that all clients write.
const KEYS: u8 = 6;
const WRITERS: usize = 8;
/// How long a server lives, in milliseconds after it serves.
const LIFE: std::ops::Range<u64> = 20..200;
/// Nothing takes as long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Rounds of load and death, and one more in which the watcher catches up.
async fn chaos(program: &Path, directory: &Path, rounds: u64, seed: u64) -> Outcome<History> {
    let run = Arc::new(Run::new());
    let mut dice = StdRng::seed_from_u64(seed);
    let mut history = History::default();
    let server = Server::start(program, directory)?;
    let namespaces = Api::<Namespace>::all(connect(&server.kubeconfig).await?);
    let namespace: Namespace =
        serde_json::from_value(serde_json::json!({"metadata": {"name": NAMESPACE}}))?;
    namespaces.create(&PostParams::default(), &namespace).await?;
    server.kill()?;
    for _ in 0..rounds {
        let server = Server::start(program, directory)?;
        let mut work = Vec::new();
        for _ in 0..WRITERS {
            let (run, client) = (run.clone(), connect(&server.kubeconfig).await?);
            let dice = StdRng::seed_from_u64(dice.random());
            work.push(tokio::spawn(async move { run.write(client, dice).await }));
        }
        let (runs, client, last) =
            (run.clone(), connect(&server.kubeconfig).await?, last(&history));
        let watch = tokio::spawn(async move {
            let mut sights = Vec::new();
            let outcome = runs.watch(client, last, u64::MAX, &mut sights).await;
            outcome.map(|()| sights)
        });
        tokio::time::sleep(Duration::from_millis(dice.random_range(LIFE))).await;
        server.kill()?;
        let calls = tokio::time::timeout(PATIENCE, try_join_all(work)).await??;
        for calls in calls {
            history.calls.extend(calls?);
        }
        history.sights.extend(tokio::time::timeout(PATIENCE, watch).await???);
    }
    // The watcher has caught up when it sees the last write.
    let server = Server::start(program, directory)?;
    let (client, last) = (connect(&server.kubeconfig).await?, last(&history));
    let end = run.last_write(client.clone(), &mut history.calls).await?;
    let caught_up = run.watch(client.clone(), last, end, &mut history.sights);
    tokio::time::timeout(PATIENCE, caught_up).await??;
    run.list(&Api::namespaced(client, NAMESPACE), &mut history.sights).await?;
    server.kill()?;
    Ok(history)
}

/// The version that the watch goes on from.
fn last(history: &History) -> Option<history::Version> {
    history.sights.last().map(|sight| match sight {
        Sight::Listed { version, .. } | Sight::Event { version, .. } | Sight::Bookmark(version) => {
            *version
        }
    })
}

/// How many writes were acknowledged, and how many had no answer.
fn writes(history: &History) -> (usize, usize) {
    let count = |wanted: fn(Done) -> bool| {
        let written = |what: What| matches!(what, What::Write { outcome, .. } if wanted(outcome));
        history.calls.iter().filter(|call| written(call.what)).count()
    };
    (count(|done| matches!(done, Done::Done(_))), count(|done| done == Done::Unknown))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let (rounds, seed) = (option::number("--rounds", 1000)?, option::number("--seed", 1)?);
    let directory = std::env::temp_dir().join(format!("chaos-api-{}", std::process::id()));
    let history = chaos(&Server::program()?, &directory, rounds, seed).await?;
    let (acknowledged, unanswered) = writes(&history);
    println!(
        "rounds {rounds}, seed {seed}: {acknowledged} writes acknowledged, {unanswered} without an answer, {} requests, \
         {} sights",
        history.calls.len(),
        history.sights.len()
    );
    let wrong = check::check(&history);
    for contradiction in wrong.iter().take(20) {
        println!("FAILED {contradiction}");
    }
    let passed = if wrong.is_empty() { rounds } else { 0 };
    println!("{passed} passed, {} failed", wrong.len());
    if !wrong.is_empty() {
        return Err(
            format!("no store can have this history; it is in {}", directory.display()).into()
        );
    }
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_killed_server_keeps_every_acknowledged_write_and_its_watches_go_on() {
        let program = Server::program().expect("built with the tests");
        let directory = tempfile::tempdir().expect("a directory");
        let history = chaos(&program, directory.path(), 12, 7).await.expect("runs");
        let (acknowledged, unanswered) = writes(&history);
        // How many fit in between two kills is the machine's to say.
        assert!(acknowledged > 12 && unanswered > 0, "{acknowledged} and {unanswered}");
        assert_eq!(check::check(&history), [] as [String; 0]);
    }
}
