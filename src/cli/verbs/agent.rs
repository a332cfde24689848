//! `curtain agent`: identities for AI agents, and what a person grants to them.

mod list;

use std::time::Duration;

use clap::Subcommand;
use curtain_appliance::{
    access::{Access, encode},
    add_agent, remove_agent,
};
use curtain_control::authz::grant_kinds_help;
use http::Method;
use serde_json::{Value, json};

use crate::{args, context::Context, exit::Exit, failure::Failure, output, progress};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain agent add claude-1
  curtain agent grant claude-1 config-fix --env development --for 1h";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Give an agent an identity of its own: it may read everything but secrets, and change nothing
    #[command(after_help = "\
Examples:
  curtain agent add claude-1
  curtain agent add ci-bot --display-name \"CI bot\"
  curtain mcp serve --stdio --as claude-1     # what an MCP client starts to act as it")]
    Add {
        /// Lower-case letters, digits and dashes
        agent: String,
        /// What to show to people
        #[arg(long, value_name = "TEXT")]
        display_name: Option<String>,
    },
    /// Show the agents and what is granted to them: what, where, for how long, by whom
    #[command(after_help = "\
Examples:
  curtain agent list
  curtain agent list -o json")]
    List,
    /// Let an agent make one kind of change, somewhere, for a while
    #[command(after_help = grant_help())]
    Grant(Grant),
    /// Take back what was granted to an agent
    #[command(after_help = "\
Examples:
  curtain agent revoke claude-1 config-fix
  curtain agent revoke claude-1 --all")]
    Revoke {
        /// The agent
        agent: String,
        /// The kinds of change, or names of roles
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        kinds: Vec<String>,
        /// Everything
        #[arg(long)]
        all: bool,
    },
    /// Remove an agent's identity and what was granted to it
    #[command(after_help = "\
Examples:
  curtain agent remove claude-1")]
    Remove {
        /// The agent
        agent: String,
    },
}

fn grant_help() -> String {
    format!(
        "Kinds of change:\n{}\n
Examples:
  curtain agent grant claude-1 config-fix --env development --for 1h
  curtain agent grant claude-1 scale --project default --component web --env production --for 15m",
        grant_kinds_help()
    )
}

#[derive(Debug, clap::Args)]
pub(crate) struct Grant {
    /// The agent
    agent: String,
    /// The kind of change; see below
    kind: String,
    /// Only in this environment [default: every one]
    #[arg(long = "env", value_name = "ENVIRONMENT")]
    environment: Option<String>,
    /// Only in this project [default: every one]
    #[arg(long)]
    project: Option<String>,
    /// Only this component of the project [default: every one]
    #[arg(long, requires = "project")]
    component: Option<String>,
    /// In this namespace
    #[arg(long, default_value = "default")]
    namespace: String,
    /// For how long, for example 30m or 8h
    #[arg(long = "for", value_name = "TIME", default_value = "1h", value_parser = args::duration)]
    time: Duration,
}

impl Verb {
    /// How to go on with what was recorded before it ended early, or back; `None` if it records nothing.
    pub(crate) fn onwards(&self) -> Option<String> {
        let again = "the same command again goes on";
        match self {
            Self::Add { agent, .. } => {
                Some(format!("{again}; `curtain agent remove {agent}` undoes it"))
            }
            Self::Remove { .. } => Some(again.to_owned()),
            Self::List | Self::Grant(_) | Self::Revoke { .. } => None,
        }
    }
}

/// Seconds these verbs may take without `--timeout`.
const USUAL: u64 = 30;

