//! What was killed has left work to what comes next.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::*;
use crate::node::cgroup::{Group, Tree};
use crate::node::sandbox::Limits;

#[test]
fn a_former_node_that_holds_the_listeners_still_is_ended_first() {
    let cluster = TestCluster::new("former");
    let address = cluster.config.api_listen.to_string();
    // Dies with its supervisor, which takes a moment: this one takes for ever.
    let mut former = Command::new(&cluster.config.binary)
        .args(["program", "hold", &address])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(former.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "held\n");
    // The kernel calls it a zombie as soon as its first thread has ended.
    let stat = format!("/proc/{}/stat", former.id());
    let begin = Instant::now();
    while !std::fs::read_to_string(&stat).unwrap().contains(") Z ") {
        assert!(begin.elapsed() < PATIENCE, "its first thread has not ended");
        std::thread::sleep(Duration::from_millis(5));
    }
    put_into(&group(&cluster, "system"), &former);
    start(&cluster);
    assert!(!former.wait().unwrap().success());
}

#[tokio::test]
async fn a_removal_that_was_killed_is_done_all_the_same() {
    let cluster = TestCluster::new("removal");
    start(&cluster);
    let client = client(&cluster).await;
    let api = create(&client, pod("over", &["exit", "0"])).await;
    let uid = in_phase(&api, "over", "Succeeded").await.uid().unwrap();
    eventually("its shim has ended", async || child(&cluster, "shim").is_none().then_some(()))
        .await;
    // As long as a process is in it, the group cannot be removed, and is tried to be for a while.
    let group = group(&cluster, &format!("pods/{uid}"));
    let mut busy = Command::new(&cluster.config.binary).args(["program", "wait"]).spawn().unwrap();
    put_into(&group, &busy);
    api.delete("over", &DeleteParams::default()).await.unwrap();
    let remover = eventually("somebody removes", async || child(&cluster, "shim")).await;
    kill(remover);
    busy.kill().unwrap();
    busy.wait().unwrap();
    eventually("nothing of the pod is left", async || {
        let files = cluster.config.pods_dir().join(&uid).exists();
        (!files && group.existing().is_empty()).then_some(())
    })
    .await;
}

fn group(cluster: &TestCluster, path: &str) -> Group {
    Tree::of(&cluster.config).unwrap().expect("control groups").group(path)
}

fn put_into(group: &Group, process: &Child) {
    group.create(&Limits::default()).unwrap();
    for dir in group.existing() {
        std::fs::write(dir.join("cgroup.procs"), process.id().to_string()).unwrap();
    }
}
