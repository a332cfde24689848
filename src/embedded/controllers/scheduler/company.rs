//! Which pods a pod wants to be near, which it keeps away from, and which keep away from it.

use k8s_openapi::api::core::v1::{Namespace, Pod, PodAffinityTerm, PodSpec};
use kube::ResourceExt;

use super::case::{Case, View};
use crate::controllers::cache::Cache;
use crate::controllers::key::Key;
use crate::controllers::selector::{self, matches};

/// What a pod asks of others.
fn near(spec: &PodSpec) -> &[PodAffinityTerm] {
    let affinity = spec.affinity.as_ref().and_then(|it| it.pod_affinity.as_ref());
    let terms =
        affinity.and_then(|it| it.required_during_scheduling_ignored_during_execution.as_deref());
    terms.unwrap_or_default()
}

fn away(spec: &PodSpec) -> &[PodAffinityTerm] {
    let affinity = spec.affinity.as_ref().and_then(|it| it.pod_anti_affinity.as_ref());
    let terms =
        affinity.and_then(|it| it.required_during_scheduling_ignored_during_execution.as_deref());
    terms.unwrap_or_default()
}

/// Whether `term`, which `owner` has, is about another pod.
fn is_about(
    term: &PodAffinityTerm,
    owner: &Pod,
    other: &Pod,
    namespaces: &Cache<Namespace>,
) -> bool {
    let namespace = other.namespace().unwrap_or_default();
    let listed = term.namespaces.as_deref().unwrap_or_default();
    let own = listed.is_empty() && term.namespace_selector.is_none();
    let among = || {
        let selector = term.namespace_selector.as_ref()?;
        let labels = namespaces.get(&Key::new("", &namespace))?.metadata.labels.clone();
        Some(matches(selector, labels.as_ref()))
    };
    let there = (own && owner.namespace().unwrap_or_default() == namespace)
        || listed.contains(&namespace)
        || among().unwrap_or(false);
    // The keys take part beside a selector only; without one nobody is meant.
    there
        && term
            .label_selector
            .as_ref()
            .is_some_and(|it| matches(it, other.metadata.labels.as_ref()))
        && selector::agree(term.match_label_keys.as_deref(), &owner.metadata, &other.metadata)
        && selector::differ(term.mismatch_label_keys.as_deref(), &owner.metadata, &other.metadata)
}

/// Why the pod may not be on a node, and whether that would be so without any other pod.
pub(super) fn refusal(case: &Case<'_>, view: &View<'_>, at: usize) -> Option<(&'static str, bool)> {
    if !is_near(case, view, at) {
        return Some(("node(s) didn't match pod affinity rules", true));
    }
    let here = |key: &str| view.places[at].node.labels().get(key);
    // Pods of the nodes that are the same as this one, by what a term goes by.
    let beside = |key: &str| {
        let value = here(key);
        let same = view.places.iter().filter(move |it| {
            value.is_some() && it.node.metadata.labels.as_ref().and_then(|it| it.get(key)) == value
        });
        same.flat_map(|place| place.load.pods()).collect::<Vec<_>>()
    };
    let avoided = away(case.spec).iter().any(|term| {
        let others = beside(&term.topology_key);
        others.into_iter().any(|other| is_about(term, case.pod, other, view.namespaces))
    });
    if avoided {
        return Some(("node(s) didn't match pod anti-affinity rules", false));
    }
    let avoids = view.places.iter().any(|place| {
        let there = place.node.labels();
        place.load.pods().any(|other| {
            other.spec.iter().flat_map(away).any(|term| {
                let key = &term.topology_key;
                here(key).is_some_and(|value| there.get(key) == Some(value))
                    && is_about(term, other, case.pod, view.namespaces)
            })
        })
    });
    avoids.then_some(("node(s) didn't satisfy existing pods anti-affinity rules", false))
}

