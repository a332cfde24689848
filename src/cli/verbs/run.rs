//! `curtain run`.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
    process::Command,
    time::Duration,
};

use curtain_appliance::{Before, Facts, Stay, Up, is_own, up};
use curtain_machine::{
    child::{self, Signals},
    files::is_executable,
};
use curtain_provider::Request;

use super::{
    End, down,
    up::{Cluster, options},
};
use crate::{context::Context, environment, exit::Exit, failure::Failure, output, progress};

const EXAMPLES: &str = "\
Examples:
  curtain run -- make test
  curtain run -- sh -c 'kubectl apply -f app.yaml && curtain demo deploy greeter'
  curtain run --name nightly -- ./nightly.sh

The instance is gone when `curtain run` ends, however it ends; should it be killed, the next command removes it. \
Output of the command is all that goes to stdout, and its exit code is passed on (128 and the signal's number where \
one ended it). --timeout is for the instance: the command itself may take as long as it likes.";

/// Examples, and what the command finds in its environment.
pub(crate) fn help() -> String {
    format!("{EXAMPLES}\n\n{}", environment::run_help())
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    cluster: Cluster,
    /// How long the command may go on after it was told to end (by ctrl-c, for example)
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = crate::args::duration)]
    grace: Duration,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Who the command is to the platform.
const WHO: &str = "developer";

pub(crate) async fn run(args: Args, context: &Context) -> Result<End, Failure> {
    let mut signals = Signals::new()?;
    let [program, arguments @ ..] = args.command.as_slice() else {
        return Err(Failure::new(Exit::Usage, "there is no command to run"));
    };
    // Before the machine is touched at all.
    startable(program)?;
    let prepared = tokio::select! {
        prepared = prepare(args.cluster.request(), context) => prepared,
        () = signals.asked() => Err(Failure::new(Exit::Interrupted, "interrupted before the command began")),
    };
    let variables = match prepared {
        Ok(variables) => variables,
        Err(failure) => return undone(failure, context),
    };
    let mut command = Command::new(program);
    command.args(arguments).envs(variables);
    let ended = child::run(command, args.grace, &mut signals).await;
    let code = match ended {
        Ok(code) => Ok(code),
        Err(error) => Err(not_started(program, &error.to_string())),
    };
    let gone = down::gone(context, &mut signals).await;
    match (code, gone) {
        (Ok(code), Ok(())) => Ok(End::Code(code.into())),
        (Ok(0), Err(left)) | (Err(left), Ok(())) => Err(left),
        // How the command ended says more than what is left of its instance.
        (Ok(code), Err(left)) => {
            output::error_line(&left.about(context.home.name()).to_string());
            Ok(End::Code(code.into()))
        }
        (Err(failure), Err(left)) => {
            output::error_line(&left.about(context.home.name()).to_string());
            Err(failure)
        }
    }
}

/// Makes the instance, and returns what the command finds in its environment.
async fn prepare(
    request: Request,
    context: &Context,
) -> Result<Vec<(&'static str, OsString)>, Failure> {
    let stay = Stay { with_this_process: true, at_most: None };
    let options = Up { before: Before::Absent, stay, ..options(request, context)? };
    let progress = progress::shown();
    let brought = up(&context.homes, &context.home, &options, &*progress).await;
    drop(progress);
    let facts = brought?;
    let token = async { Ok(context.access()?.token(WHO).await?) };
    let token = context.within(super::USUAL, token).await?;
    let name = context.home.name();
    output::note(&format!("Instance {name} is up for this command: {}", facts.endpoints.portal));
    Ok(variables(&facts, token))
}

fn variables(facts: &Facts, token: String) -> Vec<(&'static str, OsString)> {
    let endpoints = &facts.endpoints;
    vec![
        (environment::NAME, facts.instance.clone().into()),
        ("CURTAIN_INSTANCE", facts.instance.clone().into()),
        ("KUBECONFIG", facts.kubeconfig.clone().into()),
        ("CURTAIN_PORTAL_URL", endpoints.portal.clone().into()),
        ("CURTAIN_API_URL", endpoints.api.clone().into()),
        ("CURTAIN_MCP_URL", endpoints.mcp.clone().into()),
        ("CURTAIN_OBSERVER_MCP_URL", endpoints.observer_mcp.clone().into()),
        ("CURTAIN_GATEWAY_URL", endpoints.gateway.clone().into()),
        ("CURTAIN_TOKEN", token.into()),
    ]
}

/// Takes down what there is of the instance, if it is this command's own; else `failure` is still to be said.
fn undone(failure: Failure, context: &Context) -> Result<End, Failure> {
    if !is_own(&context.home) {
        return Err(failure);
    }
    let exit = failure.exit;
    output::error_line(&failure.about(context.home.name()).to_string());
    Ok(down::in_another(context, exit))
}

/// Whether there is such a program, as far as can be seen.
fn startable(program: &OsStr) -> Result<(), Failure> {
    let path = Path::new(program);
    let there = match environment::variable("PATH") {
        _ if path.components().count() > 1 || path.is_absolute() => is_executable(path),
        Some(folders) => {
            std::env::split_paths(&folders).any(|dir| is_executable(&dir.join(program)))
        }
        None => true,
    };
    let why = match there {
        true => return Ok(()),
        false if path.is_dir() => "it is a folder",
        false if path.is_file() => "it may not be run as a program",
        false => "there is no such program",
    };
    Err(not_started(program, why))
}

fn not_started(program: &OsStr, why: &str) -> Failure {
    let program = program.to_string_lossy();
    Failure::new(Exit::NotStarted, format!("cannot start {program}: {why}"))
}

#[cfg(test)]
mod tests {
    use curtain_appliance::Endpoints;

    use super::*;

    #[test]
    fn every_variable_is_documented() {
        let endpoints = Endpoints {
            portal: "p".into(),
            api: "a".into(),
            mcp: "m".into(),
            observer_mcp: "o".into(),
            sre_agent_mcp: "s".into(),
            gateway: "g".into(),
        };
        let facts = Facts {
            instance: "ci".into(),
            provider: "embedded".into(),
            ready: true,
            seconds: 1.0,
            kubeconfig: "/k".into(),
            endpoints,
            expires: None,
        };
        let given = variables(&facts, "t".into());
        let names: Vec<_> = given.iter().map(|(name, _)| *name).collect();
        let documented: Vec<_> = environment::GIVEN.iter().map(|one| one.name).collect();
        assert_eq!(names, documented);
    }

    #[test]
    fn what_is_no_program_is_said_before_anything_is_made() {
        assert!(startable(std::env::current_exe().unwrap().as_ref()).is_ok());
        assert!(startable(if cfg!(windows) { "cmd" } else { "sh" }.as_ref()).is_ok());
        for none in ["no-such-program", "./no-such-program", "/etc/passwd", "/"] {
            let refused = startable(none.as_ref()).unwrap_err();
            assert_eq!(refused.exit, Exit::NotStarted, "{none}");
            assert!(refused.to_string().contains(none), "{refused}");
        }
    }
}
