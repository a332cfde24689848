//! Which nodes a DaemonSet's pods run on, and the pod for one of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{
    Node, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, Toleration,
};
use kube::ResourceExt;

use crate::controllers::history::HASH;
use crate::controllers::node_fit;
use crate::controllers::pod_control::from_template;
use crate::controllers::pods::node as bound;

/// Taints that every pod of a DaemonSet tolerates, with their effects.
const TOLERATED: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    (node_fit::UNSCHEDULABLE, "NoSchedule"),
];
/// Tolerated by pods that share the node's network.
const NETWORK: (&str, &str) = ("node.kubernetes.io/network-unavailable", "NoSchedule");
const NAME: &str = "metadata.name";

/// What a node is to a DaemonSet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// A pod should run there.
    Wanted,
    /// One that runs there may go on.
    Tolerated,
    Unfit,
}

/// Whether a pod of the template should run on a node.
pub(super) fn fit(set: &DaemonSet, node: &Node) -> Fit {
    let Some(mut spec) = set.spec.template.spec.clone() else { return Fit::Unfit };
    if spec.node_name.as_ref().is_some_and(|name| *name != node.name_any()) {
        return Fit::Unfit;
    }
    tolerate(&mut spec);
    if !node_fit::selects(&spec, node) {
        return Fit::Unfit;
    }
    match node_fit::untolerated(&spec, node, &["NoSchedule", "NoExecute"]) {
        None => Fit::Wanted,
        Some(_) if node_fit::untolerated(&spec, node, &["NoExecute"]).is_none() => Fit::Tolerated,
        Some(_) => Fit::Unfit,
    }
}

fn tolerate(spec: &mut PodSpec) {
    let network = (spec.host_network == Some(true)).then_some(NETWORK);
    let tolerations = spec.tolerations.get_or_insert_default();
    for (key, effect) in TOLERATED.into_iter().chain(network) {
        let toleration = Toleration {
            key: Some(key.into()),
            operator: Some("Exists".into()),
            effect: Some(effect.into()),
            ..Toleration::default()
        };
        if !tolerations.contains(&toleration) {
            tolerations.push(toleration);
        }
    }
}

/// The pod for a node, which the scheduler binds there.
pub(super) fn pod(set: &DaemonSet, node: &str, hash: &str) -> Option<Pod> {
    let mut pod = from_template(set, &set.spec.template)?;
    pod.labels_mut().insert(HASH.into(), hash.to_owned());
    let spec = pod.spec.as_mut()?;
    tolerate(spec);
    let affinity = spec.affinity.get_or_insert_default().node_affinity.get_or_insert_default();
    let required =
        affinity.required_during_scheduling_ignored_during_execution.get_or_insert_default();
    // What the terms say has been asked already.
    required.node_selector_terms = vec![NodeSelectorTerm {
        match_fields: Some(vec![NodeSelectorRequirement {
            key: NAME.into(),
            operator: "In".into(),
            values: Some(vec![node.to_owned()]),
        }]),
        match_expressions: None,
    }];
    Some(pod)
}

/// The node that a pod runs on, or is made for.
pub(super) fn target(pod: &Pod) -> Option<String> {
    if !bound(pod).is_empty() {
        return Some(bound(pod).to_owned());
    }
    let affinity = pod.spec.as_ref()?.affinity.as_ref()?.node_affinity.as_ref()?;
    let required = affinity.required_during_scheduling_ignored_during_execution.as_ref()?;
    let mut fields =
        required.node_selector_terms.iter().flat_map(|term| term.match_fields.iter().flatten());
    let named = fields.find(|field| field.key == NAME && field.operator == "In")?;
    named.values.as_ref()?.first().cloned()
}

/// Pods by the node that they are meant for, oldest first.
pub(super) fn by_node(pods: &[Arc<Pod>]) -> BTreeMap<String, Vec<Arc<Pod>>> {
    let mut nodes: BTreeMap<String, Vec<Arc<Pod>>> = BTreeMap::new();
    for pod in pods {
        if let Some(node) = target(pod) {
            nodes.entry(node).or_default().push(pod.clone());
        }
    }
    let age = |pod: &Pod| {
        (bound(pod).is_empty(), pod.metadata.creation_timestamp.as_ref().map(|time| time.0))
    };
    nodes.values_mut().for_each(|pods| {
        pods.sort_by(|a, b| age(a).cmp(&age(b)).then_with(|| a.name_any().cmp(&b.name_any())));
    });
    nodes
}
