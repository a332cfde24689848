//! The command line: one file per verb, and the only room that prints, exits, or reads the environment.
//!
//! Invariants: results go to stdout and everything else to stderr; every failure says what was
//! tried, what happened and what to do next, and ends with a code of the table in `exit`;
//! the processes of the embedded cluster are dispatched before a thread or runtime exists. What containers run is there
//! on Linux only: elsewhere this is a client.
//!
//! Entry point: [`main`].

mod args;
mod context;
mod environment;
pub mod exit;
mod failure;
mod fit;
#[cfg(target_os = "linux")]
mod node;
mod output;
mod progress;
mod reaping;
#[cfg(target_os = "linux")]
mod roles;
mod verbs;

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use curtain_machine::{
    process,
    signals::{Ask, Asks},
};

use crate::{args::Cli, exit::Exit, failure::Failure, verbs::End};

/// Runs the command of this process and returns the code it ends with.
pub fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    {
        let args: Vec<_> = std::env::args_os().skip(1).collect();
        if let Some(code) = node::dispatch(&args) {
            return code;
        }
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are answers, not errors; clap knows which goes where.
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() };
        }
    };
    match run(cli) {
        Ok(code) => code,
        Err(failure) => {
            output::error_line(&failure.to_string());
            failure.exit.into()
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let runtime = curtain_role::runtime()?;
    match cli.verb {
        #[cfg(target_os = "linux")]
        args::Verb::Role(role) => {
            environment::log_as_role();
            runtime.block_on(roles::run(role)).map(|()| Exit::Ok.into())
        }
        args::Verb::User(verb) => {
            environment::log_as_command();
            let context = context::Context::new(&cli.common, verb.unnamed())?;
            let end = runtime.block_on(command(verb, &context));
            let goes_on = matches!(end, Ok(End::In(_))) && !process::REPLACES;
            runtime.shutdown_timeout(if goes_on { BESIDE } else { GIVEN_UP });
            let about = |failure: Failure| failure.about(context.home.name());
            match end.map_err(about)? {
                End::Code(code) => Ok(code),
                End::In(args) => process::become_again(&args).map_err(|error| {
                    let what = format!("cannot take the instance down: {error}");
                    about(Failure::new(Exit::Failed, what).next("`curtain down` does it"))
                }),
            }
        }
    }
}

/// A blocking task that was given up on must not keep the process alive.
const GIVEN_UP: Duration = Duration::from_millis(200);
/// Where this process lives on beside the one that takes its place, such a task would undo that one's work.
const BESIDE: Duration = Duration::from_secs(30);

/// Runs a command, after what nobody wants any more was removed.
async fn command(verb: verbs::Verb, context: &context::Context) -> Result<End, Failure> {
    let (serves, onwards) = (verb.serves(), verb.onwards());
    interruptible(false, None, context, reaping::reap(&verb, context)).await?;
    if verb.sees_to_signals() {
        return verbs::to_the_end(verb, context).await;
    }
    let exit = interruptible(serves, onwards, context, verbs::run(verb, context)).await?;
    Ok(End::Code(exit.into()))
}

/// Runs a command until it ends or somebody presses ctrl-c (or sends SIGTERM).
async fn interruptible(
    serves: bool,
    onwards: Option<String>,
    context: &context::Context,
    command: impl Future<Output = Result<Exit, Failure>>,
) -> Result<Exit, Failure> {
    let mut asks = Asks::new()?;
    tokio::select! {
        outcome = command => return outcome,
        ask = asks.next() => {
            // This is how a client ends the server that it started.
            if ask == Ask::Terminate && serves {
                return Ok(Exit::Ok);
            }
        }
    }
    let interrupted = Failure::new(Exit::Interrupted, "interrupted");
    Err(match onwards {
        Some(how) => context.recorded(interrupted, &how),
        None => interrupted,
    })
}
