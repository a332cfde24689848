//! The node killed under load: no acknowledged write is lost, pods live on, connections wait.

#![allow(clippy::unwrap_used)]

use std::{fs, path::Path, time::Duration};

use curtain_e2e::{Instance, eventually, get};

const KUBECTL: &str = "kubectl-1.37";

/// The process of this instance whose command line has `words` in a row.
fn process(home: &Path, words: &[&str]) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line: Vec<_> = line.split(|b| *b == 0).map(String::from_utf8_lossy).collect();
        let ours = line.iter().any(|word| word.contains(&*home.to_string_lossy()));
        if ours && line.windows(words.len()).any(|part| part == words) {
            found.push(pid);
        }
    }
    found
}

fn kill(pid: u32) {
    let status = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(status.unwrap().success());
}

#[test]
fn a_killed_node_loses_nothing_and_comes_back() {
    let instance = Instance::up();
    let url = instance.curtain(&["demo", "deploy", "greeter"]).success();
    let url = url.trim();
    let greeters = || process(instance.home(), &["sample", "greeter"]);
    let uid = || {
        let path = "jsonpath={.items[0].metadata.uid} {.items[0].status.containerStatuses[0].restartCount}";
        let get = ["get", "pods", "-A", "-l", "openchoreo.dev/component=greeter", "-o", path];
        instance.kubectl(KUBECTL, &get).ok()
    };
    let before = (uid().unwrap(), greeters());

    let mut acknowledged = 0;
    for round in 0..3 {
        let node = process(instance.home(), &["node", "run"]);
        assert_eq!(node.len(), 1, "one node process: {node:?}");
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut written = 0;
                // Writes until the node is gone from under it.
                for number in 0..200 {
                    let name = format!("write-{round}-{number}");
                    if instance.kubectl(KUBECTL, &["create", "configmap", &name]).code != 0 {
                        break;
                    }
                    written += 1;
                }
                written
            });
            std::thread::sleep(Duration::from_millis(700));
            kill(node[0]);
            acknowledged += writer.join().unwrap();
        });
        eventually("the node to be back", Duration::from_secs(20), || {
            instance.kubectl(KUBECTL, &["get", "--raw", "/readyz"]).ok()
        });
    }
    let names = instance.kubectl(KUBECTL, &["get", "configmaps", "-o", "name"]).success();
    let kept = names.lines().filter(|name| name.starts_with("configmap/write-")).count();
    assert!(acknowledged > 0 && kept >= acknowledged, "{acknowledged} acknowledged, {kept} kept");

    eventually("the greeter to answer again", Duration::from_secs(20), || {
        let answer = get(url)?;
        (answer.status == 200).then_some(()).ok_or(format!("{answer:?}"))
    });
    assert_eq!((uid().unwrap(), greeters()), before, "the pod kept its process");
    instance.down();
}

#[test]
fn every_process_killed_still_leaves_nothing_after_down() {
    let instance = Instance::up();
    for words in [&["node", "supervise"][..], &["node", "run"], &["node", "shim"]] {
        for pid in process(instance.home(), words) {
            // One may have ended with another.
            let _ = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
    }
    instance.down();
}
