//! `curtain open`.

use std::process::{Command, Stdio};

use crate::{context::Context, exit::Exit, failure::Failure, output};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain open                      # the portal as admin
  curtain open --as developer
  curtain open --print              # only print the link; it works once, within a minute";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Who signs in
    #[arg(long = "as", default_value = "admin", value_name = "WHO")]
    who: String,
    /// Print the link instead of opening it
    #[arg(long)]
    print: bool,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let link = context.access()?.login_link(&args.who).await?;
    if args.print || !browse(&link) {
        if !args.print {
            output::note("No browser could be started; open this link within a minute:");
        }
        output::line(&link);
    }
    Ok(Exit::Ok)
}

/// Hands the link to whatever opens links here. The link is a secret for a minute, and then worth nothing.
fn browse(link: &str) -> bool {
    let start = |program: &str| {
        Command::new(program)
            .arg(link)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    };
    ["xdg-open", "open", "wslview"].iter().any(|program| start(program).is_ok())
}
