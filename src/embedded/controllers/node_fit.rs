//! Whether a pod fits a node, as the scheduler and DaemonSets ask.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    Node, NodeSelectorRequirement, NodeSelectorTerm, PersistentVolume, PodSpec, Taint, Toleration,
};
use kube::ResourceExt;

/// What a cordoned node is taken to be tainted with.
pub(super) const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Whether the pod's node selector and its required node affinity accept the node.
pub(super) fn selects(spec: &PodSpec, node: &Node) -> bool {
    let named = spec.node_selector.iter().flatten();
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity
        .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    named.into_iter().all(|(name, value)| node.labels().get(name) == Some(value))
        && required.is_none_or(|required| {
            required.node_selector_terms.iter().any(|term| accepts(term, node))
        })
}

/// The only nodes that the pod's required node affinity names; `None` if it goes by anything else, too.
pub(super) fn named(spec: &PodSpec) -> Option<BTreeSet<&str>> {
    let affinity = spec.affinity.as_ref()?.node_affinity.as_ref()?;
    let required = affinity.required_during_scheduling_ignored_during_execution.as_ref()?;
    let mut all = BTreeSet::new();
    for term in &required.node_selector_terms {
        let fields = term.match_fields.iter().flatten();
        let names = fields.filter(|it| it.key == "metadata.name" && it.operator == "In");
        let sets = names.map(|it| it.values.iter().flatten().map(String::as_str).collect());
        all.extend(sets.reduce(|one: BTreeSet<&str>, other| &one & &other)?);
    }
    Some(all)
}

/// Whether a volume can be had on the node.
pub(super) fn reaches(volume: &PersistentVolume, node: &Node) -> bool {
    let affinity = volume.spec.as_ref().and_then(|spec| spec.node_affinity.as_ref());
    let required = affinity.and_then(|affinity| affinity.required.as_ref());
    required
        .is_none_or(|required| required.node_selector_terms.iter().any(|term| accepts(term, node)))
}

/// A term that says nothing accepts nothing.
fn accepts(term: &NodeSelectorTerm, node: &Node) -> bool {
    let fields = BTreeMap::from([("metadata.name".to_owned(), node.name_any())]);
    let expressions = term.match_expressions.iter().flatten();
    let names = term.match_fields.iter().flatten();
    let mut requirements = expressions
        .map(|requirement| (requirement, node.labels()))
        .chain(names.map(|requirement| (requirement, &fields)))
        .peekable();
    requirements.peek().is_some() && requirements.all(|(requirement, of)| holds(requirement, of))
}

fn holds(requirement: &NodeSelectorRequirement, of: &BTreeMap<String, String>) -> bool {
    let value = of.get(&requirement.key);
    let mut values = requirement.values.iter().flatten();
    let bound =
        requirement.values.iter().flatten().next().and_then(|text| text.parse::<i64>().ok());
    let number = value.and_then(|text| text.parse::<i64>().ok());
    match requirement.operator.as_str() {
        "In" => value.is_some_and(|value| values.any(|known| known == value)),
        "NotIn" => !value.is_some_and(|value| values.any(|known| known == value)),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => number.zip(bound).is_some_and(|(number, bound)| number > bound),
        "Lt" => number.zip(bound).is_some_and(|(number, bound)| number < bound),
        _ => false,
    }
}

/// The first taint with one of these effects that the pod does not tolerate.
pub(super) fn untolerated(spec: &PodSpec, node: &Node, effects: &[&str]) -> Option<Taint> {
    let mut taints = node.spec.as_ref()?.taints.iter().flatten();
    taints
        .find(|taint| effects.contains(&taint.effect.as_str()) && !tolerates(spec, taint))
        .cloned()
}

/// Whether the node is closed for this pod.
pub(super) fn is_cordoned(spec: &PodSpec, node: &Node) -> bool {
    let taint =
        Taint { key: UNSCHEDULABLE.into(), effect: "NoSchedule".into(), ..Taint::default() };
    let closed = node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
    closed && !tolerates(spec, &taint)
}

