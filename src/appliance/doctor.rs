//! What the machine offers, and what an instance lacks.

use std::path::Path;

use curtain_machine::resources;
use curtain_provider::{Check, State, Surroundings};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Home, Homes, Instance,
    effect::Effect,
    ledger::Ledger,
    status::{missing, status},
};

/// One thing that was looked at, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Whose it is.
    pub about: About,
    /// What was looked at.
    #[serde(flatten)]
    pub check: Check,
}

/// What a check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum About {
    /// What the machine offers.
    Machine,
    /// How the instance is.
    Instance,
    /// What was tried out and taken away.
    Rehearsal,
}

/// Names of checks.
const MEMORY: &str = "memory";
const DISK: &str = "disk";
const CLUSTER: &str = "cluster";

/// Memory an instance needs beside everything else, in MiB.
const MEMORY_MIB: u64 = 400;
/// Disk space an instance needs, in MiB.
const DISK_MIB: u64 = 500;

/// Looks at the machine, and at the instance of `home` if it exists.
///
/// # Errors
/// A stored file that cannot be read.
pub async fn doctor(
    homes: &Homes,
    home: &Home,
    around: &Surroundings,
) -> Result<Vec<Finding>, Error> {
    let used = Instance::read(home).ok().flatten().map(|instance| instance.provider);
    let mut checks = vec![memory(), disk(home.root())];
    let mut providers = Vec::new();
    for name in curtain_provider::NAMES {
        providers.push((*name, curtain_provider::by_name(name)?.checks(around).await));
    }
    let works = |checks: &[Check]| checks.iter().all(|check| check.state != State::Failed);
    let any = providers.iter().any(|(_, checks)| works(checks));
    for (name, found) in providers {
        // What only a provider lacks that nobody uses or needs is no failure of the machine.
        let needed = used.as_deref().map_or(!any, |used| used == name);
        checks.extend(found.into_iter().map(|check| if needed { check } else { softened(check) }));
    }
    let mut found = Vec::new();
    if home.exists() {
        found = instance(homes, home).await?;
        if found.iter().any(|check| check.name == CLUSTER && check.state == State::Ok) {
            spare(&mut checks);
        }
        for check in &mut found {
            check.fix = home.name().in_commands(&check.fix);
        }
    } else if !home.name().is_default() {
        // Whoever names an instance asks about that one; the default need not be there yet.
        return Err(missing(homes, home)?);
    }
    let about = |about: About| move |check: Check| Finding { about, check };
    let machine = checks.into_iter().map(about(About::Machine));
    Ok(machine.chain(found.into_iter().map(about(About::Instance))).collect())
}

fn softened(check: Check) -> Check {
    let state = if check.state == State::Failed { State::Warning } else { check.state };
    Check { state, ..check }
}

/// An instance that runs already has what it needs: that little is left is no more than worth knowing.
fn spare(checks: &mut [Check]) {
    for check in checks {
        if [MEMORY, DISK].contains(&check.name.as_str()) && check.state == State::Failed {
            check.state = State::Warning;
        }
    }
}

fn memory() -> Check {
    let fix = "free memory: an instance with an application needs about 400 MiB";
    room(MEMORY, resources::memory(), MEMORY_MIB, "available", fix)
}

fn disk(root: &Path) -> Check {
    let existing = root.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let of = format!("free at {}", existing.display());
    let fix = "free at least 500 MiB there, or set CURTAIN_HOME to another disk";
    room(DISK, resources::disk(existing), DISK_MIB, &of, fix)
}

/// Compares `bytes`, if they are known, with what is needed.
fn room(name: &str, bytes: Option<u64>, least: u64, of: &str, fix: &str) -> Check {
    let Some(bytes) = bytes else {
        return Check::new(name, State::Warning, format!("unknown how much is {of}"), fix);
    };
    let mib = bytes / 1024 / 1024;
    let state = if mib >= least { State::Ok } else { State::Failed };
    Check::new(name, state, format!("{mib} MiB {of}"), fix)
}

