//! Wiring MCP clients to an instance: an identity per client, and an entry that starts the bridge as it.

use std::{path::PathBuf, time::Duration};

use crate::{
    Error, FaultPlan, Home, Homes,
    clients::{self, Bridge, Client, Scope},
    effect::Effect,
    ledger::Ledger,
    lock::Lock,
    plan::{self, Node},
    progress::Progress,
    status::{existing, missing},
    steps::{agent::AgentStep, client::ClientStep},
    world::World,
};

/// What to wire.
#[derive(Clone, Debug)]
pub struct Install {
    /// The client.
    pub client: Client,
    /// Whose configuration.
    pub scope: Scope,
    /// The folder of all instances, if the program does not find it by itself.
    pub home: Option<PathBuf>,
    /// How long it may take.
    pub timeout: Duration,
    /// What goes wrong on purpose.
    pub faults: FaultPlan,
}

/// The groups of an agent nobody has granted anything yet.
const READ_ONLY: &str = "agents";

/// Gives `install.client` a read-only identity of its own and an entry that uses it. Returns the file that was edited.
///
/// # Errors
/// An instance that does not exist or answer, or a file that cannot be edited (and then is as it was).
pub async fn install(
    homes: &Homes,
    home: &Home,
    install: &Install,
    progress: &dyn Progress,
) -> Result<PathBuf, Error> {
    let instance = existing(homes, home)?;
    let _lock = held(homes, home, install.timeout).await?;
    let ledger = Ledger::open(&home.ledger())?;
    let agent = format!("{}-1", install.client.name());
    let place = install.client.place(&install.scope);
    let bridge = Bridge {
        program: home.binary(),
        instance: instance.name.clone(),
        home: install.home.clone(),
    };
    let value = install.client.entry(&bridge, &agent);
    let entry = free_name(&place, &instance.name, &value)?;
    let mut step = ClientStep::prepare(install.client.name(), &agent, &place, &entry, value)?;
    let path = step.path.clone();
    // Wiring again must not take our own entry for what was there before.
    let name = Effect::Client(step.clone()).name();
    if let Some(Effect::Client(known)) = ledger.entry(&name).map(|entry| &entry.effect) {
        if known.value == step.value {
            step = known.clone();
        } else {
            step.former.clone_from(&known.former);
            step.created.clone_from(&known.created);
        }
    }
    let identity = AgentStep { agent, groups: vec![READ_ONLY.to_owned()] };
    let identity = Effect::Agent(identity);
    let before = identity.name();
    let nodes = [Node::new(identity, &[]), Node::new(Effect::Client(step), &[before.as_str()])];
    let world = World::new(home, Some(instance), ledger, progress, install.timeout);
    plan::perform(&nodes, &world, &install.faults).await?;
    Ok(path)
}

/// Takes back what [`install`] did for `client` (for every client if `None`), and returns the files that were restored.
///
/// # Errors
/// The first step that could not be undone.
pub async fn uninstall(
    homes: &Homes,
    home: &Home,
    client: Option<Client>,
    timeout: Duration,
    progress: &dyn Progress,
) -> Result<Vec<PathBuf>, Error> {
    let instance = existing(homes, home)?;
    let _lock = held(homes, home, timeout).await?;
    let ledger = Ledger::open(&home.ledger())?;
    let ours = |name: &str| client.is_none_or(|client| client.name() == name);
    let all: Vec<Effect> =
        ledger.entries().iter().rev().map(|entry| entry.effect.clone()).collect();
    let mut effects = Vec::new();
    let mut files = Vec::new();
    let mut agents = Vec::new();
    for effect in &all {
        if let Effect::Client(step) = effect
            && ours(&step.client)
        {
            effects.push(effect.clone());
            files.push(step.path.clone());
            agents.push(step.agent.clone());
        }
    }
    effects
        .extend(all.into_iter().filter(
            |effect| matches!(effect, Effect::Agent(step) if agents.contains(&step.agent)),
        ));
    let world = World::new(home, Some(instance), ledger, progress, timeout);
    let mut undone = plan::undo(&effects, &world, &FaultPlan::default()).await;
    match undone.failed.pop() {
        None => Ok(files),
        Some((step, source)) => Err(Error::Step { step, source: Box::new(source) }),
    }
}

/// The lock of an instance that may go while it is waited for.
async fn held(homes: &Homes, home: &Home, timeout: Duration) -> Result<Lock, Error> {
    match Lock::existing(home, timeout).await? {
        Some(lock) => Ok(lock),
        None => Err(missing(homes, home)?),
    }
}

/// `curtain`, unless another instance has that entry: then the instance's name is in it.
fn free_name(
    place: &clients::Place,
    instance: &crate::InstanceName,
    value: &serde_json::Value,
) -> Result<String, Error> {
    let text = clients::edit::read(&place.path)?.unwrap_or_default();
    let plain = "curtain".to_owned();
    let taken = clients::get(place.syntax, &place.path, &text, place.table, &plain)?;
    let ours = taken.is_none_or(|taken| taken["args"] == value["args"]);
    Ok(if ours { plain } else { format!("curtain-{instance}") })
}
