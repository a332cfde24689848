//! `curtain doctor`.

use curtain_appliance::doctor::{State, doctor};

use crate::{context::Context, exit::Exit, failure::Failure, output};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain doctor              # before `up`: does this machine have what it takes?
  curtain doctor -o json";

pub(crate) async fn run(context: &Context) -> Result<Exit, Failure> {
    let checks = doctor(&context.homes, &context.home).await?;
    if context.is_json() {
        output::json(&checks);
    } else {
        let style = context.style;
        for check in &checks {
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
    let failed = checks.iter().filter(|check| check.state == State::Failed).count();
    match failed {
        0 => Ok(Exit::Ok),
        1 => Err(Failure::new(Exit::Unmet, "1 check failed; the line below it says what to do")),
        many => Err(Failure::new(
            Exit::Unmet,
            format!("{many} checks failed; the lines below them say what to do"),
        )),
    }
}
