//! `curtain open`.

use std::{process::Stdio, time::Duration};

use tokio::process::Command;

use crate::{context::Context, exit::Exit, failure::Failure, output};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain open                      # the portal as admin
  curtain open --as developer
  curtain open --print              # only print the link; it works once, within a minute
  curtain open -o json              # the same, as one JSON object";

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
    if context.is_json() {
        output::json(&serde_json::json!({ "url": link }));
    } else if args.print {
        output::line(&link);
    } else if !browse(&link).await {
        output::note("No browser could be started; open this link within a minute:");
        output::line(&link);
    }
    Ok(Exit::Ok)
}

/// Programs that open links, and what they want to hear before it.
const OPENERS: &[(&str, &[&str])] = if cfg!(windows) {
    &[("rundll32", &["url.dll,FileProtocolHandler"])]
} else {
    &[("xdg-open", &[]), ("open", &[]), ("wslview", &[])]
};

/// How long a program that opens links may take to say that it cannot.
const VERDICT: Duration = Duration::from_secs(2);

/// Hands the link to whatever opens links here. The link is a secret for a minute, and then worth nothing.
async fn browse(link: &str) -> bool {
    for (program, arguments) in OPENERS {
        let mut command = Command::new(program);
        command
            .args(*arguments)
            .arg(link)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let Ok(mut child) = command.spawn() else { continue };
        // One that still runs has become the browser; one that ended badly has found none.
        match tokio::time::timeout(VERDICT, child.wait()).await {
            Err(_) => return true,
            Ok(status) if status.as_ref().is_ok_and(|status| status.success()) => return true,
            Ok(_) => {}
        }
    }
    false
}
