//! Running plans: steps in dependency order, each recorded before its effect.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream::FuturesUnordered};

use crate::{
    Error,
    effect::{Boxed, Effect},
    fault::{FaultPlan, When},
    progress::Event,
    world::World,
};

/// How much longer than the plan a step may take to say what it waited for: it bounds its own waits by the plan's
/// deadline, and knows better than the plan which object is late.
const LAST_WORDS: Duration = Duration::from_secs(5);

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
    if recorded && bounded(effect, world, step.probe(world)).await? {
        world.tell(&name, Event::Unchanged);
        return Ok(());
    }
    let started = Instant::now();
    world.tell(&name, Event::Started);
    world.ledger().doing(effect)?;
    faults.at(&name, When::BeforeDo)?;
    for _ in 0..faults.times(&name, When::BeforeDo).max(faults.times(&name, When::AfterDo)) {
        bounded(effect, world, step.act(world)).await?;
    }
    faults.at(&name, When::AfterDo)?;
    world.ledger().did(effect)?;
    world.tell(&name, Event::Finished(started.elapsed()));
    Ok(())
}

/// Waits for a part of `effect`, for as long as the plan has and the last words take.
async fn bounded<T>(
    effect: &Effect,
    world: &World<'_>,
    part: Boxed<'_, Result<T, Error>>,
) -> Result<T, Error> {
    let started = Instant::now();
    match tokio::time::timeout(world.left() + LAST_WORDS, part).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::Timeout { what: effect.step().title(), waited: started.elapsed() }),
    }
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
    let title = |effect: &Effect| format!("{} removed", effect.step().title());
    let titles: Vec<_> = effects.iter().map(|effect| (effect.name(), title(effect))).collect();
    world.progress.plan(&titles);
    let mut undone = Undone::default();
    for effect in effects {
        let name = effect.name();
        world.tell(&name, Event::Started);
        let started = Instant::now();
        match undo_one(effect, world, faults).await {
            // What goes with something else is no news.
            Ok(0) => world.tell(&name, Event::Unchanged),
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
        removed += bounded(effect, world, step.undo(world)).await?;
    }
    faults.at(&name, When::AfterUndo)?;
    // The folder takes the ledger with it: nothing is left to write to.
    if world.home.ledger().exists() {
        world.ledger().undid(effect)?;
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use serde_json::json;

    use super::*;
    use crate::{
        Home, Homes,
        clients::{Client, Scope},
        home::create_private,
        ledger::Ledger,
        progress::Silent,
        steps::client::ClientStep,
    };

    fn effect(dir: &Path, client: Client) -> Effect {
        let place = client.place(&Scope::Project(dir.to_owned()));
        let value = json!({ "command": "/c" });
        let step = ClientStep::prepare(client.name(), "agent", &place, "curtain", value).unwrap();
        Effect::Client(step)
    }

    /// Two steps, the second after the first.
    fn nodes(dir: &Path) -> Vec<Node> {
        let (first, second) = (effect(dir, Client::Cursor), effect(dir, Client::VsCode));
        let before = first.name();
        vec![Node::new(second, &[&before]), Node::new(first, &[])]
    }

    fn world(home: &Home) -> World<'_> {
        let ledger = Ledger::open(&home.ledger()).unwrap();
        World::new(home, None, ledger, &Silent, Duration::from_secs(5))
    }

    /// Everything below the project's folder.
    fn tree(dir: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            found.push(entry.path().display().to_string());
            if entry.path().is_dir() {
                found.extend(tree(&entry.path()));
            }
        }
        found.sort();
        found
    }

    #[tokio::test]
    async fn whatever_step_fails_or_repeats_the_next_try_completes_and_undo_leaves_nothing() {
        for action in ["fail", "repeat"] {
            for index in 0..2 {
                for when in ["before-do", "after-do", "before-undo", "after-undo"] {
                    let dir = tempfile::tempdir().unwrap();
                    let project = dir.path().join("project");
                    std::fs::create_dir(&project).unwrap();
                    let home = Homes::new(dir.path().join("data")).instance(&"x".parse().unwrap());
                    create_private(home.path()).unwrap();
                    let nodes = nodes(&project);
                    let step = nodes[index].effect.name();
                    let faults: FaultPlan = format!("{step}:{when}:{action}").parse().unwrap();
                    let fails = action == "fail";

                    let outcome = perform(&nodes, &world(&home), &faults).await;
                    assert_eq!(outcome.is_err(), fails && when.ends_with("-do"), "{step} {when}");
                    // The next process knows only the ledger.
                    perform(&nodes, &world(&home), &FaultPlan::default()).await.unwrap();
                    assert_eq!(tree(&project).len(), 4, "{step} {when} {action}");

                    let entries = |world: &World<'_>| -> Vec<Effect> {
                        world
                            .ledger()
                            .entries()
                            .iter()
                            .rev()
                            .map(|one| one.effect.clone())
                            .collect()
                    };
                    let first = world(&home);
                    let undone = undo(&entries(&first), &first, &faults).await;
                    assert_eq!(undone.failed.len(), usize::from(fails && when.ends_with("undo")));
                    let second = world(&home);
                    let undone = undo(&entries(&second), &second, &FaultPlan::default()).await;
                    assert!(undone.failed.is_empty());
                    assert!(tree(&project).is_empty(), "{step} {when} {action}");
                    assert!(world(&home).ledger().entries().is_empty());
                }
            }
        }
    }

    #[tokio::test]
    async fn a_step_whose_requirement_does_not_exist_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let home = Homes::new(dir.path().join("data")).instance(&"x".parse().unwrap());
        create_private(home.path()).unwrap();
        let node = Node::new(effect(dir.path(), Client::Cursor), &["nothing"]);
        let error = perform(&[node], &world(&home), &FaultPlan::default()).await.unwrap_err();
        assert!(error.to_string().contains("nothing"), "{error}");
    }
}
