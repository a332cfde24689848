//! Names and labels of a cluster's things in the Engine.
//!
//! The labels of kind are on every node, so that `kind get clusters` and `kind delete cluster` know them. Ours say which
//! instance made a thing: what does not have them is somebody else's, whatever it is called.

use std::collections::HashMap;

use crate::ClusterSpec;

/// kind's label with the name of the cluster.
pub(crate) const CLUSTER: &str = "io.x-k8s.kind.cluster";
/// kind's label with the role of the node.
pub(crate) const ROLE: &str = "io.x-k8s.kind.role";
/// Our label with the cluster's id, which no two share.
pub(crate) const OWNER: &str = "dev.curtain.cluster";
/// Our label with the home of the cluster, for people.
const HOME: &str = "dev.curtain.home";
/// Our label of what several instances use together.
pub(crate) const SHARED: &str = "dev.curtain.shared";

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs the control plane.
    ControlPlane,
    /// Runs pods only.
    Worker,
}

impl Role {
    /// As kind's label says it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Worker => "worker",
        }
    }
}

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// Name of its container, which is also its host name.
    pub(crate) name: String,
    /// What it does.
    pub(crate) role: Role,
}

/// The name by which kind knows the cluster.
pub(crate) fn cluster(spec: &ClusterSpec) -> String {
    format!("curtain-{}", spec.instance)
}

/// The node that runs the control plane.
pub(crate) fn control_plane(spec: &ClusterSpec) -> String {
    format!("{}-control-plane", cluster(spec))
}

/// Every node, the control plane first, called as kind calls them.
pub(crate) fn nodes(spec: &ClusterSpec) -> Vec<Node> {
    let worker = |number: u16| {
        let suffix = if number == 1 { String::new() } else { number.to_string() };
        Node { name: format!("{}-worker{suffix}", cluster(spec)), role: Role::Worker }
    };
    let first = Node { name: control_plane(spec), role: Role::ControlPlane };
    std::iter::once(first).chain((1..=spec.settings.workers).map(worker)).collect()
}

/// The labels that make a thing this cluster's own.
pub(crate) fn owned(spec: &ClusterSpec) -> HashMap<String, String> {
    HashMap::from([
        (OWNER.to_owned(), owner(spec).to_owned()),
        (HOME.to_owned(), spec.home.display().to_string()),
    ])
}

/// The cluster's id. A cluster without one owns nothing.
pub(crate) fn owner(spec: &ClusterSpec) -> &str {
    spec.settings.id.as_deref().unwrap_or("none")
}

/// A filter of the Engine's lists: whatever this cluster made.
pub(crate) fn ours(spec: &ClusterSpec) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{OWNER}={}", owner(spec))])])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_called_as_kind_calls_them() {
        let names: Vec<_> =
            nodes(&crate::kind::testing::spec(2)).into_iter().map(|node| node.name).collect();
        assert_eq!(names, ["curtain-ci-control-plane", "curtain-ci-worker", "curtain-ci-worker2"]);
    }
}
