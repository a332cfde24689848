//! How evenly a pod wants those of its kind to be spread over nodes.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::{Pod, TopologySpreadConstraint};
use kube::ResourceExt;

use super::case::{Case, View};
use crate::controllers::node_fit;
use crate::controllers::selector::{self, is_empty, matches};

const UNEVEN: &str = "node(s) didn't match pod topology spread constraints";
const UNKNOWN: &str =
    "node(s) didn't match pod topology spread constraints (missing required label)";

/// Why a node would make it uneven, and whether it would without any other pod.
pub(super) fn refusal(case: &Case<'_>, view: &View<'_>, at: usize) -> Option<(&'static str, bool)> {
    let all = case.spec.topology_spread_constraints.as_deref().unwrap_or_default();
    let hard: Vec<_> = all.iter().filter(|it| it.when_unsatisfiable == "DoNotSchedule").collect();
    for constraint in &hard {
        let Some(value) = view.places[at].node.labels().get(&constraint.topology_key) else {
            return Some((UNKNOWN, true));
        };
        let counts = counts(case, view, constraint, &hard);
        let enough = counts.len() >= constraint.min_domains.unwrap_or(1).max(0) as usize;
        // With fewer domains than there should be, one that is not there yet has none.
        let least = if enough { counts.values().min().copied().unwrap_or(i64::MAX) } else { 0 };
        let own = i64::from(is_counted(constraint, case.pod, case.pod));
        let here = counts.get(value.as_str()).copied().unwrap_or(0);
        if (here + own).saturating_sub(least) > i64::from(constraint.max_skew) {
            return Some((UNEVEN, false));
        }
    }
    None
}

/// How many pods of its kind each domain has. Only nodes count that the pod might run on, and that know all the keys.
fn counts<'a>(
    case: &Case<'_>,
    view: &'a View<'_>,
    constraint: &TopologySpreadConstraint,
    all: &[&TopologySpreadConstraint],
) -> HashMap<&'a str, i64> {
    let honored =
        |policy: &Option<String>, usual: &str| policy.as_deref().unwrap_or(usual) == "Honor";
    let affinity = honored(&constraint.node_affinity_policy, "Honor");
    let taints = honored(&constraint.node_taints_policy, "Ignore");
    let says_nothing = says_nothing(constraint, case.pod);
    let mut counts = HashMap::new();
    for place in &view.places {
        let labels = place.node.labels();
        let known = all.iter().all(|it| labels.contains_key(&it.topology_key));
        let selected = !affinity || node_fit::selects(case.spec, place.node);
        let effects = ["NoSchedule", "NoExecute"];
        let open = !taints || node_fit::untolerated(case.spec, place.node, &effects).is_none();
        let Some(value) = labels.get(&constraint.topology_key) else { continue };
        if !(known && selected && open) {
            continue;
        }
        let here = place.load.pods().filter(|other| {
            let staying = other.metadata.deletion_timestamp.is_none();
            staying && !says_nothing && is_counted(constraint, case.pod, other)
        });
        *counts.entry(value.as_str()).or_insert(0) += here.count() as i64;
    }
    counts
}

/// Who asks for everybody counts nobody: so real schedulers have it.
fn says_nothing(constraint: &TopologySpreadConstraint, owner: &Pod) -> bool {
    let keys = constraint.match_label_keys.as_deref().unwrap_or_default();
    constraint.label_selector.as_ref().is_none_or(is_empty)
        && !keys.iter().any(|key| owner.labels().contains_key(key))
}

