//! Wiring MCP clients to an instance: an identity per client, and an entry that starts the bridge as it.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{
    Error, FaultPlan, Home, Homes,
    clients::{self, Bridge, Client, Scope},
    effect::{Effect, Step},
    ledger::Ledger,
    lock, pause,
    plan::{self, Node},
    progress::Progress,
    status::{existing, held},
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
    let started = Instant::now();
    let instance = existing(homes, home)?;
    let _lock = held(homes, home, install.timeout).await?;
    pause::awake(home)?;
    let ledger = Ledger::open(&home.ledger())?;
    // A file that cannot be edited is found before anything is made.
    entry(install, home, &ledger)?;
    let left = install.timeout.saturating_sub(started.elapsed());
    let world = World::new(home, Some(instance), ledger, progress, left);
    plan::perform(&[identity_of(install.client)], &world, &install.faults).await?;
    // Two instances must not take the same name in one file.
    let _guard = lock::guard(home).await?;
    let step = entry(install, home, &world.ledger())?;
    let path = step.path.clone();
    plan::perform(&[Node::new(Effect::Client(step), &[])], &world, &install.faults).await?;
    Ok(path)
}

/// Makes the identity that `client` acts as, without wiring it, and returns its name.
///
/// # Errors
/// An instance that does not exist or answer.
pub async fn agent(
    homes: &Homes,
    home: &Home,
    client: Client,
    timeout: Duration,
    faults: &FaultPlan,
    progress: &dyn Progress,
) -> Result<String, Error> {
    let started = Instant::now();
    let instance = existing(homes, home)?;
    let _lock = held(homes, home, timeout).await?;
    pause::awake(home)?;
    let ledger = Ledger::open(&home.ledger())?;
    let left = timeout.saturating_sub(started.elapsed());
    let world = World::new(home, Some(instance), ledger, progress, left);
    plan::perform(&[identity_of(client)], &world, faults).await?;
    Ok(client.agent())
}

fn identity_of(client: Client) -> Node {
    Node::new(Effect::Agent(AgentStep::reader(client.agent(), None)), &[])
}

/// The entry of `install` in its file as it is now.
fn entry(install: &Install, home: &Home, ledger: &Ledger) -> Result<ClientStep, Error> {
    let (client, agent) = (install.client, install.client.agent());
    let place = client.place(&install.scope);
    let bridge = Bridge {
        program: home.binary(),
        instance: home.name().clone(),
        home: install.home.clone(),
    };
    let value = client.entry(&bridge, &agent);
    let name = free_name(&place, home.name(), &value)?;
    let mut step = ClientStep::prepare(client.name(), &agent, &place, &name, value)?;
    // Wiring again keeps the name, or else the entry of that name would be nobody's. It may be somebody else's by now.
    let known = ledger.entry(&step.name()).map(|entry| &entry.effect);
    if let Some(Effect::Client(known)) = known
        && known.holds_its_place()?
    {
        step.entry.clone_from(&known.entry);
    }
    Ok(step)
}

/// What [`uninstall`] took back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unwired {
    /// The files that were restored.
    pub files: Vec<PathBuf>,
    /// The identities that were removed, with their grants.
    pub agents: Vec<String>,
}

impl Unwired {
    fn of(effects: &[Effect]) -> Self {
        let mut gone = Self::default();
        for effect in effects {
            match effect {
                Effect::Client(step) => gone.files.push(step.path.clone()),
                Effect::Agent(step) => gone.agents.push(step.agent.clone()),
                _ => {}
            }
        }
        gone
    }
}

/// What to take back for `client` (for every client if `None`), in that order: entries go before the identities that
/// they use, so that no file is left with an entry that cannot sign in.
fn wired(ledger: &Ledger, client: Option<Client>) -> Vec<Effect> {
    let ours = |effect: &Effect| match (effect, client) {
        (Effect::Client(step), Some(client)) => step.client == client.name(),
        (Effect::Agent(step), Some(client)) => step.agent == client.agent(),
        (Effect::Client(_), None) => true,
        // Others were added by name, and are removed so.
        (Effect::Agent(step), None) => {
            clients::CLIENTS.iter().any(|client| client.agent() == step.agent)
        }
        _ => false,
    };
    let recorded = ledger.entries().iter().rev().map(|entry| entry.effect.clone());
    let mut effects: Vec<Effect> = recorded.filter(ours).collect();
    effects.sort_by_key(|effect| !matches!(effect, Effect::Client(_)));
    effects
}

