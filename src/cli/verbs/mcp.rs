//! `curtain mcp`.

mod deploy_image;

use std::{path::PathBuf, sync::Arc};

use clap::Subcommand;
use curtain_appliance::{
    Install, agent,
    clients::{Bridge, Client, Scope, Syntax},
    install, uninstall,
};
use curtain_control::{
    identity::{
        Secret,
        client::{Credentials, TokenClient},
    },
    mcp::bridge::{self, Behind, Upstream},
};
use curtain_role::Instance;
use deploy_image::DeployImage;
use serde_json::json;

use super::agent::list::may;
use crate::{
    context::{self, Context},
    exit::Exit,
    failure::Failure,
    output, progress,
};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain mcp install claude-code";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Serve the instance's MCP servers on stdin and stdout, for a client that starts this
    #[command(after_help = "\
Examples:
  curtain mcp serve --stdio --as developer")]
    Serve {
        /// Speak over stdin and stdout
        #[arg(long, required = true)]
        stdio: bool,
        /// Who the client acts as: an agent, or a user
        #[arg(long = "as", value_name = "WHO")]
        who: String,
    },
    /// Print the entry a client needs, with a read-only identity of its own, without touching the client's file
    #[command(after_help = "\
Examples:
  curtain mcp config cursor
  curtain mcp config codex >> ~/.codex/config.toml")]
    Config(Which),
    /// Give a client a read-only identity of its own and wire it
    #[command(after_help = "\
Examples:
  curtain mcp install claude-code
  curtain mcp install vscode --project .    # for one project only")]
    Install(Which),
    /// Restore what the client had before
    #[command(after_help = "\
Examples:
  curtain mcp uninstall cursor
  curtain mcp uninstall             # every client")]
    Uninstall {
        /// claude-code (or claude), vscode, cursor or codex; all if none is given
        client: Option<String>,
    },
}