/// Is it of the kind that the constraint of `owner` is about?
fn is_counted(constraint: &TopologySpreadConstraint, owner: &Pod, other: &Pod) -> bool {
    let selector = constraint.label_selector.as_ref();
    owner.namespace() == other.namespace()
        && selector.is_some_and(|it| matches(it, other.metadata.labels.as_ref()))
        && selector::agree(constraint.match_label_keys.as_deref(), &owner.metadata, &other.metadata)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::case::tests::{World, pod};
    use super::*;

    /// Two nodes of one zone with two pods and none, one of another zone with one, one without a zone.
    fn world() -> World {
        let mut world = World::with(
            json!({"a": {"zone": "1"}, "b": {"zone": "1"}, "c": {"zone": "2"}, "d": {}}),
        );
        let web = json!({"metadata": {"labels": {"app": "web", "v": "1"}}});
        world.put(0, "one", web.clone());
        world.put(0, "two", web.clone());
        world.put(2, "three", web.clone());
        let leaving = json!({"metadata": {"labels": {"app": "web"}, "deletionTimestamp": "2026-01-01T00:00:00Z"}});
        world.put(2, "leaving", leaving);
        let mut other = web;
        other["metadata"]["namespace"] = "other".into();
        world.put(2, "other", other);
        world
    }

    fn spread(more: Value) -> Pod {
        let mut constraint = json!({"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "web"}}});
        let spec = more.get("spec").cloned().unwrap_or_else(|| json!({}));
        if let Some(more) = more.get("constraint").and_then(Value::as_object) {
            constraint.as_object_mut().expect("an object").extend(more.clone());
        }
        let mut whole = json!({"metadata": {"labels": {"app": "web", "v": "2"}}, "spec": spec});
        whole["spec"]["topologySpreadConstraints"] = json!([constraint]);
        pod(whole)
    }

    #[test]
    fn no_domain_has_too_many_more_than_another() {
        let tainted = |world: &mut World, at: usize| {
            world.node(at).spec =
                serde_json::from_value(json!({"taints": [{"key": "k", "effect": "NoSchedule"}]}))
                    .expect("a NodeSpec");
        };
        let mut closed = world();
        tainted(&mut closed, 2);
        let taint = "node(s) had untolerated taint {k: }";
        let selector = "node(s) didn't match Pod's node affinity/selector";
        let of = |constraint: Value| json!({"constraint": constraint});
        for (world, asked, expected) in [
            (world(), json!({}), [UNEVEN, UNEVEN, "", UNKNOWN]),
            (world(), of(json!({"maxSkew": 2})), ["", "", "", UNKNOWN]),
            (world(), of(json!({"whenUnsatisfiable": "ScheduleAnyway"})), [""; 4]),
            // A third zone that is not there has none.
            (world(), of(json!({"minDomains": 3, "maxSkew": 2})), [UNEVEN, UNEVEN, "", UNKNOWN]),
            (world(), of(json!({"minDomains": 2, "maxSkew": 2})), ["", "", "", UNKNOWN]),
            // Of the second version there is none yet.
            (world(), of(json!({"matchLabelKeys": ["v"]})), ["", "", "", UNKNOWN]),
            (world(), of(json!({"matchLabelKeys": ["none"]})), [UNEVEN, UNEVEN, "", UNKNOWN]),
            (
                world(),
                of(json!({"labelSelector": {"matchLabels": {"app": "db"}}})),
                ["", "", "", UNKNOWN],
            ),
            (world(), of(json!({"labelSelector": {}})), ["", "", "", UNKNOWN]),
            // A node that the pod may not run on counts, unless told otherwise.
            (closed, json!({}), [UNEVEN, UNEVEN, taint, UNKNOWN]),
            (
                {
                    let mut closed = self::world();
                    tainted(&mut closed, 2);
                    closed
                },
                of(json!({"nodeTaintsPolicy": "Honor"})),
                ["", "", taint, UNKNOWN],
            ),
            (
                self::world(),
                json!({"spec": {"nodeSelector": {"zone": "1"}}}),
                ["", "", selector, selector],
            ),
            (
                self::world(),
                json!({"spec": {"nodeSelector": {"zone": "1"}}, "constraint": {"nodeAffinityPolicy": "Ignore"}}),
                [UNEVEN, UNEVEN, selector, selector],
            ),
        ] {
            let answers = world.asked(&spread(asked.clone())).into_iter();
            let said: Vec<String> = answers
                .map(|it| it.err().map_or(String::new(), |it| it.reasons.join(", ")))
                .collect();
            assert_eq!(said, expected, "{asked}");
        }
        let hopeless: Vec<bool> = world()
            .asked(&spread(json!({})))
            .into_iter()
            .map(|it| it.err().is_some_and(|it| it.hopeless))
            .collect();
        assert_eq!(hopeless, [false, false, false, true]);
    }
}
