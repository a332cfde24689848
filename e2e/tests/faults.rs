//! The node killed under load: no acknowledged write is lost, pods live on, connections wait.

#![allow(clippy::unwrap_used)]

use std::{net::TcpListener, time::Duration};

use curtain_cli::exit::Exit;
use curtain_e2e::{Instance, eventually, get};

const KUBECTL: &str = "kubectl-1.37";

fn kill(pid: u32) {
    let status = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(status.unwrap().success());
}

#[test]
fn a_killed_node_loses_nothing_and_comes_back() {
    let instance = Instance::up();
    let url = instance.curtain(&["demo", "deploy", "greeter"]).success();
    let url = url.trim();
    let greeters = || instance.processes(&["sample", "greeter"]);
    let uid = || {
        let path = "jsonpath={.items[0].metadata.uid} {.items[0].status.containerStatuses[0].restartCount}";
        let get = ["get", "pods", "-A", "-l", "openchoreo.dev/component=greeter", "-o", path];
        instance.kubectl(KUBECTL, &get).ok()
    };
    let before = (uid().unwrap(), greeters());

    let mut acknowledged = 0;
    for round in 0..3 {
        let node = instance.processes(&["node", "run"]);
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
        // A connection made now waits until the node is back; nobody has to try again.
        let get = ["get", "configmaps", "-o", "name", "--request-timeout=20s"];
        instance.kubectl(KUBECTL, &get).success();
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
    kill_all(&instance);

    // Another program took a port meanwhile: the instance keeps it, and says so.
    let portal = instance.endpoint("portal");
    let port = portal.rsplit(':').next().unwrap();
    let taken = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    let refused = instance.curtain(&["up"]);
    assert_eq!(refused.code, Exit::PortInUse as i32, "{refused:?}");
    assert!(refused.stderr.contains(&format!("port {port}")), "{refused:?}");
    assert!(refused.stderr.contains("curtain down"), "{refused:?}");
    drop(taken);

    // `up` repairs: everything is there again, with the same addresses.
    let text = instance.curtain(&["up", "-o", "json"]).success();
    let again: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(again["endpoints"], instance.facts()["endpoints"]);
    let status = instance.curtain(&["status"]);
    assert_eq!(status.code, Exit::Ok as i32, "{status:?}");

    kill_all(&instance);
    let status = instance.curtain(&["status"]);
    assert_eq!(status.code, Exit::Unreachable as i32, "{status:?}");
    assert!(status.stderr.contains("curtain up"), "{status:?}");
    instance.down();
}

fn kill_all(instance: &Instance) {
    eventually("every process to have ended", Duration::from_secs(10), || {
        let alive = instance.processes(&["node"]);
        for pid in &alive {
            // One may have ended with another.
            let _ = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
        if alive.is_empty() { Ok(()) } else { Err(format!("{alive:?}")) }
    });
}
