//! The verbs for people, one file each.

mod credentials;
mod demo;
mod doctor;
mod down;
mod image;
mod kubeconfig;
mod mcp;
mod open;
mod plan;
mod status;
mod token;
mod up;

use clap::Subcommand;

use crate::{context::Context, exit::Exit, failure::Failure};

/// A verb for people.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Bring the platform up on this machine, or repair what is there
    #[command(after_help = up::EXAMPLES)]
    Up(up::Args),
    /// Undo everything that was done to this machine, and prove it
    #[command(after_help = down::EXAMPLES)]
    Down,
    /// Show how the planes are
    #[command(after_help = status::EXAMPLES)]
    Status(status::Args),
    /// Check what this machine offers and what the instance lacks
    #[command(after_help = doctor::EXAMPLES)]
    Doctor,
    /// Open the portal, signed in by a one-time link
    #[command(after_help = open::EXAMPLES)]
    Open(open::Args),
    /// Show users and agents with their credentials
    #[command(after_help = credentials::EXAMPLES)]
    Credentials,
    /// Print a token that is valid for an hour
    #[command(after_help = token::EXAMPLES)]
    Token(token::Args),
    /// Print the path of the instance's kubeconfig
    #[command(after_help = kubeconfig::EXAMPLES)]
    Kubeconfig(kubeconfig::Args),
    /// Give container images to the cluster
    #[command(subcommand)]
    Image(image::Verb),
    /// Deploy sample applications
    #[command(subcommand)]
    Demo(demo::Verb),
    /// Connect AI agents
    #[command(subcommand)]
    Mcp(mcp::Verb),
    /// Print the steps of `up`, one a line
    #[command(hide = true)]
    Plan,
}

/// Runs `verb`.
pub(crate) async fn run(verb: Verb, context: &Context) -> Result<Exit, Failure> {
    match verb {
        Verb::Up(args) => up::run(args, context).await,
        Verb::Down => down::run(context).await,
        Verb::Status(args) => status::run(&args, context).await,
        Verb::Doctor => doctor::run(context).await,
        Verb::Open(args) => open::run(&args, context).await,
        Verb::Credentials => credentials::run(context).await,
        Verb::Token(args) => token::run(&args, context).await,
        Verb::Kubeconfig(args) => kubeconfig::run(&args, context),
        Verb::Image(verb) => image::run(&verb, context),
        Verb::Demo(verb) => demo::run(&verb, context).await,
        Verb::Mcp(verb) => mcp::run(verb, context).await,
        Verb::Plan => plan::run(context),
    }
}
