//! An OCI runtime: runc, without what this machine cannot give.
//!
//! A privileged container asks for every capability there is. Where the machine itself lacks one (many sandboxes and
//! virtual machines of continuous integration do), runc refuses to start the container at all, and no node container
//! could be tested there. This takes what is lacking out of the request and leaves everything else to runc. On a machine
//! that has everything it changes nothing.

#![allow(clippy::print_stderr, reason = "the Engine reads what its runtime prints")]

use std::{
    env, fs, io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use curtain_embedded::node::CAPABILITIES;
use serde_json::Value;

/// What this process could give.
struct Machine {
    /// One bit for each capability.
    capabilities: u64,
    /// Without a capability, one's readiness to be killed can only grow.
    oom_score: i64,
}

impl Machine {
    fn read() -> io::Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let bounding = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
        let bounding = bounding.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
        let score = fs::read_to_string("/proc/self/oom_score_adj")?;
        Ok(Self {
            capabilities: bounding.ok_or_else(|| io::Error::other("no CapBnd in the status"))?,
            oom_score: score.trim().parse().map_err(io::Error::other)?,
        })
    }

    fn has(&self, capability: &str) -> bool {
        let name = capability.strip_prefix("CAP_").unwrap_or(capability);
        // One that is not known here is none of ours to judge.
        CAPABILITIES
            .iter()
            .position(|known| *known == name)
            .is_none_or(|number| self.capabilities & (1 << number) != 0)
    }

    /// Takes what is lacking out of a `process` of the runtime specification.
    fn reduce(&self, process: &mut Value) {
        let sets = process.get_mut("capabilities").and_then(Value::as_object_mut);
        for set in sets.into_iter().flat_map(|sets| sets.values_mut()) {
            if let Some(names) = set.as_array_mut() {
                names.retain(|name| name.as_str().is_none_or(|name| self.has(name)));
            }
        }
        let lower = process.get("oomScoreAdj").and_then(Value::as_i64) < Some(self.oom_score);
        if lower
            && !self.has("CAP_SYS_RESOURCE")
            && let Some(process) = process.as_object_mut()
        {
            process.remove("oomScoreAdj");
        }
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    if let Err(error) = prepare(&words) {
        eprintln!("cannot reduce what is asked of runc: {error}");
        return ExitCode::FAILURE;
    }
    let error = Command::new("runc").args(&words).exec();
    eprintln!("cannot run runc: {error}");
    ExitCode::FAILURE
}

/// `create` and `run` name a bundle, whose `config.json` has the process in it; `exec` names the process's own file.
fn prepare(words: &[String]) -> io::Result<()> {
    for pair in words.windows(2) {
        match pair[0].as_str() {
            "--bundle" => edit(&PathBuf::from(&pair[1]).join("config.json"), "/process")?,
            "--process" => edit(Path::new(&pair[1]), "")?,
            _ => {}
        }
    }
    Ok(())
}

fn edit(path: &Path, at: &str) -> io::Result<()> {
    let mut document: Value = serde_json::from_slice(&fs::read(path)?)?;
    if let Some(process) = document.pointer_mut(at) {
        Machine::read()?.reduce(process);
    }
    fs::write(path, document.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reduced(capabilities: u64, oom_score: i64) -> Value {
        let mut process = json!({
            "args": ["/bin/sh"],
            "capabilities": {
                "bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE", "CAP_OF_TOMORROW"],
                "effective": ["CAP_SYS_RESOURCE"],
            },
            "oomScoreAdj": 0,
        });
        Machine { capabilities, oom_score }.reduce(&mut process);
        process
    }

    #[test]
    fn a_machine_that_has_everything_changes_nothing() {
        let process = reduced(u64::MAX, 1);
        assert_eq!(process["capabilities"]["effective"], json!(["CAP_SYS_RESOURCE"]));
        assert_eq!(process["oomScoreAdj"], 0);
    }

    #[test]
    fn what_the_machine_lacks_is_not_asked_for() {
        let process = reduced(!(1 << 24), 1);
        let bounding = json!(["CAP_CHOWN", "CAP_OF_TOMORROW"]);
        assert_eq!(process["capabilities"], json!({"bounding": bounding, "effective": []}));
        assert_eq!(process.get("oomScoreAdj"), None);
        assert_eq!(process["args"], json!(["/bin/sh"]));
        assert_eq!(reduced(!(1 << 24), 0)["oomScoreAdj"], 0, "no lower than it is");
    }
}
