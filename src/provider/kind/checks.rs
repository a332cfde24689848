//! What the Engine and its machine offer, for `curtain doctor`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use curtain_machine::resources;

use super::{Engine, Machine, address, node_image};
use crate::{Check, Error, State, Surroundings, error::or_embedded};

/// Memory that nodes with the platform need, in MiB.
pub(crate) const MEMORY_MIB: u64 = 2_000;
/// Disk space that a node image and its nodes need, in MiB.
const DISK_MIB: u64 = 6_000;
/// What the nodes' many watches need; kind's known issues name these values.
const INOTIFY: [(&str, u64); 2] =
    [("fs.inotify.max_user_watches", 65_536), ("fs.inotify.max_user_instances", 256)];
/// How far the clocks may be apart.
const SKEW: Duration = Duration::from_secs(5);

/// Every check; one that says that there is no Engine is alone.
pub(crate) async fn all(around: &Surroundings) -> Vec<Check> {
    let (engine, by) = match find(around).await {
        Ok(found) => found,
        Err(error) => {
            let fix = or_embedded("install and start Docker", ", which needs none");
            return vec![Check::new("engine", State::Failed, error.to_string(), &fix)];
        }
    };
    let machine = match Machine::of(&engine).await {
        Ok(machine) => machine,
        Err(error) => {
            return vec![Check::new("engine", State::Failed, error.to_string(), "restart it")];
        }
    };
    let mut checks = vec![
        Check::new(
            "engine",
            State::Ok,
            format!("{} {} at {} ({by})", machine.system, machine.version, engine.address()),
            "",
        )
        .of(engine.address()),
        architecture(&machine, &engine),
        memory(&machine),
        processors(&machine),
        control_groups(&machine),
        clock(&machine),
        image(&engine).await,
    ];
    if is_here(&machine) {
        checks.push(disk(&machine));
        checks.extend(INOTIFY.iter().map(|(name, least)| inotify(name, *least)));
    }
    checks
}

/// The first Engine that answers, and what names it.
///
/// # Errors
/// Why none does: that a person may not use one, or else what the first that was tried said.
pub(crate) async fn find(around: &Surroundings) -> Result<(Engine, String), Error> {
    let mut last = None;
    for found in address::candidates(around)? {
        match Engine::connect(&found.address).await {
            Ok(engine) => return Ok((engine, found.by)),
            // Permission is something a person can mend: say that rather than what another socket lacks.
            Err(error @ Error::EngineDenied { .. }) => last = Some(error),
            Err(error) => last = last.or(Some(error)),
        }
    }
    Err(last.unwrap_or(Error::NoEngineAnywhere))
}

/// Whether the Engine runs on this very machine rather than in a virtual one beside it.
fn is_here(machine: &Machine) -> bool {
    // Elsewhere a path of that name is a coincidence.
    cfg!(target_os = "linux")
        && !machine.root.is_empty()
        && std::path::Path::new(&machine.root).exists()
}

fn architecture(machine: &Machine, engine: &Engine) -> Check {
    let (state, fix) = match machine.runs_the_platform(engine) {
        Ok(()) => (State::Ok, ""),
        Err(_) => (State::Failed, "use the curtain that is built for it"),
    };
    Check::new("engine architecture", state, &machine.architecture, fix)
}

fn memory(machine: &Machine) -> Check {
    let mib = machine.memory / 1024 / 1024;
    let state = if mib >= MEMORY_MIB { State::Ok } else { State::Warning };
    let fix = or_embedded("give the Engine's machine 2 GB or more", "");
    Check::new("engine memory", state, format!("{mib} MiB"), &fix)
}

fn processors(machine: &Machine) -> Check {
    let state = if machine.cpus >= 2 { State::Ok } else { State::Warning };
    Check::new(
        "engine processors",
        state,
        format!("{}", machine.cpus),
        "give the Engine's machine two: Kubernetes starts slowly on one",
    )
}

fn control_groups(machine: &Machine) -> Check {
    let state = if machine.cgroups == 2 { State::Ok } else { State::Warning };
    let fix = "boot with control groups version 2: kubelets since Kubernetes 1.35 only tolerate version 1";
    Check::new("engine control groups", state, format!("version {}", machine.cgroups), fix)
}

/// A virtual machine that slept has an old clock, with which certificates are not valid yet.
fn clock(machine: &Machine) -> Check {
    let here = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let there = u64::try_from(machine.seconds()).unwrap_or(0);
    let apart = here.as_secs().abs_diff(there);
    let state = if apart <= SKEW.as_secs() { State::Ok } else { State::Warning };
    let fix =
        "set the clock of the Engine's machine: restart Docker Desktop, or its virtual machine";
    Check::new("engine clock", state, format!("{apart} s from the one here"), fix)
}

async fn image(engine: &Engine) -> Check {
    let image = node_image::DEFAULT;
    let name = image.split('@').next().unwrap_or(image);
    let check = match node_image::present(engine, image).await {
        Ok(Some(_)) => Check::new("node image", State::Ok, name, ""),
        Ok(None) => {
            let seen = format!("{name} is not there yet");
            let fix = format!("the first `curtain up` downloads it ({})", node_image::DOWNLOAD);
            Check::new("node image", State::Warning, seen, &fix)
        }
        Err(error) => Check::new("node image", State::Warning, error.to_string(), "restart Docker"),
    };
    check.of(image)
}

fn disk(machine: &Machine) -> Check {
    let free = resources::disk(machine.root.as_ref()).unwrap_or(0) / 1024 / 1024;
    let state = if free >= DISK_MIB { State::Ok } else { State::Warning };
    let fix = "free 6 GB there, for example with `docker system prune`";
    Check::new("engine disk", state, format!("{free} MiB free at {}", machine.root), fix)
}

fn inotify(name: &str, least: u64) -> Check {
    let value = resources::setting(name).unwrap_or(0);
    let state = if value >= least { State::Ok } else { State::Warning };
    Check::new(name, state, value.to_string(), &format!("`sudo sysctl {name}={least}`"))
}
