//! `curtain demo`.

use clap::Subcommand;
use curtain_appliance::demo;

use crate::{context::Context, exit::Exit, failure::Failure, output};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Deploy a sample application and print its URL once it answers
    #[command(after_help = "\
Examples:
  curtain demo deploy greeter
  curl $(curtain demo deploy greeter)")]
    Deploy {
        /// The sample: greeter
        demo: String,
    },
    /// Remove a sample application
    #[command(after_help = "\
Examples:
  curtain demo remove greeter")]
    Remove {
        /// The sample: greeter
        demo: String,
    },
}

/// Seconds a sample may take to answer without `--timeout`.
const USUAL: u64 = 60;

pub(crate) async fn run(verb: &Verb, context: &Context) -> Result<Exit, Failure> {
    let access = context.access()?;
    match verb {
        Verb::Deploy { demo: name } => {
            let url = demo::deploy(&access, name, context.timeout(USUAL)).await?;
            if context.is_json() {
                output::json(&serde_json::json!({ "demo": name, "url": url }));
            } else {
                output::line(&url);
            }
        }
        Verb::Remove { demo: name } => {
            let limit = context.timeout(USUAL);
            let removed = async { Ok(demo::remove(&access, name, limit).await?) };
            let removed = context.within(USUAL, removed).await?;
            if context.is_json() {
                output::json(&serde_json::json!({ "demo": name, "removed": removed }));
            } else {
                output::note(&format!("{name}: {removed} objects removed"));
            }
        }
    }
    Ok(Exit::Ok)
}