pub(crate) async fn run(verb: Verb, context: &Context) -> Result<Exit, Failure> {
    match verb {
        Verb::Add { agent, display_name } => add(&agent, display_name.as_deref(), context).await,
        Verb::Remove { agent } => {
            let (homes, home) = (&context.homes, &context.home);
            let limit = context.timeout(USUAL);
            let unrecorded = remove_agent(homes, home, &agent, limit, &*progress::shown()).await?;
            if let Some(error) = unrecorded {
                context
                    .note(&format!("what was granted to it is not on record as revoked: {error}"));
            }
            say(context, &json!({ "removed": agent }), &format!("removed identity {agent}"));
            Ok(Exit::Ok)
        }
        Verb::List => context.within(USUAL, list::show(context)).await,
        Verb::Grant(grant) => context.within(USUAL, self::grant(&grant, context)).await,
        Verb::Revoke { agent, kinds, all: _ } => {
            context.within(USUAL, revoke(&agent, &kinds, context)).await
        }
    }
}

/// Prints a result for scripts or for people.
fn say(context: &Context, value: &Value, text: &str) {
    if context.is_json() { output::json(value) } else { output::line(text) }
}

async fn add(agent: &str, display_name: Option<&str>, context: &Context) -> Result<Exit, Failure> {
    let (homes, home, limit) = (&context.homes, &context.home, context.timeout(USUAL));
    let named = (agent, display_name);
    add_agent(homes, home, named, limit, &context.faults, &*progress::shown()).await?;
    say(context, &json!({ "agent": agent }), &format!("{agent} may read, and change nothing"));
    if !context.is_json() {
        context.note(&format!(
            "`curtain mcp serve --stdio --as {agent}` is what its client starts; \
             `curtain agent grant {agent} KIND` lets it change something."
        ));
    }
    Ok(Exit::Ok)
}

async fn grant(grant: &Grant, context: &Context) -> Result<Exit, Failure> {
    let mut wish = json!({
        "kind": grant.kind, "namespace": grant.namespace, "seconds": grant.time.as_secs(),
    });
    for (member, value) in [
        ("environment", &grant.environment),
        ("project", &grant.project),
        ("component", &grant.component),
    ] {
        if let Some(value) = value {
            wish[member] = json!(value);
        }
    }
    let access = context.access()?;
    let to = format!("grant {} to {}", grant.kind, grant.agent);
    let path = grants_of(&access, &grant.agent).await?;
    let granted = access.api(&to, Method::POST, &path, Some(&wish)).await?;
    let until = granted["expiresAt"].as_str().unwrap_or_default();
    let mut place = String::new();
    for (word, value) in [
        ("environment", &grant.environment),
        ("project", &grant.project),
        ("component", &grant.component),
    ] {
        if let Some(value) = value {
            place.push_str(&format!(" in {word} {value}"));
        }
    }
    let text = format!("{} may {}{place} until {until}", grant.agent, grant.kind);
    say(context, &granted, &text);
    Ok(Exit::Ok)
}

async fn revoke(agent: &str, kinds: &[String], context: &Context) -> Result<Exit, Failure> {
    let access = context.access()?;
    let path = grants_of(&access, agent).await?;
    let query = if kinds.is_empty() {
        String::new()
    } else {
        format!("?kind={}", encode(&kinds.join(",")))
    };
    let to = format!("revoke what was granted to {agent}");
    let gone = access.api(&to, Method::DELETE, &format!("{path}{query}"), None).await?;
    let roles: Vec<&str> = gone["revoked"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|grant| grant["roles"].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .collect();
    let text = match roles.as_slice() {
        [] => format!("nothing of that was granted to {agent}"),
        roles => format!("revoked {} from {agent}", roles.join(", ")),
    };
    say(context, &gone, &text);
    Ok(Exit::Ok)
}

/// The path of an agent's grants. The agent must be one, so that its name can stand in a path.
async fn grants_of(access: &Access, agent: &str) -> Result<String, Failure> {
    let identities = access.identities().await?;
    let agents = identities.into_iter().filter(|one| one.kind == "agent").collect::<Vec<_>>();
    match agents.iter().any(|one| one.name == agent) {
        true => Ok(format!("/agents/{agent}/grants")),
        false => {
            let known: Vec<_> = agents.iter().map(|one| one.name.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let message =
                format!("there is no agent {agent:?} in this instance; there are: {known}");
            Err(Failure::new(Exit::NotFound, message).next("`curtain agent add NAME` makes one"))
        }
    }
}
