//! `curtain support-bundle`.

use std::path::PathBuf;

use curtain_appliance::{Collector, collect};

use crate::{context::Context, environment, exit::Exit, failure::Failure, output};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain support-bundle                    # curtain-default-20260504T030201Z.tar.gz, here
  curtain support-bundle evidence.tar.gz    # also when nothing answers, or `up` failed half-way
  curtain support-bundle -o json            # the file, and what could not be collected

Secrets are left out or masked. Names, addresses and log lines are not: look before you publish it.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The archive, or the folder to put it into
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Seconds it may take without `--timeout`.
const USUAL: u64 = 60;

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let collector = Collector {
        program: std::env::current_exe()?,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        around: environment::surroundings(),
    };
    let limit = context.timeout(USUAL);
    let evidence = collect(&context.homes, &context.home, &collector, limit).await?;
    let file = match &args.file {
        Some(file) if file.is_dir() => file.join(&evidence.name),
        Some(file) => file.clone(),
        None => PathBuf::from(&evidence.name),
    };
    let file = std::path::absolute(&file)?;
    evidence.write(&file)?;
    for line in &evidence.missing {
        output::note(&format!("not collected: {line}"));
    }
    if context.is_json() {
        output::json(&serde_json::json!({
            "file": file, "files": evidence.files, "notCollected": evidence.missing,
        }));
    } else {
        output::line(&file.display().to_string());
    }
    Ok(Exit::Ok)
}
