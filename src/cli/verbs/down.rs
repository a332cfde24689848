//! `curtain down`.

use curtain_appliance::{TakeDown, down};

use crate::{context::Context, exit::Exit, failure::Failure, output, progress};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain down                # undo everything, and prove it
  curtain down --name ci -o json
  curtain down --images       # the node image that `up` downloaded, too";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Remove the images, too, that `up` downloaded for nodes and no other cluster uses
    #[arg(long)]
    images: bool,
}

/// Seconds `down` may take without `--timeout`.
const USUAL: u64 = 60;

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let progress = progress::shown();
    let how = TakeDown {
        timeout: context.timeout(USUAL),
        images: args.images,
        faults: context.faults.clone(),
    };
    let result = down(&context.home, &how, &*progress).await?;
    drop(progress);
    if context.is_json() {
        output::json(&result);
    } else if result.leftovers.is_empty() {
        let name = context.home.name();
        output::line(&match result.removed {
            0 => format!("There is no instance {name}; nothing to do."),
            1 => format!("Instance {name} is gone: 1 thing removed, nothing left."),
            many => format!("Instance {name} is gone: {many} things removed, nothing left."),
        });
    }
    for kept in result.kept.iter().filter(|_| !context.is_json()) {
        let hint = match kept.kind.as_str() {
            "image" if !args.images => "; `curtain down --images` removes it",
            _ => "",
        };
        output::note(&format!("kept: {} {}{hint}", kept.kind, kept.name));
    }
    if result.leftovers.is_empty() {
        return Ok(Exit::Ok);
    }
    let left: String =
        result.leftovers.iter().map(|left| format!("\n  {}: {}", left.kind, left.name)).collect();
    let next = "see to that, then run `curtain down` again";
    Err(Failure::new(Exit::Leftovers, format!("not everything could be undone; left:{left}"))
        .next(next))
}
