//! What the machine offers, and what an instance lacks.

use std::{fs, path::Path};

use curtain_provider::Leftover;
use serde::Serialize;

use crate::{
    Error, Home, Homes, Instance,
    effect::Effect,
    ledger::Ledger,
    status::{missing, status},
};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Whose it is.
    pub about: About,
    /// What was looked at.
    pub name: String,
    /// How it is.
    pub state: State,
    /// What was seen.
    pub seen: String,
    /// What to do about it; empty when it is fine.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fix: String,
}

/// What a check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum About {
    /// What the machine offers.
    Machine,
    /// How the instance is.
    Instance,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// Works, but worth knowing.
    Warning,
    /// Keeps the platform from working.
    Failed,
}

impl Check {
    fn new(name: &str, state: State, seen: impl Into<String>, fix: &str) -> Self {
        let fix = if state == State::Ok { String::new() } else { fix.to_owned() };
        Self { about: About::Machine, name: name.to_owned(), state, seen: seen.into(), fix }
    }
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
pub async fn doctor(homes: &Homes, home: &Home) -> Result<Vec<Check>, Error> {
    let mut checks = vec![
        kernel(),
        privilege(),
        namespaces(),
        overlay(),
        packet_filter(),
        cgroups(),
        memory(),
        disk(home.root()),
    ];
    if home.exists() {
        let mut found = instance(homes, home).await?;
        if found.iter().any(|check| check.name == CLUSTER && check.state == State::Ok) {
            spare(&mut checks);
        }
        for check in &mut found {
            check.about = About::Instance;
            check.fix = home.name().in_commands(&check.fix);
        }
        checks.extend(found);
    } else if !home.name().is_default() {
        // Whoever names an instance asks about that one; the default need not be there yet.
        return Err(missing(homes, home)?);
    }
    Ok(checks)
}

/// An instance that runs already has what it needs: that little is left is no more than worth knowing.
fn spare(checks: &mut [Check]) {
    for check in checks {
        if [MEMORY, DISK].contains(&check.name.as_str()) && check.state == State::Failed {
            check.state = State::Warning;
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn kernel() -> Check {
    let release = read("/proc/sys/kernel/osrelease").trim().to_owned();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let state = if version >= (5, 10) { State::Ok } else { State::Failed };
    Check::new("kernel", state, format!("Linux {release}"), "use Linux 5.10 or later")
}

fn privilege() -> Check {
    let root = nix::unistd::geteuid().is_root();
    let state = if root { State::Ok } else { State::Failed };
    let seen = if root { "running as root" } else { "not running as root" };
    Check::new(
        "privilege",
        state,
        seen,
        "run curtain as root: the embedded cluster does not work rootless yet",
    )
}

fn namespaces() -> Check {
    let lacking: Vec<_> = ["mnt", "net", "pid", "ipc", "uts", "cgroup"]
        .into_iter()
        .filter(|kind| !Path::new("/proc/self/ns").join(kind).exists())
        .collect();
    if lacking.is_empty() {
        Check::new("namespaces", State::Ok, "mnt, net, pid, ipc, uts and cgroup", "")
    } else {
        let fix = "use a kernel with these namespaces";
        Check::new("namespaces", State::Failed, format!("missing: {}", lacking.join(", ")), fix)
    }
}

fn overlay() -> Check {
    let there = read("/proc/filesystems")
        .lines()
        .any(|line| line.trim_start_matches("nodev").trim() == "overlay");
    let state = if there { State::Ok } else { State::Warning };
    let seen =
        if there { "the kernel has overlay" } else { "the kernel lists no overlay file system" };
    Check::new("overlay", state, seen, "`modprobe overlay`, if images are to be loaded")
}

/// What pod networks need of nf_tables, by names that the kernel's symbols or modules have.
const PACKET_FILTER: [(&str, &str); 2] =
    [("nf_tables_newtable", "nf_tables"), ("nft_tproxy", "nft_tproxy")];

/// Each part may be built in or loaded (then it has symbols), or be loaded on first use (then it is a module file).
fn packet_filter() -> Check {
    let symbols = read("/proc/kallsyms");
    let release = read("/proc/sys/kernel/osrelease");
    let modules = read(&format!("/lib/modules/{}/modules.dep", release.trim()));
    let there = |part: &&(&str, &str)| symbols.contains(part.0) || modules.contains(part.1);
    let lacking: Vec<_> =
        PACKET_FILTER.iter().filter(|part| !there(part)).map(|part| part.1).collect();
    if lacking.is_empty() {
        return Check::new("nf_tables", State::Ok, "the kernel has nf_tables with TPROXY", "");
    }
    let fix = "use a kernel with nf_tables and nft_tproxy, which pod networks need";
    let seen = format!("the kernel shows no {}", lacking.join(", no "));
    let state = if symbols.is_empty() { State::Warning } else { State::Failed };
    Check::new("nf_tables", state, seen, fix)
}

fn cgroups() -> Check {
    let v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let v1 = Path::new("/sys/fs/cgroup/memory").exists();
    let (state, seen) = match (v2, v1) {
        (true, _) => (State::Ok, "version 2"),
        (_, true) => (State::Ok, "version 1"),
        _ => (State::Warning, "no control groups are mounted, so pods have no limits"),
    };
    Check::new("control groups", state, seen, "mount /sys/fs/cgroup")
}

fn memory() -> Check {
    let text = read("/proc/meminfo");
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib: u64 = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0);
    let mib = kib / 1024;
    let state = if mib >= MEMORY_MIB { State::Ok } else { State::Failed };
    Check::new(
        MEMORY,
        state,
        format!("{mib} MiB available"),
        "free memory: an instance with an application needs about 400 MiB",
    )
}

fn disk(root: &Path) -> Check {
    let existing = root.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let mib = nix::sys::statvfs::statvfs(existing)
        .map(|stat| stat.blocks_available() * stat.fragment_size() / 1024 / 1024)
        .unwrap_or(0);
    let state = if mib >= DISK_MIB { State::Ok } else { State::Failed };
    Check::new(
        DISK,
        state,
        format!("{mib} MiB free at {}", existing.display()),
        "free at least 500 MiB there, or set CURTAIN_HOME to another disk",
    )
}

async fn instance(homes: &Homes, home: &Home) -> Result<Vec<Check>, Error> {
    let mut checks = Vec::new();
    let entries = Ledger::look(&home.ledger())?;
    let half: Vec<_> =
        entries.iter().filter(|entry| !entry.done).map(|entry| entry.effect.name()).collect();
    checks.push(if half.is_empty() {
        Check::new("ledger", State::Ok, format!("{} steps, all complete", entries.len()), "")
    } else {
        let seen = format!("incomplete: {}", half.join(", "));
        Check::new(
            "ledger",
            State::Failed,
            seen,
            "run `curtain up` to complete them, or `curtain down` to undo them",
        )
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
        let running: Vec<Leftover> = provider.residue(&spec)?;
        let processes = running.iter().filter(|left| left.kind == "process").count();
        let state = if up { State::Ok } else { State::Failed };
        let seen = if up {
            format!("answers, with {processes} processes")
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

    #[test]
    fn little_space_is_no_failure_of_an_instance_that_runs() {
        let failed = |name: &str| Check::new(name, State::Failed, "seen", "fix");
        let mut checks = [failed("kernel"), failed(MEMORY), failed(DISK)];
        spare(&mut checks);
        let states = checks.each_ref().map(|check| check.state);
        assert_eq!(states, [State::Failed, State::Warning, State::Warning]);
    }
}
