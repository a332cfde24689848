//! The command line: one file per verb, and the only room that prints, exits, or reads the environment.
//!
//! Invariants: results go to stdout and everything else to stderr; every failure says what was
//! tried, what happened and what to do next, and ends with a code of the table in `exit`;
//! the processes of the embedded cluster are dispatched before a thread or runtime exists.
//!
//! Entry point: [`main`].

mod args;
mod context;
mod environment;
pub mod exit;
mod failure;
mod node;
mod output;
mod progress;
mod roles;
mod verbs;

use std::process::ExitCode;

use clap::Parser;

use crate::{args::Cli, exit::Exit, failure::Failure};

/// Runs the command of this process and returns the code it ends with.
pub fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some(code) = node::dispatch(&args) {
        return code;
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
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::error_line(&failure.to_string());
            failure.exit.into()
        }
    }
}

fn run(cli: Cli) -> Result<Exit, Failure> {
    let runtime = curtain_role::runtime()?;
    match cli.verb {
        args::Verb::Role(role) => {
            environment::log_as_role();
            runtime.block_on(roles::run(role)).map(|()| Exit::Ok)
        }
        args::Verb::User(verb) => {
            environment::log_as_command();
            let context = context::Context::new(&cli.common)?;
            let exit = runtime.block_on(interruptible(verb, &context));
            // A blocking task that was given up on must not keep the process alive.
            runtime.shutdown_timeout(std::time::Duration::from_millis(200));
            exit.map_err(|failure| failure.about(context.home.name()))
        }
    }
}

/// Runs a command until it ends or somebody presses ctrl-c (or sends SIGTERM).
async fn interruptible(verb: verbs::Verb, context: &context::Context) -> Result<Exit, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (serves, onwards) = (verb.serves(), verb.onwards());
    tokio::select! {
        outcome = verbs::run(verb, context) => return outcome,
        _ = interrupt.recv() => {}
        // This is how a client ends the server that it started.
        _ = terminate.recv() => if serves { return Ok(Exit::Ok) },
    }
    let interrupted = Failure::new(Exit::Interrupted, "interrupted");
    Err(match onwards {
        Some(how) => context.recorded(interrupted, &how),
        None => interrupted,
    })
}
