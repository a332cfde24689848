//! `curtain demo`.

use clap::Subcommand;
use curtain_appliance::demo;

use crate::{context::Context, exit::Exit, failure::Failure, output};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain demo deploy greeter";

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
    let limit = context.inner(USUAL);
    match verb {
        Verb::Deploy { demo: name } => {
            let deployed = async { Ok(demo::deploy(&access, name, limit).await?) };
            let url = context.within(USUAL, deployed).await?;
            if context.is_json() {
                output::json(&serde_json::json!({ "demo": name, "url": url }));
            } else {
                output::line(&url);
            }
        }
        Verb::Remove { demo: name } => {
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
