//! `curtain agent`: identities for AI agents, and what a person grants to them.

pub(in crate::verbs) mod list;

use std::time::Duration;

use clap::{ArgGroup, Subcommand, builder::PossibleValuesParser};
use curtain_appliance::{
    Error,
    access::{Access, encode},
    add_agent, remove_agent,
};
use curtain_control::authz::{GRANT_KINDS, grant_kinds_help};
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
    #[command(
        group = ArgGroup::new("what").required(true).args(["kinds", "all"]),
        after_help = "\
Examples:
  curtain agent revoke claude-1 config-fix
  curtain agent revoke claude-1 --all"
    )]
    Revoke {
        /// The agent
        agent: String,
        /// The kinds of change, or names of roles
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

fn kinds() -> impl Iterator<Item = &'static str> {
    GRANT_KINDS.iter().map(|kind| kind.name)
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
    #[arg(hide_possible_values = true, value_parser = PossibleValuesParser::new(kinds()))]
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
    let (may, grants) = list::may(&context.access()?, agent).await;
    say(context, &json!({ "agent": agent, "grants": grants }), &format!("{agent} {may}"));
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
    let granted = access.api(&to, Method::POST, &path, Some(&wish)).await.map_err(told)?;
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

/// What the API says of a command's words, as the command line's own.
fn told(error: Error) -> Failure {
    let exit = match &error {
        Error::Answered { status: 400, .. } => Exit::Usage,
        Error::Answered { status: 404, .. } => Exit::NotFound,
        _ => return error.into(),
    };
    Failure::new(exit, error.to_string())
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

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::Cli;

    fn refused(words: &[&str]) -> String {
        let all = ["curtain", "agent"].iter().chain(words);
        let error = Cli::try_parse_from(all).map(drop).expect_err("not to be understood");
        assert_eq!(error.exit_code(), Exit::Usage as i32);
        error.to_string()
    }

    #[test]
    fn what_there_is_to_say_is_named_where_it_is_missing_or_unknown() {
        let text = refused(&["grant", "claude-1", "everything"]);
        assert!(kinds().all(|kind| text.contains(kind)), "{text}");
        let text = refused(&["revoke", "claude-1"]);
        assert!(text.contains("KINDS") && text.contains("--all"), "{text}");
        refused(&["revoke", "claude-1", "scale", "--all"]);
    }

    #[test]
    fn what_the_api_says_of_the_words_is_said_as_if_nobody_had_been_asked() {
        let answered = |status| {
            let (to, why) =
                ("grant scale to one".to_owned(), "Environment not found: x".to_owned());
            told(Error::Answered { asked: "the API", to, status, why })
        };
        let (usage, missing) = (answered(400), answered(404));
        assert_eq!((usage.exit, missing.exit), (Exit::Usage, Exit::NotFound));
        assert_eq!(missing.to_string(), "cannot grant scale to one: Environment not found: x");
        assert_eq!(answered(502).exit, Exit::Unreachable);
    }
}
