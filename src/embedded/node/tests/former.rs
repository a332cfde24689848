//! What a supervisor that was killed has left to the next one.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use super::*;
use crate::node::cgroup::Tree;
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
    let group = Tree::of(&cluster.config).unwrap().unwrap().group("system");
    group.create(&Limits::default()).unwrap();
    for dir in group.existing() {
        std::fs::write(dir.join("cgroup.procs"), former.id().to_string()).unwrap();
    }
    start(&cluster);
    assert!(!former.wait().unwrap().success());
}