/// Takes back what [`install`] and [`agent`] did for `client` (for every client if `None`).
///
/// # Errors
/// The first step that could not be undone.
pub async fn uninstall(
    homes: &Homes,
    home: &Home,
    client: Option<Client>,
    timeout: Duration,
    progress: &dyn Progress,
) -> Result<Unwired, Error> {
    let started = Instant::now();
    let instance = existing(homes, home)?;
    let _lock = held(homes, home, timeout).await?;
    pause::awake(home)?;
    let ledger = Ledger::open(&home.ledger())?;
    let effects = wired(&ledger, client);
    let left = timeout.saturating_sub(started.elapsed());
    let world = World::new(home, Some(instance), ledger, progress, left);
    let undone = plan::undo(&effects, &world, &FaultPlan::default()).await;
    match undone.failed.into_iter().next() {
        None => Ok(Unwired::of(&effects)),
        Some((step, source)) => Err(Error::Step { step, source: Box::new(source) }),
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

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::{home::create_private, progress::Silent};

    const CLIENT: Client = Client::Cursor;

    fn instance(dir: &Path, name: &str) -> Home {
        let home = Homes::new(dir.join("data")).instance(&name.parse().unwrap());
        create_private(home.path()).unwrap();
        home
    }

    fn options(dir: &Path) -> Install {
        Install {
            client: CLIENT,
            scope: Scope::Project(dir.join("p")),
            home: None,
            timeout: Duration::from_secs(5),
            faults: FaultPlan::default(),
        }
    }

    fn world(home: &Home) -> World<'_> {
        let ledger = Ledger::open(&home.ledger()).unwrap();
        World::new(home, None, ledger, &Silent, Duration::from_secs(5))
    }

    /// Wires the client to the instance, as [`install`] does once it has an identity, and returns the entry's name.
    async fn wire(dir: &Path, home: &Home) -> String {
        let world = world(home);
        let step = entry(&options(dir), home, &world.ledger()).unwrap();
        let name = step.entry.clone();
        let nodes = [Node::new(Effect::Client(step), &[])];
        plan::perform(&nodes, &world, &FaultPlan::default()).await.unwrap();
        name
    }

    #[tokio::test]
    async fn wiring_again_leaves_the_entry_of_another_instance_alone() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| instance(dir.path(), name));
        let place = CLIENT.place(&options(dir.path()).scope);
        let entry_of = |name: &str| {
            let text = fs::read_to_string(&place.path).unwrap();
            clients::get(place.syntax, &place.path, &text, place.table, name).unwrap()
        };
        assert_eq!(wire(dir.path(), &a).await, "curtain");
        assert_eq!(wire(dir.path(), &a).await, "curtain", "again is the same");
        // The user takes it out by hand, and another instance comes.
        fs::write(&place.path, "{}").unwrap();
        assert_eq!(wire(dir.path(), &b).await, "curtain");
        let of_b = entry_of("curtain");
        assert_eq!(wire(dir.path(), &a).await, "curtain-a");
        assert_eq!(entry_of("curtain"), of_b);
        assert_eq!(wire(dir.path(), &b).await, "curtain");
        for home in [&a, &b] {
            let world = world(home);
            let effects = wired(&world.ledger(), None);
            let undone = plan::undo(&effects, &world, &FaultPlan::default()).await;
            assert!(undone.failed.is_empty(), "{undone:?}");
        }
        assert!(!dir.path().join("p").exists(), "nothing is left of either");
    }

    #[test]
    fn entries_go_before_identities_in_whatever_order_they_were_recorded() {
        let dir = tempfile::tempdir().unwrap();
        let home = instance(dir.path(), "x");
        let mut ledger = Ledger::open(&home.ledger()).unwrap();
        let agent = identity_of(CLIENT).effect;
        let step = entry(&options(dir.path()), &home, &ledger).unwrap();
        ledger.doing(&Effect::Client(step.clone())).unwrap();
        // As wiring again does where the identity was gone.
        ledger.doing(&agent).unwrap();
        ledger.doing(&identity_of(Client::Codex).effect).unwrap();
        let effects = wired(&ledger, Some(CLIENT));
        assert_eq!(effects, [Effect::Client(step.clone()), agent]);
        let gone = Unwired::of(&effects);
        assert_eq!((gone.files, gone.agents), (vec![step.path], vec![CLIENT.agent()]));
        // An identity that `curtain mcp config` made has no entry.
        let gone = Unwired::of(&wired(&ledger, Some(Client::Codex)));
        assert_eq!((gone.files.len(), gone.agents), (0, vec![Client::Codex.agent()]));
    }
}
