//! Removing what a pod or a volume has left, and images.

use std::io;
use std::path::Path;

use super::protocol::Remains;
use crate::node::cgroup::Tree;
use crate::node::images;
use crate::node::lifecycle::{BUSY_LIMIT, retry_busy};
use crate::{ClusterConfig, Error, files};

/// Removes directories, then the control group and images, if there are any. Repeatable; tries everything, and tells what
/// did not work.
pub(super) fn remove(remains: &Remains) -> Result<(), String> {
    let mut failures = Vec::new();
    for path in &remains.paths {
        if let Err(error) = retry_busy(BUSY_LIMIT, || remove_tree(path)) {
            failures.push(format!("cannot remove {}: {error}", path.display()));
        }
    }
    if let Some(cgroup) = &remains.cgroup {
        let tree = ClusterConfig::read(&remains.config).and_then(|config| Tree::of(&config));
        match tree
            .map(|tree| tree.map(|tree| retry_busy(BUSY_LIMIT, || tree.group(cgroup).remove())))
        {
            Ok(Some(Err(error))) => {
                failures.push(format!("cannot remove the control group: {error}"));
            }
            Ok(_) => {}
            Err(error) => failures.push(error.to_string()),
        }
    }
    if let Some(unwanted) = &remains.images {
        let config = ClusterConfig::read(&remains.config).map_err(|error| error.to_string());
        let pruned = config.and_then(|config| {
            images::prune(&config.home, unwanted, false).map_err(|error| error.to_string())
        });
        failures.extend(pruned.err());
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
}

fn remove_tree(path: &Path) -> io::Result<()> {
    files::remove_tree(path).map_err(|error| match error {
        Error::File { source, .. } => source,
        other => io::Error::other(other),
    })
}
