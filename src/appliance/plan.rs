//! Running plans: steps in dependency order, each recorded before its effect.

use std::{collections::BTreeSet, time::Instant};

use futures::{StreamExt, stream::FuturesUnordered};

use crate::{
    Error,
    effect::{Boxed, Effect},
    fault::{FaultPlan, When},
    progress::Event,
    world::World,
};

/// A step of a plan and the names of those that must be done before it.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) effect: Effect,
    pub(crate) after: Vec<String>,
}

impl Node {
    pub(crate) fn new(effect: Effect, after: &[&str]) -> Self {
        Self { effect, after: after.iter().map(|name| (*name).to_owned()).collect() }
    }
}

/// Does every step of `nodes`, each as soon as those before it are done. A step that is there already
/// is left alone. The first failure stops the plan; what is done stays, recorded, for the next try
/// or for `down`.
pub(crate) async fn perform(
    nodes: &[Node],
    world: &World<'_>,
    faults: &FaultPlan,
) -> Result<(), Error> {
    let titles: Vec<_> =
        nodes.iter().map(|node| (node.effect.name(), node.effect.step().title())).collect();
    world.progress.plan(&titles);
    let mut waiting: Vec<&Node> = nodes.iter().collect();
    let mut done = BTreeSet::new();
    let mut running: FuturesUnordered<Boxed<'_, (String, Result<(), Error>)>> =
        FuturesUnordered::new();
    loop {
        let (ready, rest): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|node| node.after.iter().all(|name| done.contains(name)));
        waiting = rest;
        for node in ready {
            running.push(Box::pin(async move {
                (node.effect.name(), one(&node.effect, world, faults).await)
            }));
        }
        let Some((name, outcome)) = running.next().await else { break };
        match outcome {
            Ok(()) => _ = done.insert(name),
            Err(error) => {
                world.tell(&name, Event::Failed);
                return Err(Error::Step { step: name, source: Box::new(error) });
            }
        }
    }
    if let Some(stuck) = waiting.first() {
        let why = format!("it waits for {:?}, which the plan does not have", stuck.after);
        return Err(Error::Step {
            step: stuck.effect.name(),
            source: Box::new(Error::Stored { path: world.home.ledger(), why }),
        });
    }
    Ok(())
}

async fn one(effect: &Effect, world: &World<'_>, faults: &FaultPlan) -> Result<(), Error> {
    let step = effect.step();
    let name = step.name();
    let recorded =
        world.ledger().entry(&name).is_some_and(|entry| entry.done && entry.effect == *effect);
    if recorded && step.probe(world).await? {
        world.tell(&name, Event::Unchanged);
        return Ok(());
    }
    let started = Instant::now();
    world.tell(&name, Event::Started);
    world.ledger().doing(effect)?;
    faults.at(&name, When::BeforeDo)?;
    for _ in 0..faults.times(&name, When::BeforeDo).max(faults.times(&name, When::AfterDo)) {
        let left = world.left();
        match tokio::time::timeout(left, step.act(world)).await {
            Ok(outcome) => outcome?,
            Err(_) => return Err(Error::Timeout { what: step.title(), waited: started.elapsed() }),
        }
    }
    faults.at(&name, When::AfterDo)?;
    world.ledger().did(effect)?;
    world.tell(&name, Event::Finished(started.elapsed()));
    Ok(())
}

/// What undoing several effects came to.
#[derive(Debug, Default)]
pub(crate) struct Undone {
    /// Things removed.
    pub(crate) removed: usize,
    /// Steps that could not be undone, and why.
    pub(crate) failed: Vec<(String, Error)>,
}

/// Undoes `effects` in the given order. A step that fails does not keep the others from being undone:
/// it stays in the ledger for the next try.
pub(crate) async fn undo(effects: &[Effect], world: &World<'_>, faults: &FaultPlan) -> Undone {
    let titles: Vec<_> =
        effects.iter().map(|effect| (effect.name(), effect.step().title())).collect();
    world.progress.plan(&titles);
    let mut undone = Undone::default();
    for effect in effects {
        let name = effect.name();
        world.tell(&name, Event::Started);
        let started = Instant::now();
        match undo_one(effect, world, faults).await {
            Ok(removed) => {
                undone.removed += removed;
                world.tell(&name, Event::Finished(started.elapsed()));
            }
            Err(error) => {
                world.tell(&name, Event::Failed);
                undone.failed.push((name, error));
            }
        }
    }
    undone
}

async fn undo_one(effect: &Effect, world: &World<'_>, faults: &FaultPlan) -> Result<usize, Error> {
    let step = effect.step();
    let name = step.name();
    world.ledger().undoing(effect)?;
    faults.at(&name, When::BeforeUndo)?;
    let mut removed = 0;
    for _ in 0..faults.times(&name, When::BeforeUndo).max(faults.times(&name, When::AfterUndo)) {
        let started = Instant::now();
        removed += match tokio::time::timeout(world.left(), step.undo(world)).await {
            Ok(outcome) => outcome?,
            Err(_) => return Err(Error::Timeout { what: step.title(), waited: started.elapsed() }),
        };
    }
    faults.at(&name, When::AfterUndo)?;
    // The folder takes the ledger with it: nothing is left to write to.
    if world.home.ledger().exists() {
        world.ledger().undid(effect)?;
    }
    Ok(removed)
}
