//! The processes of a bare cluster, by what they are.

use std::path::Path;

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Supervisor,
    /// API server, controllers and agent.
    Node,
    /// One of every pod.
    Shim,
    /// The first process of a container.
    Container,
}

/// A process, and since when it has its number, in clock ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pub(crate) role: Role,
    pub(crate) pid: i32,
    since: u64,
}

/// All processes of the cluster with this settings file.
pub(crate) fn all(settings: &Path) -> Vec<Process> {
    let supervises = |pid: &i32| {
        let words = words(*pid);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        matches!(words[..], [_, "node", "supervise", "--config", path] if Path::new(path) == settings)
    };
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut found = Vec::new();
    for supervisor in pids.filter(supervises) {
        found.extend(process(Role::Supervisor, supervisor));
        for child in children(supervisor) {
            let words = words(child);
            match words.get(2).map(String::as_str) {
                Some("run") => found.extend(process(Role::Node, child)),
                Some("shim") => {
                    found.extend(process(Role::Shim, child));
                    let containers = children(child).into_iter();
                    found.extend(containers.filter_map(|pid| process(Role::Container, pid)));
                }
                _ => {}
            }
        }
    }
    found
}

/// None where it has ended, also where nobody has noticed yet.
fn process(role: Role, pid: i32) -> Option<Process> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    Some(Process { role, pid, since: fields.nth(18)?.parse().ok()? })
}

fn words(pid: i32) -> Vec<String> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

fn children(pid: i32) -> Vec<i32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}
