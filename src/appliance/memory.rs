//! What an instance's processes need.

use curtain_machine::process::memory;
use serde::Serialize;

use crate::{Home, Instance};

/// A process of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// What it is: `node run`, `api-server` …
    pub role: String,
    /// Its proportional set size in bytes: shared pages count by their share.
    pub pss: u64,
}

/// The processes of the instance in `home`, the largest first; none where the provider has no processes here.
pub async fn of(home: &Home) -> Vec<Process> {
    let Ok(Some(instance)) = Instance::read(home) else { return Vec::new() };
    let Ok(provider) = curtain_provider::by_name(&instance.provider) else { return Vec::new() };
    let running = provider.residue(&instance.cluster(home)).await.unwrap_or_default();
    let mut processes: Vec<Process> = running
        .iter()
        .filter(|left| left.kind == "process")
        .filter_map(|left| {
            let (pid, command) = left.name.split_once(' ').unwrap_or((&left.name, ""));
            let pid = pid.parse().ok()?;
            Some(Process { pid, role: role(command), pss: memory(pid)? })
        })
        .collect();
    processes.sort_by(|a, b| b.pss.cmp(&a.pss).then(a.pid.cmp(&b.pid)));
    processes
}

/// The words of a command line that say what the process is: those before the first flag, without the program.
fn role(command: &str) -> String {
    let words: Vec<&str> = command
        .split_whitespace()
        .skip(1)
        .take_while(|word| !word.starts_with('-'))
        .take(2)
        .collect();
    if words.is_empty() { command.to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_the_words_before_the_flags() {
        assert_eq!(role("/h/bin/curtain node run --config /x"), "node run");
        assert_eq!(role("/curtain api-server --bind 1.2.3.4"), "api-server");
        assert_eq!(role("/bin/busybox"), "/bin/busybox");
    }
}