impl Verb {
    /// How to go on with what was recorded before it ended early, or back; `None` if it records nothing.
    pub(crate) fn onwards(&self) -> Option<String> {
        let again = "the same command again goes on";
        match self {
            Self::Serve { .. } => None,
            Self::Uninstall { .. } => Some(again.to_owned()),
            Self::Config(which) | Self::Install(which) => {
                // Of a client that nobody knows, nothing is recorded.
                let client = Client::by_name(&which.client).ok()?.name();
                Some(format!("{again}; `curtain mcp uninstall {client}` undoes it"))
            }
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// claude-code (or claude), vscode, cursor or codex
    client: String,
    /// Configure one project instead of the user
    #[arg(long, value_name = "FOLDER")]
    project: Option<PathBuf>,
}

/// Seconds these verbs may take without `--timeout`.
const USUAL: u64 = 30;

pub(crate) async fn run(verb: Verb, context: &Context) -> Result<Exit, Failure> {
    match verb {
        Verb::Serve { stdio: _, who } => serve(&who, context).await,
        Verb::Config(which) => config(&which, context).await,
        Verb::Install(which) => {
            let client = Client::by_name(&which.client)?;
            let options = Install {
                client,
                scope: which.scope()?,
                home: context.custom_home.clone(),
                timeout: context.timeout(USUAL),
                faults: context.faults.clone(),
            };
            let progress = progress::shown();
            let path = install(&context.homes, &context.home, &options, &*progress).await?;
            let (may, grants) = may(&context.access()?, &client.agent()).await;
            if context.is_json() {
                output::json(&json!({
                    "client": client.name(), "file": path, "agent": client.agent(), "grants": grants,
                }));
            } else {
                output::line(&format!(
                    "{} is wired in {}; restart it to see the tools.",
                    client.name(),
                    path.display()
                ));
                context.note(&format!(
                    "It {may}. `curtain mcp uninstall` and `curtain down` restore the file."
                ));
            }
            Ok(Exit::Ok)
        }
        Verb::Uninstall { client } => {
            let client = client.as_deref().map(Client::by_name).transpose()?;
            let progress = progress::shown();
            let gone = uninstall(
                &context.homes,
                &context.home,
                client,
                context.timeout(USUAL),
                &*progress,
            )
            .await?;
            if context.is_json() {
                output::json(&json!({ "restored": gone.files, "removed": gone.agents }));
            } else if gone.files.is_empty() && gone.agents.is_empty() {
                output::line(&match client {
                    Some(client) => {
                        format!(
                            "{} is not wired to this instance, and has no identity.",
                            client.name()
                        )
                    }
                    None => {
                        "No client is wired to this instance, and none has an identity.".to_owned()
                    }
                });
            } else {
                let files = gone.files.iter().map(|file| format!("restored {}", file.display()));
                let agents = gone.agents.iter().map(|agent| format!("removed identity {agent}"));
                files.chain(agents).for_each(|line| output::line(&line));
            }
            Ok(Exit::Ok)
        }
    }
}

impl Which {
    fn scope(&self) -> Result<Scope, Failure> {
        match &self.project {
            None => context::user(),
            Some(folder) => Ok(Scope::Project(std::path::absolute(folder)?)),
        }
    }
}

/// Prints the whole entry in the client's own syntax, as the file would have it.
async fn config(which: &Which, context: &Context) -> Result<Exit, Failure> {
    let client = Client::by_name(&which.client)?;
    let place = client.place(&which.scope()?);
    let limit = context.timeout(USUAL);
    let (homes, home, faults) = (&context.homes, &context.home, &context.faults);
    let agent = agent(homes, home, client, limit, faults, &*progress::shown()).await?;
    let bridge = Bridge {
        program: context.home.binary(),
        instance: context.home.name().clone(),
        home: context.custom_home.clone(),
    };
    let entry = client.entry(&bridge, &agent);
    match place.syntax {
        Syntax::Json => output::json(&json!({ place.table: { "curtain": entry } })),
        Syntax::Toml => {
            output::line(curtain_appliance::clients::render(&place, "curtain", &entry)?.trim_end())
        }
    }
    let (may, _) = may(&context.access()?, &agent).await;
    context.note(&format!(
        "Goes into {}; `curtain mcp install {}` would put it there. It acts as {agent}, which {may}; `curtain mcp \
         uninstall {}` removes that identity.",
        place.path.display(),
        client.name(),
        client.name()
    ));
    Ok(Exit::Ok)
}

/// Serves both MCP servers of the instance on stdin and stdout.
async fn serve(who: &str, context: &Context) -> Result<Exit, Failure> {
    let access = context.access()?;
    let identities = context.within(USUAL, async { Ok(access.identities().await?) }).await?;
    let identity = curtain_appliance::find(&identities, who)?;
    let secret = Secret::new(identity.secret.clone());
    let credentials = match identity.kind.as_str() {
        "user" => Credentials::Password { username: identity.name.clone(), password: secret },
        _ => Credentials::Client { id: identity.name.clone(), secret },
    };
    let failed = |error: &dyn std::fmt::Display| Failure::new(Exit::Failed, error.to_string());
    let endpoints = access.endpoints();
    let instance = Instance::new(context.home.name().as_str());
    let tokens = TokenClient::new(&endpoints.api, instance.clone(), credentials)
        .map_err(|error| failed(&error))?;
    let upstream = |name: &str, url: &str| {
        let url = url.parse().map_err(|error| failed(&error))?;
        Ok::<_, Failure>(Upstream { name: name.to_owned(), url })
    };
    let upstreams = vec![
        upstream("control plane", &endpoints.mcp)?,
        upstream("observer", &endpoints.observer_mcp)?,
        upstream("SRE agent", &endpoints.sre_agent_mcp)?,
    ];
    let own = DeployImage {
        who: identity.name.clone(),
        access: access.clone(),
        busy: tokio::sync::Mutex::default(),
    };
    let behind = Behind { upstreams, own: vec![Arc::new(own)], instance };
    let (input, output) = (tokio::io::stdin(), tokio::io::stdout());
    let outcome = bridge::run(behind, Arc::new(tokens), input, output);
    outcome.await.map(|()| Exit::Ok).map_err(|error| failed(&error))
}
