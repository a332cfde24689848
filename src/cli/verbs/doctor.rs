//! `curtain doctor`.

use curtain_appliance::doctor::{About, Finding, doctor};
use curtain_provider::State;

use crate::{context::Context, environment, exit::Exit, failure::Failure, output};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain doctor              # before `up`: does this machine have what it takes?
  curtain doctor -o json";

pub(crate) async fn run(context: &Context) -> Result<Exit, Failure> {
    let around = environment::surroundings();
    let findings = doctor(&context.homes, &context.home, &around).await?;
    if context.is_json() {
        output::json(&findings);
    } else {
        let style = context.style;
        for Finding { check, .. } in &findings {
            let mark = match check.state {
                State::Ok => style.green("ok  "),
                State::Warning => style.yellow("warn"),
                State::Failed => style.red("FAIL"),
            };
            output::line(&format!("{mark}  {:<20} {}", check.name, check.seen));
            if !check.fix.is_empty() {
                output::line(&format!("      {:<20} → {}", "", check.fix));
            }
        }
    }
    let failed: Vec<_> =
        findings.iter().filter(|finding| finding.check.state == State::Failed).collect();
    let message = match failed.len() {
        0 => return Ok(Exit::Ok),
        1 => "1 check failed; the line below it says what to do".to_owned(),
        many => format!("{many} checks failed; the lines below them say what to do"),
    };
    // What the machine lacks comes first: without it, the instance cannot be well.
    let machine = failed.iter().any(|finding| finding.about == About::Machine);
    Err(Failure::new(if machine { Exit::Unmet } else { Exit::Unreachable }, message))
}
