//! `curtain down`.

use curtain_appliance::down;

use crate::{context::Context, exit::Exit, failure::Failure, output, progress};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain down                # undo everything, and prove it
  curtain down --name ci -o json";

/// Seconds `down` may take without `--timeout`.
const USUAL: u64 = 60;

pub(crate) async fn run(context: &Context) -> Result<Exit, Failure> {
    let progress = progress::shown();
    let result = down(&context.home, context.timeout(USUAL), &context.faults, &*progress).await?;
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
    if result.leftovers.is_empty() {
        return Ok(Exit::Ok);
    }
    let left: String =
        result.leftovers.iter().map(|left| format!("\n  {}: {}", left.kind, left.name)).collect();
    let next = "see to that, then run `curtain down` again";
    Err(Failure::new(Exit::Leftovers, format!("not everything could be undone; left:{left}"))
        .next(next))
}