fn tolerates(spec: &PodSpec, taint: &Taint) -> bool {
    tolerations_of(spec, taint).next().is_some()
}

/// What of a pod's tolerations is of this taint.
pub(super) fn tolerations_of<'a>(
    spec: &'a PodSpec,
    taint: &'a Taint,
) -> impl Iterator<Item = &'a Toleration> {
    let said = |text: &Option<String>| text.clone().unwrap_or_default();
    spec.tolerations.iter().flatten().filter(move |toleration| {
        let (key, effect) = (said(&toleration.key), said(&toleration.effect));
        let exists = toleration.operator.as_deref() == Some("Exists");
        (key.is_empty() || key == taint.key)
            && (exists || said(&toleration.value) == said(&taint.value))
            && (effect.is_empty() || effect == taint.effect)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn nodes_are_named_if_all_alternatives_name_some() {
        let field = |names: Value| json!({"key":"metadata.name","operator":"In","values":names});
        let label = json!([{"key":"a","operator":"Exists"}]);
        for (terms, expected) in [
            (json!([{"matchFields":[field(json!(["n"]))]}]), Some(vec!["n"])),
            (
                json!([{"matchFields":[field(json!(["n"]))],"matchExpressions":label}]),
                Some(vec!["n"]),
            ),
            (
                json!([{"matchFields":[field(json!(["n", "m"])), field(json!(["m", "o"]))]}]),
                Some(vec!["m"]),
            ),
            (
                json!([{"matchFields":[field(json!(["n"]))]}, {"matchFields":[field(json!(["m"]))]}]),
                Some(vec!["m", "n"]),
            ),
            (json!([{"matchFields":[field(json!(["n"]))]}, {"matchExpressions":label}]), None),
            (
                json!([{"matchFields":[{"key":"metadata.name","operator":"NotIn","values":["n"]}]}]),
                None,
            ),
        ] {
            let affinity = json!({"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":terms}}});
            let spec = serde_json::from_value(json!({"containers":[],"affinity":affinity}))
                .expect("a PodSpec");
            assert_eq!(named(&spec).map(|it| it.into_iter().collect()), expected, "{terms}");
        }
        assert_eq!(named(&PodSpec::default()), None);
    }

    #[test]
    fn affinity_and_selector_are_both_asked() {
        let node: Node =
            serde_json::from_value(json!({"metadata":{"name":"n","labels":{"a":"b","cpus":"8"}}}))
                .expect("a Node");
        let expression = |operator: &str, values: Value| json!([{"matchExpressions":[{"key":"cpus","operator":operator,"values":values}]}]);
        let field = |name: &str| json!([{"matchFields":[{"key":"metadata.name","operator":"In","values":[name]}]}]);
        for (terms, expected) in [
            (field("n"), true),
            (field("m"), false),
            (expression("Gt", json!(["4"])), true),
            (expression("Lt", json!(["4"])), false),
            (expression("NotIn", json!(["4"])), true),
            (expression("Exists", json!(null)), true),
            (expression("Odd", json!(null)), false),
            (json!([{}]), false),
            (json!([{}, {"matchExpressions":[{"key":"a","operator":"In","values":["b"]}]}]), true),
            (
                json!([{"matchFields":field("n")[0]["matchFields"],"matchExpressions":expression("Lt", json!(["4"]))[0]["matchExpressions"]}]),
                false,
            ),
        ] {
            let affinity = json!({"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":terms}}});
            let mut spec = json!({"containers":[],"affinity":affinity,"nodeSelector":{"a":"b"}});
            let fits = |spec: &Value| {
                selects(&serde_json::from_value(spec.clone()).expect("a PodSpec"), &node)
            };
            assert_eq!(fits(&spec), expected, "{spec}");
            spec["nodeSelector"] = json!({"a":"c"});
            assert!(!fits(&spec), "{spec}");
        }
    }
}
