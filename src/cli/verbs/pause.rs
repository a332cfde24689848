//! `curtain pause` and `curtain resume`.

use curtain_appliance::{Before, Up, pause as stop, up};
use curtain_provider::Request;

use super::up::{failure, options};
use crate::{context::Context, exit::Exit, failure::Failure, output, progress};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain pause               # no process and no memory, until `curtain resume`
  curtain pause --name ci -o json";

pub(crate) const RESUME_EXAMPLES: &str = "\
Examples:
  curtain resume              # everything as it was, at the same addresses
  curtain resume --name ci -o json";

/// Seconds `pause` may take without `--timeout`.
const USUAL: u64 = 60;

pub(crate) async fn pause(context: &Context) -> Result<Exit, Failure> {
    let paused = stop(&context.homes, &context.home, context.timeout(USUAL)).await?;
    if context.is_json() {
        output::json(&paused);
    } else {
        let name = context.home.name();
        output::line(&name.in_commands(&format!(
            "Instance {name} is paused; nothing of it runs. `curtain resume` starts it again, as it was."
        )));
    }
    Ok(Exit::Ok)
}

pub(crate) async fn resume(context: &Context) -> Result<Exit, Failure> {
    // What the instance is made of was decided when it was made.
    let options = Up { before: Before::Present, ..options(Request::default(), context)? };
    let progress = progress::shown();
    let resumed = up(&context.homes, &context.home, &options, &*progress).await;
    drop(progress);
    let facts = resumed.map_err(|error| failure(error, context))?;
    if context.is_json() {
        output::json(&facts);
    } else {
        output::line(&format!("Instance {} runs: {}", facts.instance, facts.endpoints.portal));
    }
    Ok(Exit::Ok)
}
