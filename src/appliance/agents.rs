//! Identities for agents that no client's wiring makes: a coding agent in CI, or several of one client.

use std::time::{Duration, Instant};

use http::Method;

use crate::{
    Error, FaultPlan, Home, Homes,
    access::Access,
    effect::Effect,
    ledger::Ledger,
    pause,
    plan::{self, Node},
    progress::Progress,
    status::{existing, held},
    steps::agent::AgentStep,
    world::World,
};

/// Makes the read-only identity `name`, shown to people as `display_name`. One that is there stays as it is.
///
/// # Errors
/// A name that an agent cannot have or somebody else has, and an instance that does not exist or answer.
pub async fn add_agent(
    homes: &Homes,
    home: &Home,
    (name, display_name): (&str, Option<&str>),
    timeout: Duration,
    faults: &FaultPlan,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let started = Instant::now();
    check(name)?;
    let instance = existing(homes, home)?;
    let _lock = held(homes, home, timeout).await?;
    pause::awake(home)?;
    // Whoever names a person means the person.
    let identities = Access::to(homes, home)?.identities().await?;
    if let Ok(other) = crate::find(&identities, name)
        && other.kind != "agent"
    {
        return Err(Error::Taken { name: name.to_owned(), kind: other.kind.clone() });
    }
    let ledger = Ledger::open(&home.ledger())?;
    let left = timeout.saturating_sub(started.elapsed());
    let world = World::new(home, Some(instance), ledger, progress, left);
    let step = AgentStep::reader(name.to_owned(), display_name.map(str::to_owned));
    plan::perform(&[Node::new(Effect::Agent(step), &[])], &world, faults).await
}

/// Removes the identity `name` that [`add_agent`] made, with what was granted to it. Returns why the API could not put that
/// on record, if it could not: what is left then is removed all the same.
///
/// # Errors
/// An agent that was not added, or that a client acts as; the step if it could not be undone.
pub async fn remove_agent(
    homes: &Homes,
    home: &Home,
    name: &str,
    timeout: Duration,
    progress: &dyn Progress,
) -> Result<Option<Error>, Error> {
    let started = Instant::now();
    let instance = existing(homes, home)?;
    let _lock = held(homes, home, timeout).await?;
    pause::awake(home)?;
    let ledger = Ledger::open(&home.ledger())?;
    let effect = recorded(&ledger, name)?;
    let (to, path) =
        (format!("revoke what was granted to {name}"), format!("/agents/{name}/grants"));
    let revoked = Access::to(homes, home)?.api(&to, Method::DELETE, &path, None).await;
    let left = timeout.saturating_sub(started.elapsed());
    let world = World::new(home, Some(instance), ledger, progress, left);
    let undone = plan::undo(&[effect], &world, &FaultPlan::default()).await;
    match undone.failed.into_iter().next() {
        None => Ok(revoked.err()),
        Some((step, source)) => Err(Error::Step { step, source: Box::new(source) }),
    }
}

/// The agent `name` as it was added.
fn recorded(ledger: &Ledger, name: &str) -> Result<Effect, Error> {
    let mut agents = Vec::new();
    let mut found = None;
    for entry in ledger.entries() {
        match &entry.effect {
            Effect::Client(step) if step.agent == name => {
                let (agent, client) = (step.agent.clone(), step.client.clone());
                return Err(Error::Wired { agent, client });
            }
            Effect::Agent(step) if step.agent == name => found = Some(entry.effect.clone()),
            Effect::Agent(step) => agents.push(step.agent.clone()),
            _ => {}
        }
    }
    found.ok_or_else(|| Error::UnknownAgent { who: name.to_owned(), known: agents })
}

fn check(name: &str) -> Result<(), Error> {
    let plain = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit();
    let ends = name.starts_with(plain) && name.ends_with(plain);
    if ends && name.len() <= 40 && name.chars().all(|char| plain(char) || char == '-') {
        return Ok(());
    }
    Err(Error::BadAgent { name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_every_command_line_takes() {
        for good in ["claude-1", "a", "7", &"x".repeat(40)] {
            check(good).unwrap();
        }
        for bad in ["", "-a", "a-", "A", "a b", "a.b", "ä", "a@b", "a;b", &"x".repeat(41)] {
            assert!(matches!(check(bad), Err(Error::BadAgent { .. })), "{bad}");
        }
    }

    #[test]
    fn only_what_was_added_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(&dir.path().join("ledger.jsonl")).unwrap();
        let agent = |name: &str| Effect::Agent(AgentStep::reader(name.to_owned(), None));
        let none = recorded(&ledger, "claude-1").unwrap_err();
        assert_eq!(none.kind(), crate::Kind::NotFound);
        assert!(none.to_string().ends_with("; there are none"), "{none}");
        ledger.doing(&agent("claude-1")).unwrap();
        assert_eq!(recorded(&ledger, "claude-1").unwrap(), agent("claude-1"));
        let unknown = recorded(&ledger, "other").unwrap_err().to_string();
        assert!(unknown.contains("claude-1"), "{unknown}");
    }
}