/// Is all there that the pod wants to be near?
fn is_near(case: &Case<'_>, view: &View<'_>, at: usize) -> bool {
    let terms = near(case.spec);
    let labels = view.places[at].node.labels();
    if !terms.iter().all(|term| labels.contains_key(&term.topology_key)) {
        return false;
    }
    let meant =
        |other: &Pod| terms.iter().all(|term| is_about(term, case.pod, other, view.namespaces));
    if terms.is_empty() {
        return true;
    }
    let found = view.places.iter().filter(|place| place.load.pods().any(meant));
    let found: Vec<_> = found.map(|place| place.node.labels()).collect();
    let there = |term: &PodAffinityTerm| {
        let key = &term.topology_key;
        found.iter().any(|other| other.contains_key(key) && other.get(key) == labels.get(key))
    };
    if terms.iter().all(there) {
        return true;
    }
    // The first of those that want to be near each other finds nobody.
    let nobody =
        !found.iter().any(|it| terms.iter().any(|term| it.contains_key(&term.topology_key)));
    nobody && meant(case.pod)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::case::tests::{World, pod};
    use super::*;

    const NEAR: &str = "node(s) didn't match pod affinity rules";
    const AWAY: &str = "node(s) didn't match pod anti-affinity rules";
    const SHUNNED: &str = "node(s) didn't satisfy existing pods anti-affinity rules";

    fn wants(kind: &str, term: Value) -> Value {
        let mut whole = json!({"topologyKey": "zone"});
        whole
            .as_object_mut()
            .expect("an object")
            .extend(term.as_object().cloned().expect("an object"));
        json!({kind: {"requiredDuringSchedulingIgnoredDuringExecution": [whole]}})
    }

    fn labelled(labels: Value, affinity: Value) -> Value {
        json!({"metadata": {"labels": labels}, "spec": {"affinity": affinity}})
    }

    /// Two zones, the first of two nodes, with a pod on the second of them.
    fn world(there: Value) -> World {
        let mut world = World::with(
            json!({"a": {"zone": "1"}, "b": {"zone": "1"}, "c": {"zone": "2"}, "d": {}}),
        );
        world.put(1, "there", there);
        world
    }

    fn said(world: &World, pod: &Pod) -> Vec<String> {
        let answers = world.asked(pod).into_iter();
        answers.map(|it| it.err().map_or(String::new(), |it| it.reasons.join(", "))).collect()
    }

    fn app(name: &str) -> Value {
        json!({"labelSelector": {"matchLabels": {"app": name}}})
    }

    #[test]
    fn pods_are_near_those_that_they_name_and_away_from_others() {
        let web = || json!({"app": "web", "v": "1"});
        let world = world(labelled(web(), Value::Null));
        let both = |more: Value| {
            let mut term = app("web");
            term.as_object_mut()
                .expect("an object")
                .extend(more.as_object().cloned().expect("an object"));
            term
        };
        for (labels, affinity, expected) in [
            (json!({}), wants("podAffinity", app("web")), ["", "", NEAR, NEAR]),
            (json!({}), wants("podAntiAffinity", app("web")), [AWAY, AWAY, "", ""]),
            (json!({}), wants("podAffinity", app("db")), [NEAR; 4]),
            (json!({}), wants("podAntiAffinity", app("db")), [""; 4]),
            // The first of its kind goes wherever the key is.
            (json!({"app": "db"}), wants("podAffinity", app("db")), ["", "", "", NEAR]),
            // One selector is of nobody, the other of everybody.
            (json!({}), wants("podAntiAffinity", json!({})), [""; 4]),
            (
                json!({}),
                wants("podAntiAffinity", json!({"labelSelector": {}})),
                [AWAY, AWAY, "", ""],
            ),
            (
                json!({"v": "2"}),
                wants("podAntiAffinity", both(json!({"matchLabelKeys": ["v"]}))),
                [""; 4],
            ),
            (
                json!({"v": "1"}),
                wants("podAntiAffinity", both(json!({"matchLabelKeys": ["v", "none"]}))),
                [AWAY, AWAY, "", ""],
            ),
            (
                json!({"v": "1"}),
                wants("podAntiAffinity", both(json!({"mismatchLabelKeys": ["v"]}))),
                [""; 4],
            ),
            (
                json!({"v": "2"}),
                wants("podAntiAffinity", both(json!({"mismatchLabelKeys": ["v"]}))),
                [AWAY, AWAY, "", ""],
            ),
        ] {
            let pod = pod(labelled(labels, affinity.clone()));
            assert_eq!(said(&world, &pod), expected, "{affinity}");
        }
        let hopeless = |affinity| world.says(&pod(labelled(json!({}), affinity))).1;
        assert!(hopeless(wants("podAffinity", app("db"))));
        assert!(!hopeless(wants("podAntiAffinity", app("web"))));
    }

    #[test]
    fn who_is_there_keeps_others_away() {
        let world = world(labelled(json!({}), wants("podAntiAffinity", app("web"))));
        let web = pod(labelled(json!({"app": "web"}), Value::Null));
        assert_eq!(said(&world, &web), [SHUNNED, SHUNNED, "", ""]);
        let db = pod(labelled(json!({"app": "db"}), Value::Null));
        assert_eq!(said(&world, &db), [""; 4]);
    }

    #[test]
    fn namespaces_are_ones_own_or_named_or_selected() {
        let mut there = labelled(json!({"app": "web"}), Value::Null);
        there["metadata"]["namespace"] = "other".into();
        let world = world(there);
        let other =
            json!({"metadata": {"name": "other", "resourceVersion": "1", "labels": {"team": "x"}}});
        let namespaces = world.namespaces.clone().expect("there are namespaces");
        namespaces.put(serde_json::from_value(other).expect("a Namespace"));
        for (more, meant) in [
            (json!({}), false),
            (json!({"namespaces": ["other"]}), true),
            (json!({"namespaces": ["third"]}), false),
            (json!({"namespaceSelector": {}}), true),
            (json!({"namespaceSelector": {"matchLabels": {"team": "x"}}}), true),
            (json!({"namespaceSelector": {"matchLabels": {"team": "y"}}}), false),
            (
                json!({"namespaces": ["other"], "namespaceSelector": {"matchLabels": {"team": "y"}}}),
                true,
            ),
        ] {
            let mut term = app("web");
            term.as_object_mut()
                .expect("an object")
                .extend(more.as_object().cloned().expect("an object"));
            let pod = pod(labelled(json!({}), wants("podAntiAffinity", term)));
            assert_eq!(said(&world, &pod)[0], if meant { AWAY } else { "" }, "{more}");
        }
    }
}
