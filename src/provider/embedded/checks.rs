//! What the embedded cluster needs of the machine.

use std::{fs, path::Path};

use curtain_embedded::rootless::{self, Obstacle, UserIds};

use crate::{Check, State};

/// Every check.
pub(super) fn all() -> Vec<Check> {
    let user = rootless::is_ordinary_user();
    let who = match user {
        true => ordinary_user(curtain_machine::process::user(), rootless::obstacle()),
        false => Check::new("privilege", State::Ok, "running as root", ""),
    };
    let ids = user.then(|| user_ids(rootless::user_ids()));
    let rest = [namespaces(), overlay(), packet_filter(), cgroups(user)];
    [kernel(), who].into_iter().chain(ids).chain(rest).collect()
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

fn ordinary_user(uid: u32, obstacle: Option<Obstacle>) -> Check {
    match obstacle {
        None => {
            let seen = format!("running as user {uid}: the cluster is in a user namespace");
            Check::new("privilege", State::Ok, seen, "")
        }
        Some(Obstacle { seen, fix }) => {
            let fix = format!("{fix}; or use `--provider kind` with a Docker Engine");
            Check::new("privilege", State::Failed, format!("user {uid}: {seen}"), &fix)
        }
    }
}

fn user_ids(ids: UserIds) -> Check {
    let fix = "install newuidmap and newgidmap (package uidmap), and give the user 65536 ids: \
               `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER`";
    match ids {
        UserIds::Range { count } => {
            Check::new("ids", State::Ok, format!("{count}, for users inside containers"), "")
        }
        UserIds::One { why } => {
            let seen =
                format!("one, which every container runs as, whatever it is called inside: {why}");
            Check::new("ids", State::Warning, seen, fix)
        }
        _ => Check::new("ids", State::Warning, "not understood", fix),
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

fn cgroups(user: bool) -> Check {
    if user {
        let seen = "an ordinary user's pods have none: requests and limits have no effect, and use is not measured";
        let fix = "run curtain as root where limits matter";
        return Check::new("control groups", State::Warning, seen, fix);
    }
    let v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let v1 = Path::new("/sys/fs/cgroup/memory").exists();
    let (state, seen) = match (v2, v1) {
        (true, _) => (State::Ok, "version 2"),
        (_, true) => (State::Ok, "version 1"),
        _ => (State::Warning, "no control groups are mounted, so pods have no limits"),
    };
    Check::new("control groups", state, seen, "mount /sys/fs/cgroup")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_user_is_told_what_is_in_the_way_and_what_is_less_than_roots() {
        let fine = ordinary_user(1000, None);
        assert_eq!((fine.state, fine.fix.as_str()), (State::Ok, ""));
        let obstacle = Obstacle { seen: "it is off".to_owned(), fix: "turn it on".to_owned() };
        let told = ordinary_user(1000, Some(obstacle));
        assert_eq!((told.state, told.seen.as_str()), (State::Failed, "user 1000: it is off"));
        assert!(told.fix.starts_with("turn it on; or use `--provider kind`"), "{}", told.fix);

        assert_eq!(user_ids(UserIds::Range { count: 65_537 }).state, State::Ok);
        let one = user_ids(UserIds::One { why: "newuidmap is not installed".to_owned() });
        assert_eq!(one.state, State::Warning);
        assert!(one.seen.ends_with("newuidmap is not installed"), "{}", one.seen);
        assert!(one.fix.contains("usermod --add-subuids"), "{}", one.fix);
        assert_eq!(cgroups(true).state, State::Warning);
    }
}