/// What completes or undoes steps that were begun: `up` wires no client, and to unwire one, nothing else need go.
fn ends_them(half: &[&Effect]) -> &'static str {
    let wiring = |effect: &&Effect| matches!(effect, Effect::Client(_) | Effect::Agent(_));
    if half.iter().all(wiring) {
        "run `curtain mcp uninstall` to undo them, or `curtain mcp install CLIENT` to complete those of a client"
    } else {
        "run `curtain up` to complete them, or `curtain down` to undo them"
    }
}

async fn instance(homes: &Homes, home: &Home) -> Result<Vec<Check>, Error> {
    let mut checks = Vec::new();
    let entries = Ledger::look(&home.ledger())?;
    let half = entries.iter().filter(|entry| !entry.done).map(|entry| &entry.effect);
    let half: Vec<&Effect> = half.collect();
    checks.push(if half.is_empty() {
        Check::new("ledger", State::Ok, format!("{} steps, all complete", entries.len()), "")
    } else {
        let names: Vec<_> = half.iter().map(|effect| effect.name()).collect();
        let seen = format!("incomplete: {}", names.join(", "));
        Check::new("ledger", State::Failed, seen, ends_them(&half))
    });
    let cluster = entries.iter().find_map(|entry| match &entry.effect {
        Effect::Cluster(step) => Some(step.spec.clone()),
        _ => None,
    });
    if let Some(spec) = cluster {
        let provider = curtain_provider::by_name(&spec.provider)?;
        let up = provider.is_up(&spec).await;
        let log = provider
            .log(&spec)
            .map(|path| format!("; its log is {}", path.display()))
            .unwrap_or_default();
        let running = provider.residue(&spec).await.unwrap_or_default();
        let parts = running.iter().filter(|left| ["process", "container"].contains(&&*left.kind));
        let parts = parts.count();
        let state = if up { State::Ok } else { State::Failed };
        let seen = if up {
            format!("answers, with {parts} processes or containers")
        } else if let Some(since) = crate::pause::since(home)? {
            let seen = format!("paused since {since}");
            let fix = "`curtain resume` starts it again";
            checks.push(Check::new(CLUSTER, State::Warning, seen, fix));
            // Nothing that it holds can be asked.
            return Ok(checks);
        } else {
            format!("does not answer{log}")
        };
        checks.push(Check::new(CLUSTER, state, seen, "run `curtain up` to start it again"));
    }
    if Instance::read(home)?.is_none() {
        return Ok(checks);
    }
    for plane in status(homes, home).await?.planes {
        let state = if plane.ready { State::Ok } else { State::Failed };
        let late: Vec<_> = plane
            .deployments
            .iter()
            .filter(|deployment| deployment.available < deployment.desired)
            .map(|deployment| format!("{}/{}", deployment.namespace, deployment.name))
            .collect();
        let seen = match (plane.ready, late.is_empty()) {
            (true, _) if plane.deployments.is_empty() => "registered".to_owned(),
            (true, _) => format!("{} deployments ready", plane.deployments.len()),
            (false, false) => format!("not ready: {}", late.join(", ")),
            (false, true) => "not ready".to_owned(),
        };
        checks.push(Check::new(
            &format!("plane {}", plane.name),
            state,
            seen,
            "run `curtain up`, which waits and says why",
        ));
    }
    Ok(checks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{agent::AgentStep, home::HomeStep};

    #[test]
    fn what_ends_a_step_that_was_begun_is_for_just_that() {
        let agent = AgentStep::reader("cursor-1".to_owned(), None);
        let (agent, home) = (Effect::Agent(agent), Effect::Home(HomeStep {}));
        let only = ends_them(&[&agent]);
        assert!(
            only.contains("`curtain mcp uninstall`") && !only.contains("`curtain up`"),
            "{only}"
        );
        assert!(ends_them(&[&agent, &home]).contains("`curtain down`"));
    }

    #[test]
    fn little_space_is_no_failure_of_an_instance_that_runs() {
        let failed = |name: &str| Check::new(name, State::Failed, "seen", "fix");
        let mut checks = [failed("kernel"), failed(MEMORY), failed(DISK)];
        spare(&mut checks);
        let states = checks.each_ref().map(|check| check.state);
        assert_eq!(states, [State::Failed, State::Warning, State::Warning]);
    }
}
