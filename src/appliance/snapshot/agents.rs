//! What is recorded beside a state, and is about it: agents, and the user's own kubeconfig.
//!
//! An agent's identity is in the state; that it was made, and which client on this machine acts as it, is in the ledger,
//! which knows nothing of a step back. So afterwards
//! - an agent of the snapshot that was removed since is recorded again: its identity is back;
//! - one that was added since is forgotten: its identity is gone;
//! - but one that a client on this machine acts as is made again, with the rights that every agent begins with: the
//!   client's entry is there still.

use std::{collections::BTreeSet, time::Duration};

use super::state::State;
use crate::{
    Error, FaultPlan,
    effect::Effect,
    ledger::{Entry, Ledger},
    plan::{self, Node},
    progress::Silent,
    steps::agent::AgentStep,
    world::World,
};

/// The agents in a ledger.
pub(super) fn recorded(entries: &[Entry]) -> Vec<AgentStep> {
    let agents = entries.iter().filter_map(|entry| match &entry.effect {
        Effect::Agent(step) => Some(step.clone()),
        _ => None,
    });
    agents.collect()
}

/// How a ledger differs from a state.
#[derive(Debug, Default, PartialEq)]
struct Difference {
    /// What the state has and the ledger does not.
    found: Vec<Effect>,
    /// What the ledger has and the state does not.
    lost: Vec<Effect>,
    /// What must be there, whatever the state has.
    needed: Vec<Effect>,
}

fn difference(entries: &[Entry], agents: &[AgentStep]) -> Difference {
    let mut difference = Difference::default();
    let wired: BTreeSet<&str> = entries
        .iter()
        .filter_map(|entry| match &entry.effect {
            Effect::Client(step) => Some(step.agent.as_str()),
            _ => None,
        })
        .collect();
    let known = recorded(entries);
    let new = agents.iter().filter(|agent| known.iter().all(|one| one.agent != agent.agent));
    difference.found.extend(new.cloned().map(Effect::Agent));
    for agent in known {
        if wired.contains(agent.agent.as_str()) {
            difference.needed.push(Effect::Agent(agent));
        } else if agents.iter().all(|one| one.agent != agent.agent) {
            difference.lost.push(Effect::Agent(agent));
        }
    }
    let merged = entries.iter().map(|entry| &entry.effect);
    let merged = merged.filter(|effect| matches!(effect, Effect::MergedKubeconfig(_)));
    difference.needed.extend(merged.cloned());
    difference
}

/// Brings the ledger of `state` in line with a snapshot that had `agents`, and the state with what is on this machine.
///
/// # Errors
/// A ledger that cannot be written, or an identity that cannot be made.
pub(super) async fn settle(
    state: &State<'_>,
    agents: &[AgentStep],
    limit: Duration,
    faults: &FaultPlan,
) -> Result<(), Error> {
    let mut ledger = Ledger::open(&state.home.ledger())?;
    let Difference { found, lost, needed } = difference(ledger.entries(), agents);
    for effect in &found {
        ledger.doing(effect)?;
        ledger.did(effect)?;
    }
    for effect in &lost {
        ledger.undoing(effect)?;
        ledger.undid(effect)?;
    }
    if state.was_paused() || needed.is_empty() {
        return Ok(());
    }
    let nodes: Vec<Node> = needed.into_iter().map(|effect| Node::new(effect, &[])).collect();
    let world = World::new(state.home, Some(state.instance.clone()), ledger, &Silent, limit);
    plan::perform(&nodes, &world, faults).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{clients::Syntax, steps::client::ClientStep};

    fn agent(name: &str) -> AgentStep {
        AgentStep::reader(name.to_owned(), None)
    }

    #[test]
    fn identities_follow_the_state_but_those_that_clients_act_as() {
        let wired = Effect::Client(ClientStep {
            client: "cursor".to_owned(),
            agent: "cursor".to_owned(),
            path: "/x".into(),
            syntax: Syntax::Json,
            table: "t".to_owned(),
            entry: "e".to_owned(),
            value: json!({}),
        });
        let effects = ["added", "kept", "cursor"].map(|name| Effect::Agent(agent(name)));
        let entries: Vec<Entry> =
            effects.into_iter().chain([wired]).map(|effect| Entry { effect, done: true }).collect();
        assert_eq!(
            difference(&entries, &[agent("kept"), agent("removed")]),
            Difference {
                found: vec![Effect::Agent(agent("removed"))],
                lost: vec![Effect::Agent(agent("added"))],
                needed: vec![Effect::Agent(agent("cursor"))],
            }
        );
        assert_eq!(recorded(&entries).len(), 3);
        assert_eq!(difference(&[], &[]), Difference::default());
    }
}
