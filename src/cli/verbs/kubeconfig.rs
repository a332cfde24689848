//! `curtain kubeconfig`.

use crate::{context::Context, exit::Exit, failure::Failure, output};

pub(crate) const EXAMPLES: &str = "\
Examples:
  export KUBECONFIG=$(curtain kubeconfig)
  curtain kubeconfig --raw > cluster.yaml   # the file itself; it holds a key";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print the file instead of its path
    #[arg(long)]
    raw: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    context.access()?;
    let path = context.home.kubeconfig();
    // A script gets a path that it can use, or an error.
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Failure::new(Exit::Unreachable, format!("cannot read {}: {error}", path.display()))
            .next("`curtain up` writes it")
    })?;
    if args.raw {
        output::line(text.trim_end());
    } else if context.is_json() {
        output::json(&serde_json::json!({ "kubeconfig": path }));
    } else {
        output::line(&path.display().to_string());
    }
    Ok(Exit::Ok)
}
