//! The day before a workshop: what everybody will do there, done once in an instance of its own, and taken away.

use std::time::{Duration, Instant};

use curtain_appliance::{
    Before, InstanceName, Stay, Up,
    doctor::{About, Finding},
    memory, up,
};
use curtain_machine::child::Signals;
use curtain_provider::{Check, State};

use super::super::{
    End, down,
    run::undone,
    up::{Cluster, options, shop},
};
use crate::{context::Context, exit::Exit, failure::Failure, progress};

/// How a rehearsal came out.
pub(super) struct Rehearsal {
    pub(super) findings: Vec<Finding>,
    /// How the command ends instead, where what was begun is to be taken away by another process.
    pub(super) end: Option<End>,
}

/// Brings platform and shop up beside everything else, sees the shop answer, and takes all of it away again.
pub(super) async fn rehearse(context: &Context) -> Result<Rehearsal, Failure> {
    let mut signals = Signals::new()?;
    let stage = context.beside(InstanceName::random("workshop"));
    let mut seen = Vec::new();
    let played = tokio::select! {
        played = play(&stage, &mut seen) => played,
        () = signals.asked() => Err(Failure::new(Exit::Interrupted, "interrupted in the rehearsal")),
    };
    if let Err(failure) = played {
        let fix = "`curtain up --demo` shows more of it, and `curtain support-bundle` collects it";
        seen.push(Check::new("rehearsal", State::Failed, failure.to_string(), fix));
        let end = undone(failure, &stage).ok();
        return Ok(Rehearsal { findings: findings(seen), end });
    }
    let began = Instant::now();
    seen.push(match down::gone(&stage, &mut signals).await {
        Ok(()) => {
            let text = format!("{}, nothing left", seconds(began.elapsed()));
            Check::new("taken away", State::Ok, text, "")
        }
        Err(left) => {
            let fix = stage.home.name().in_commands("`curtain down` tries again");
            Check::new("taken away", State::Failed, left.to_string(), &fix)
        }
    });
    Ok(Rehearsal { findings: findings(seen), end: None })
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

fn findings(seen: Vec<Check>) -> Vec<Finding> {
    seen.into_iter().map(|check| Finding { about: About::Rehearsal, check }).collect()
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f32())
}
