//! Every environment variable that curtain reads, in one place; `--help` lists them from here.

use std::{env, ffi::OsString, path::PathBuf};

use tracing_subscriber::EnvFilter;

use crate::output::Style;

/// A variable and what it does.
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    meaning: &'static str,
}

/// The folder of all instances.
pub(crate) const HOME: &str = "CURTAIN_HOME";
/// The instance that is meant.
pub(crate) const NAME: &str = "CURTAIN_NAME";
/// Where the cluster of a new instance comes from.
pub(crate) const PROVIDER: &str = "CURTAIN_PROVIDER";
/// The image of kind's nodes.
pub(crate) const NODE_IMAGE: &str = "CURTAIN_NODE_IMAGE";
/// What is logged to stderr.
pub(crate) const LOG: &str = "CURTAIN_LOG";
/// Faults on purpose, for tests.
pub(crate) const FAULT: &str = "CURTAIN_FAULT";

const VARIABLES: &[Variable] = &[
    Variable { name: HOME, meaning: "folder of all instances (default: the user's data folder)" },
    Variable { name: NAME, meaning: "instance that is meant without --name" },
    Variable {
        name: PROVIDER,
        meaning: "where the cluster of a new instance comes from without --provider",
    },
    Variable { name: NODE_IMAGE, meaning: "image of kind's nodes without --node-image" },
    Variable { name: LOG, meaning: "what is logged to stderr, for example curtain_bundle=debug" },
    Variable {
        name: "KUBECONFIG",
        meaning: "file that --merge-kubeconfig edits (default: ~/.kube/config)",
    },
    Variable {
        name: "DOCKER_HOST",
        meaning: "the Docker Engine (also DOCKER_CONTEXT, DOCKER_CONFIG)",
    },
    Variable { name: "NO_COLOR", meaning: "no colours, if set" },
];

/// What the command of `curtain run` finds in its environment.
pub(crate) const GIVEN: &[Variable] = &[
    Variable { name: NAME, meaning: "the instance, for other commands of curtain" },
    Variable { name: "CURTAIN_INSTANCE", meaning: "the same, for everything else" },
    Variable {
        name: "KUBECONFIG",
        meaning: "for kubectl, Helm and everything that speaks Kubernetes",
    },
    Variable { name: "CURTAIN_PORTAL_URL", meaning: "the web portal" },
    Variable { name: "CURTAIN_API_URL", meaning: "the REST API; clients add /api/v1" },
    Variable { name: "CURTAIN_MCP_URL", meaning: "the control plane's MCP server" },
    Variable { name: "CURTAIN_OBSERVER_MCP_URL", meaning: "the observer's MCP server" },
    Variable { name: "CURTAIN_GATEWAY_URL", meaning: "where applications answer" },
    Variable { name: "CURTAIN_TOKEN", meaning: "a developer's token for them, valid for an hour" },
];

/// The variables of [`GIVEN`] as `run --help` shows them.
pub(crate) fn run_help() -> String {
    list("Environment of the command", GIVEN)
}

/// The variables as `--help` shows them.
pub(crate) fn help() -> String {
    list("Environment", VARIABLES)
}

fn list(title: &str, variables: &[Variable]) -> String {
    let width = variables.iter().map(|one| one.name.len()).max().unwrap_or(0);
    let mut text = format!("{title}:\n");
    for Variable { name, meaning } in variables {
        text.push_str(&format!("  {name:<width$}  {meaning}\n"));
    }
    text
}

/// A variable that is set and not empty.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// All of them, for a program that is not ours to know. What is no text is left out.
#[cfg(target_os = "linux")]
pub(crate) fn all() -> impl Iterator<Item = (String, String)> {
    env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// A path from a variable, made absolute.
pub(crate) fn path(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(variable(name)?);
    Some(std::path::absolute(&path).unwrap_or(path))
}

/// What says where a Docker Engine may be.
pub(crate) fn surroundings() -> curtain_provider::Surroundings {
    let text = |name| variable(name).map(|value| value.to_string_lossy().into_owned());
    let home = directories::BaseDirs::new().map(|folders| folders.home_dir().to_owned());
    curtain_provider::Surroundings {
        docker_host: text("DOCKER_HOST"),
        docker_context: text("DOCKER_CONTEXT"),
        docker_config: path("DOCKER_CONFIG").or(home.as_ref().map(|home| home.join(".docker"))),
        home,
        runtime_dir: path("XDG_RUNTIME_DIR"),
    }
}

/// Logs of a role: one line per event on stderr, where the kubelet collects them. An event that cannot be written, to a
/// full disk for example, is lost: complaining about it on the same stderr would end the thread that logged.
#[cfg(target_os = "linux")]
pub(crate) fn log_as_role() {
    let filter = EnvFilter::try_from_env(LOG).unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .log_internal_errors(false)
        .init();
}

/// Logs of a command: none, unless they are asked for.
pub(crate) fn log_as_command() {
    if let Ok(filter) = EnvFilter::try_from_env(LOG) {
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(Style::stderr().is_on())
            .log_internal_errors(false)
            .init();
    }
}
