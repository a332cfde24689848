//! The day before a workshop: what everybody will do there, done once in an instance of its own, and taken away.

use std::time::{Duration, Instant};

use curtain_appliance::{
    Before, InstanceName, Stay, Up,
    doctor::{About, Finding},
    is_own, memory, up,
};
use curtain_machine::child::Signals;
use curtain_provider::{Check, State};

use super::{
    super::{
        down,
        up::{Cluster, options, shop},
    },
    sheet::Broken,
};
use crate::{context::Context, exit::Exit, failure::Failure, output, progress};

/// How a rehearsal came out.
pub(super) struct Rehearsal {
    pub(super) findings: Vec<Finding>,
    /// What it failed with: the code of the command.
    pub(super) exit: Option<Exit>,
    /// Whether there is an instance that is to be taken away by another process.
    pub(super) left: bool,
}

/// Brings platform and shop up as `stage`, sees the shop answer, and takes all of it away again.
pub(super) async fn rehearse(stage: &Context, signals: &mut Signals) -> Rehearsal {
    let mut seen = Vec::new();
    let played = tokio::select! {
        played = play(stage, &mut seen) => played,
        () = signals.asked() => Err(Failure::new(Exit::Interrupted, "interrupted in the rehearsal")),
    };
    let (exit, left) = match played {
        Ok(()) => {
            let (check, exit) = gone(stage, signals).await;
            seen.push(check);
            (exit, false)
        }
        Err(failure) => {
            let exit = failure.exit;
            let failure = failure.about(stage.home.name()).to_string();
            output::error_line(&failure);
            let fix =
                "`curtain up --demo` shows more of it, and `curtain support-bundle` collects it";
            seen.push(Check::new("rehearsal", State::Failed, failure, fix));
            let left = is_own(&stage.home);
            if !stage.home.path().exists() {
                seen.push(Check::new(GONE, State::Ok, "nothing was left of it", ""));
            }
            (Some(exit), left)
        }
    };
    Rehearsal { findings: seen.into_iter().map(finding).collect(), exit, left }
}

/// Takes away what is left of a rehearsal that failed in the process that this one was, and of nothing else. Returns the
/// sheet with all its lines.
pub(super) async fn ended(stage: &Context) -> Result<Broken, Failure> {
    if !is_own(&stage.home) {
        let instance = stage.home.name();
        let message = format!("instance {instance} is no rehearsal of this process, and stays");
        return Err(Failure::new(Exit::Usage, message));
    }
    // It goes with the instance, and that goes whatever became of the sheet.
    let mut sheet = Broken::left(stage).unwrap_or_else(|error| {
        let lost = format!("what was seen of it cannot be read: {error}");
        let check = Check::new("rehearsal", State::Failed, lost, "try again");
        Broken { code: Exit::Failed as u8, findings: vec![finding(check)] }
    });
    let (check, _) = gone(stage, &mut Signals::new()?).await;
    sheet.findings.push(finding(check));
    Ok(sheet)
}

const GONE: &str = "taken away";

/// Takes the instance away; what the sheet says of that, and the code if something is left.
async fn gone(stage: &Context, signals: &mut Signals) -> (Check, Option<Exit>) {
    let began = Instant::now();
    let gone = down::gone(stage, signals).await;
    let exit = gone.as_ref().err().map(|left| left.exit);
    (end(gone, began.elapsed(), stage.home.name()), exit)
}

/// What the sheet says of the end of the instance.
fn end(gone: Result<(), Failure>, took: Duration, instance: &InstanceName) -> Check {
    match gone {
        Ok(()) => Check::new(GONE, State::Ok, format!("{}, nothing left", seconds(took)), ""),
        Err(left) => {
            let fix = instance.in_commands("`curtain down` tries again");
            Check::new(GONE, State::Failed, left.about(instance).to_string(), &fix)
        }
    }
}

async fn play(stage: &Context, seen: &mut Vec<Check>) -> Result<(), Failure> {
    // Should this process be killed, the next command takes the instance away.
    let stay = Stay { with_this_process: true, at_most: None };
    let options =
        Up { before: Before::Absent, stay, ..options(Cluster::usual().request(), stage)? };
    let progress = progress::shown();
    let brought = up(&stage.homes, &stage.home, &options, &*progress).await;
    drop(progress);
    let facts = brought?;
    let text = format!("{:.1} s, {}", facts.seconds, facts.provider);
    seen.push(Check::new("platform up", State::Ok, text, ""));
    let began = Instant::now();
    shop(stage).await?;
    let text = format!("{}, its front answers", seconds(began.elapsed()));
    seen.push(Check::new("shop up", State::Ok, text, ""));
    let used: u64 = memory::of(&stage.home).await.iter().map(|process| process.pss).sum();
    if used > 0 {
        let text = format!("{} MB, by platform and shop", used / 1_000_000);
        seen.push(Check::new("memory used", State::Ok, text, ""));
    }
    Ok(())
}

pub(super) fn finding(check: Check) -> Finding {
    Finding { about: About::Rehearsal, check }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f32())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sheet_says_that_the_instance_is_gone_or_what_is_left() {
        let instance: InstanceName = "workshop-x".parse().unwrap();
        let gone = end(Ok(()), Duration::from_millis(1_500), &instance);
        assert_eq!((gone.state, &*gone.seen), (State::Ok, "1.5 s, nothing left"));
        let left = Failure::new(Exit::Leftovers, "left:\n  mount: /m").next("run `curtain down`");
        let left = end(Err(left), Duration::ZERO, &instance);
        assert_eq!(left.state, State::Failed);
        assert!(left.seen.contains("mount: /m"), "{left:?}");
        for said in [left.seen, left.fix] {
            assert!(said.contains("`curtain down --name workshop-x`"), "{said}");
        }
    }
}
