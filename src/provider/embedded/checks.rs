//! What the embedded cluster needs of the machine.

use std::{fs, path::Path};

use super::root;
use crate::{Check, State};

/// Every check.
pub(super) fn all() -> Vec<Check> {
    vec![kernel(), privilege(), namespaces(), overlay(), packet_filter(), cgroups()]
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
    match root(curtain_machine::process::user()) {
        Ok(()) => Check::new("privilege", State::Ok, "running as root", ""),
        Err(error) => Check::new(
            "privilege",
            State::Failed,
            error.to_string(),
            "run curtain as root, or use `--provider kind` with a Docker Engine",
        ),
    }
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
