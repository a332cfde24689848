//! Taking an instance down.

use std::time::{Duration, Instant};

use curtain_provider::Leftover;
use serde::Serialize;

use crate::{
    Error, FaultPlan, Home, Instance,
    effect::Effect,
    home::release,
    ledger::Ledger,
    lock::{self, Lock},
    plan,
    progress::Progress,
    steps::home::{HomeStep, vanish},
    world::World,
};

/// What `down` came to, as `down -o json` prints it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Down {
    /// The instance's name.
    pub instance: String,
    /// Things removed: processes, control groups, folders, files, entries.
    pub removed: usize,
    /// What is still there, and why; empty if all went well.
    pub leftovers: Vec<Leftover>,
    /// What stays on purpose: what others use, or what makes the next `up` quick.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Leftover>,
}

/// How to take an instance down.
#[derive(Clone, Debug)]
pub struct TakeDown {
    /// How long it may take.
    pub timeout: Duration,
    /// Whether images that were downloaded for the cluster go, too.
    pub images: bool,
    /// What goes wrong on purpose.
    pub faults: FaultPlan,
}

/// Undoes everything that was recorded for the instance of `home`, newest first, and looks for what
/// is left. An instance that does not exist has nothing to undo.
///
/// # Errors
/// A ledger that cannot be read, or another command that holds the instance for all of `timeout`.
/// A step that cannot be undone is a leftover, not an error.
pub async fn down(home: &Home, how: &TakeDown, progress: &dyn Progress) -> Result<Down, Error> {
    let started = Instant::now();
    let Some(_lock) = Lock::existing(home, how.timeout).await? else {
        // An `up` may have died when it had made no more than the folders above.
        let mut result = nothing(home);
        let _guard = lock::guard(home).await?;
        if !home.path().exists() {
            result.removed = release(home.path());
        }
        return Ok(result);
    };
    let left = how.timeout.saturating_sub(started.elapsed());
    take(home, &TakeDown { timeout: left, ..how.clone() }, progress).await
}

/// As [`down`], for whoever holds the instance.
pub(crate) async fn take(
    home: &Home,
    how: &TakeDown,
    progress: &dyn Progress,
) -> Result<Down, Error> {
    if home.ledger().exists() {
        return undo_everything(home, how, progress).await;
    }
    // An `up` died before it recorded anything, so there is nothing but its folder.
    Ok(Down { removed: vanish(home).await?, ..nothing(home) })
}

fn nothing(home: &Home) -> Down {
    let instance = home.name().to_string();
    Down { instance, removed: 0, leftovers: Vec::new(), kept: Vec::new() }
}

/// As [`down`], for whoever holds the instance and knows that it has a ledger.
pub(crate) async fn undo_everything(
    home: &Home,
    how: &TakeDown,
    progress: &dyn Progress,
) -> Result<Down, Error> {
    let mut result = nothing(home);
    let ledger = Ledger::open(&home.ledger())?;
    let mut effects: Vec<Effect> =
        ledger.entries().iter().rev().map(|entry| entry.effect.clone()).collect();
    let mut clusters: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Cluster(step) => Some(step.spec.clone()),
            _ => None,
        })
        .collect();
    // Every stage has the same.
    clusters.dedup();
    // The folder holds the ledger: it goes only when nothing else is left to undo.
    let folder = effects
        .iter()
        .position(|effect| matches!(effect, Effect::Home(_)))
        .map(|at| effects.remove(at));
    let folder = folder.unwrap_or(Effect::Home(HomeStep {}));

    let instance = Instance::read(home).ok().flatten();
    let mut world = World::new(home, instance, ledger, progress, how.timeout);
    world.leaving = true;
    world.images = how.images;
    let mut undone = plan::undo(&effects, &world, &how.faults).await;
    for spec in &clusters {
        let provider = curtain_provider::by_name(&spec.provider)?;
        match provider.residue(spec).await {
            Ok(left) => result.leftovers.extend(left),
            Err(error) if undone.failed.is_empty() => {
                let name = format!("cannot tell what is left: {error}");
                result.leftovers.push(Leftover { kind: "cluster".to_owned(), name });
            }
            // What cannot be asked could not be undone either, and says so itself.
            Err(_) => {}
        }
    }
    if undone.failed.is_empty() && result.leftovers.is_empty() {
        let last = plan::undo(&[folder], &world, &how.faults).await;
        undone.removed += last.removed;
        undone.failed.extend(last.failed);
    }
    result.removed = undone.removed;
    result.kept = world.kept();
    let failed = undone
        .failed
        .into_iter()
        .map(|(step, error)| Leftover { kind: step, name: error.to_string() });
    result.leftovers.extend(failed);
    Ok(result)
}
