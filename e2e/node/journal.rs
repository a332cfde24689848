//! `journalctl` and `systemctl`: what a failure is explained with.

use std::{fs, path::Path};

use crate::{
    Outcome,
    cluster::{self, HOME},
};

/// The logs of the processes that do here what the kubelet and the static pods do on a real node.
const LOGS: [&str; 3] = ["supervisor.log", "node.log", "shims.log"];

pub(crate) fn journalctl(words: &[&str]) -> Outcome {
    let units: Vec<&str> = units(words).collect();
    let kubelet = units.is_empty() || units.iter().any(|unit| unit.starts_with("kubelet"));
    let mut entries = String::new();
    for name in LOGS.iter().filter(|_| kubelet) {
        let path = Path::new(HOME).join("run").join(name);
        if let Ok(text) = fs::read_to_string(path) {
            entries.push_str(&text);
        }
    }
    print!("{}", if entries.is_empty() { "-- No entries --\n" } else { &entries });
    Ok(())
}

/// The units of `-u UNIT`, `--unit UNIT` and `--unit=UNIT`.
fn units<'a>(words: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    let pairs = words.windows(2).filter(|pair| matches!(pair[0], "-u" | "--unit"));
    let joined = words.iter().filter_map(|word| word.strip_prefix("--unit="));
    pairs.map(|pair| pair[1]).chain(joined)
}

pub(crate) fn systemctl(words: &[&str]) -> Outcome {
    let failed = cluster::known().is_some_and(|config| !curtain_embedded::running(&config));
    if let ["list-units", ..] = words {
        println!(
            "{}",
            if failed { "kubelet.service loaded failed" } else { "0 loaded units listed." }
        );
        return Ok(());
    }
    let state = match words {
        ["is-system-running", ..] => "running",
        ["is-active", "containerd" | "containerd.service"] => "active",
        ["is-active", "kubelet" | "kubelet.service"] => match cluster::known() {
            Some(config) if curtain_embedded::running(&config) => "active",
            _ => "inactive",
        },
        _ => return Err(format!("systemctl: this node image cannot do {words:?}")),
    };
    println!("{state}");
    if state == "inactive" { Err(String::new()) } else { Ok(()) }
}
