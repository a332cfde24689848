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
}

/// Undoes everything that was recorded for the instance of `home`, newest first, and looks for what
/// is left. An instance that does not exist has nothing to undo.
///
/// # Errors
/// A ledger that cannot be read, or another command that holds the instance for all of `timeout`.
/// A step that cannot be undone is a leftover, not an error.
pub async fn down(
    home: &Home,
    timeout: Duration,
    faults: &FaultPlan,
    progress: &dyn Progress,
) -> Result<Down, Error> {
    let mut result = Down { instance: home.name().to_string(), removed: 0, leftovers: Vec::new() };
    let started = Instant::now();
    let Some(_lock) = Lock::existing(home, timeout).await? else {
        // An `up` may have died when it had made no more than the folders above.
        let _guard = lock::guard(home).await?;
        if !home.path().exists() {
            result.removed = release(home.path());
        }
        return Ok(result);
    };
    if !home.ledger().exists() {
        // An `up` died before it recorded anything, so there is nothing but its folder.
        result.removed = vanish(home).await?;
        return Ok(result);
    }
    let ledger = Ledger::open(&home.ledger())?;
    let mut effects: Vec<Effect> =
        ledger.entries().iter().rev().map(|entry| entry.effect.clone()).collect();
    let clusters: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Cluster(step) => Some(step.spec.clone()),
            _ => None,
        })
        .collect();
    // The folder holds the ledger: it goes only when nothing else is left to undo.
    let folder = effects
        .iter()
        .position(|effect| matches!(effect, Effect::Home(_)))
        .map(|at| effects.remove(at));
    let folder = folder.unwrap_or(Effect::Home(HomeStep {}));

    let instance = Instance::read(home).ok().flatten();
    let left = timeout.saturating_sub(started.elapsed());
    let mut world = World::new(home, instance, ledger, progress, left);
    world.leaving = true;
    let mut undone = plan::undo(&effects, &world, faults).await;
    for spec in &clusters {
        let provider = curtain_provider::by_name(&spec.provider)?;
        result.leftovers.extend(provider.residue(spec)?);
    }
    if undone.failed.is_empty() && result.leftovers.is_empty() {
        let last = plan::undo(&[folder], &world, faults).await;
        undone.removed += last.removed;
        undone.failed.extend(last.failed);
    }
    result.removed = undone.removed;
    let failed = undone
        .failed
        .into_iter()
        .map(|(step, error)| Leftover { kind: step, name: error.to_string() });
    result.leftovers.extend(failed);
    Ok(result)
}
