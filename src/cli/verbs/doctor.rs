//! `curtain doctor`.

mod rehearsal;
mod sheet;

use curtain_appliance::{
    InstanceName,
    doctor::{About, Finding, doctor},
};
use curtain_machine::child::Signals;
use curtain_provider::{Check, State};

use self::sheet::Broken;
use super::{End, USUAL, down};
use crate::{
    context::Context,
    environment,
    exit::Exit,
    failure::Failure,
    output::{self, Style},
};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain doctor              # before `up`: does this machine have what it takes?
  curtain doctor --workshop   # the day before: platform and shop up once, looked at, and away again
  curtain doctor -o json";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Rehearse, too: platform and shop in an instance of its own, and away again; a sheet to send to whoever invites
    #[arg(long)]
    workshop: bool,
    /// End a rehearsal of this process: take its instance away, and tell of that, too
    #[arg(long, hide = true, requires = "workshop")]
    broken: bool,
}

impl Args {
    /// Whether it makes an instance, which it must take away whatever happens.
    pub(super) fn rehearses(&self) -> bool {
        self.workshop
    }

    /// Whether it is about what a rehearsal left.
    pub(super) fn ends_a_rehearsal(&self) -> bool {
        self.broken
    }
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<End, Failure> {
    if args.broken {
        let sheet = rehearsal::ended(context).await?;
        if let Err(message) = told(&sheet.findings, true, context) {
            output::error_line(&message);
        }
        return Ok(End::Code(sheet.code.into()));
    }
    // Where an instance is made, nobody else listens.
    let mut signals = Signals::new()?;
    let around = environment::surroundings();
    let look = async { Ok(doctor(&context.homes, &context.home, &around).await?) };
    let mut findings = tokio::select! {
        findings = context.within(USUAL, look) => findings?,
        () = signals.asked() => return Err(Failure::new(Exit::Interrupted, "interrupted")),
    };
    let mut exit = None;
    if args.workshop && !findings.iter().any(failed) {
        let stage = context.beside(InstanceName::random("workshop"));
        let rehearsal = rehearsal::rehearse(&stage, &mut signals).await;
        findings.extend(rehearsal.findings);
        exit = rehearsal.exit;
        if let Some(exit) = exit
            && rehearsal.left
        {
            return Ok(go_on(findings, exit, &stage));
        }
    }
    let Err(message) = told(&findings, args.workshop, context) else {
        return Ok(End::Code(Exit::Ok.into()));
    };
    Err(Failure::new(exit.unwrap_or_else(|| lack(&findings)), message))
}

/// Ends in the process that takes the instance of `stage` away, and tells of that in the last line of the sheet.
fn go_on(findings: Vec<Finding>, exit: Exit, stage: &Context) -> End {
    let sheet = Broken { code: exit as u8, findings };
    sheet.go_on(stage).unwrap_or_else(|error| {
        let after = "what becomes of the instance is told after the sheet";
        output::note(&format!("{after}, which cannot be kept until then: {error}"));
        if let Err(message) = told(&sheet.findings, true, stage) {
            output::error_line(&message);
        }
        down::in_another(stage, exit)
    })
}

/// The code for checks that failed. What the machine lacks comes first: without it, the instance cannot be well.
fn lack(findings: &[Finding]) -> Exit {
    let mut failed = findings.iter().filter(|one| failed(one));
    if failed.all(|one| one.about == About::Instance) { Exit::Unreachable } else { Exit::Unmet }
}

/// Shows what was found, with a verdict if it is a workshop's sheet; a sentence about how much of it failed.
fn told(findings: &[Finding], sheet: bool, context: &Context) -> Result<(), String> {
    if context.is_json() {
        output::json(&findings);
    } else {
        for Finding { check, .. } in findings {
            lines(check, context.style).iter().for_each(|line| output::line(line));
        }
        if sheet {
            output::line(&verdict(findings, context.style));
        }
    }
    match findings.iter().filter(|finding| failed(finding)).count() {
        0 => Ok(()),
        1 => Err("1 check failed; the line below it says what to do".to_owned()),
        many => Err(format!("{many} checks failed; the lines below them say what to do")),
    }
}

fn failed(finding: &Finding) -> bool {
    finding.check.state == State::Failed
}

fn lines(check: &Check, style: Style) -> Vec<String> {
    let mark = match check.state {
        State::Ok => style.green("ok  "),
        State::Warning => style.yellow("warn"),
        State::Failed => style.red("FAIL"),
    };
    let mut lines = vec![format!("{mark}  {:<20} {}", check.name, check.seen)];
    if !check.fix.is_empty() {
        lines.push(format!("      {:<20} → {}", "", check.fix));
    }
    lines
}

/// The last line of the sheet: what whoever invites wants to know.
fn verdict(findings: &[Finding], style: Style) -> String {
    let on = format!(
        "curtain {} on {} {}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH
    );
    match findings.iter().any(failed) {
        false => format!("{}  {on}", style.green("READY")),
        true => format!("{}  {on}", style.red("NOT READY")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_is_enough_not_to_be_ready() {
        let finding = |state| {
            let check = Check::new("disk", state, "12 MiB free", "free some");
            Finding { about: About::Machine, check }
        };
        let of = |states: &[State]| {
            let findings: Vec<_> = states.iter().copied().map(finding).collect();
            verdict(&findings, Style::plain())
        };
        assert!(of(&[State::Ok, State::Warning]).starts_with("READY  curtain "));
        assert!(of(&[State::Ok, State::Failed]).starts_with("NOT READY  curtain "));
    }
}
