//! Removing what a pod has left.

use super::protocol::Remains;
use crate::node::cgroup::Tree;
use crate::{ClusterConfig, files};

/// Removes directories, then the control group. Repeatable; tries everything, and tells what did not work.
pub(super) fn remove(remains: &Remains) -> Result<(), String> {
    let mut failures = Vec::new();
    for path in &remains.paths {
        if let Err(error) = files::remove_tree(path) {
            failures.push(error.to_string());
        }
    }
    let tree = ClusterConfig::read(&remains.config).and_then(|config| Tree::of(&config));
    match tree.map(|tree| tree.map(|tree| tree.group(&remains.cgroup).remove())) {
        Ok(Some(Err(error))) => failures.push(format!("cannot remove the control group: {error}")),
        Ok(_) => {}
        Err(error) => failures.push(error.to_string()),
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
}
