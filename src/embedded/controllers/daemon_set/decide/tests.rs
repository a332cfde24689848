//! Nodes that want a pod, and updates with and without surge.

use serde_json::{Value, json};

use super::super::nodes::{pod, target};
use super::super::status::status;
use super::*;

fn set(strategy: Value) -> DaemonSet {
    serde_json::from_value(json!({"metadata":{"name":"agent","namespace":"ns","uid":"d","generation":1},"spec":{
        "selector":{"matchLabels":{"a":"b"}},"updateStrategy":strategy,
        "template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c"}],"nodeSelector":{"os":"linux"}}}}}))
    .expect("a DaemonSet")
}

fn rolling(unavailable: Value, surge: Value) -> DaemonSet {
    set(
        json!({"type":"RollingUpdate","rollingUpdate":{"maxUnavailable":unavailable,"maxSurge":surge}}),
    )
}

fn node(name: &str, spec: Value) -> Arc<Node> {
    let os = if name == "w" { "windows" } else { "linux" };
    Arc::new(
        serde_json::from_value(json!({"metadata":{"name":name,"labels":{"os":os}},"spec":spec}))
            .expect("a Node"),
    )
}

fn nodes(names: &str) -> Vec<Arc<Node>> {
    names.split_whitespace().map(|name| node(name, json!({}))).collect()
}

fn now() -> Timestamp {
    "2026-01-01T00:01:00Z".parse().expect("a time")
}

/// `NAME@NODE` followed by `+` ready, `!` failed; `old` in the name for another template; `~` going.
fn pods(text: &str) -> Vec<Arc<Pod>> {
    let one = |text: &str| {
        let (name, rest) = text.split_once('@').expect("a node");
        let hash = if name.contains("old") { "old" } else { "new" };
        let phase = if rest.contains('!') { "Failed" } else { "Running" };
        let ready = rest.contains('+').then(|| json!([{"type":"Ready","status":"True","lastTransitionTime":"2026-01-01T00:00:30Z"}]));
        let going = rest.contains('~').then_some("2026-01-01T00:00:59Z");
        let created =
            if name.ends_with("young") { "2026-01-01T00:00:55Z" } else { "2026-01-01T00:00:00Z" };
        let node = rest.trim_end_matches(['+', '!', '~']);
        Arc::new(serde_json::from_value(json!({"metadata":{"name":name,"deletionTimestamp":going,"creationTimestamp":created,
            "labels":{"controller-revision-hash":hash}},"spec":{"nodeName":node,"containers":[]},
            "status":{"phase":phase,"conditions":ready}})).expect("a Pod"))
    };
    text.split_whitespace().map(one).collect()
}

fn said(plan: &Plan) -> String {
    let names = |pods: &[Arc<Pod>]| pods.iter().map(|pod| pod.name_any()).collect::<Vec<_>>();
    let mut all = Vec::new();
    all.extend(plan.create.iter().map(|node| format!("create {node}")));
    all.extend(names(&plan.delete).iter().map(|name| format!("delete {name}")));
    all.extend(names(&plan.ended).iter().map(|name| format!("ended {name}")));
    all.join(", ")
}

fn view<'v>(set: &'v DaemonSet, nodes: &'v [Arc<Node>], pods: &'v [Arc<Pod>]) -> View<'v> {
    View { set, nodes, pods, hash: "new", now: now() }
}

#[test]
fn every_node_that_fits_has_one_pod() {
    let set = rolling(json!(1), json!(0));
    for (on, text, expected) in [
        ("a b w", "", "create a, create b"),
        ("a", "x@a+", ""),
        ("a", "x@a+ y@a+", "delete y"),
        ("a", "x@a~", ""),
        ("a", "x@a!~", "create a"),
        ("a", "x@a!", "ended x"),
        ("a", "x-young@a!", ""),
        ("a w", "x@a+ y@w+", "delete y"),
        ("a", "x@a+ y@gone+", "delete y"),
        ("a", "x@a+ y@gone+~", ""),
    ] {
        let (nodes, pods) = (nodes(on), pods(text));
        assert_eq!(said(&view(&set, &nodes, &pods).manage()), expected, "{text} on {on}");
    }
    assert!(view(&set, &nodes("a"), &pods("x-young@a!")).manage().later);
}

#[test]
fn taints_and_cordons_are_what_they_are_to_daemons() {
    let set = rolling(json!(1), json!(0));
    let taint = |key: &str, effect: &str| json!({"taints":[{"key":key,"effect":effect}]});
    for (spec, expected) in [
        (json!({"unschedulable":true}), Fit::Wanted),
        (taint("node.kubernetes.io/unschedulable", "NoSchedule"), Fit::Wanted),
        (taint("node.kubernetes.io/not-ready", "NoExecute"), Fit::Wanted),
        (taint("mine", "PreferNoSchedule"), Fit::Wanted),
        (taint("mine", "NoSchedule"), Fit::Tolerated),
        (taint("mine", "NoExecute"), Fit::Unfit),
    ] {
        assert_eq!(fit(&set, &node("a", spec.clone())), expected, "{spec}");
    }
    let closed = [node("a", taint("mine", "NoSchedule"))];
    assert_eq!(said(&view(&set, &closed, &[]).manage()), "");
    assert_eq!(said(&view(&set, &closed, &pods("x@a+")).manage()), "");
}

#[test]
fn updates_take_away_as_many_as_they_may() {
    for (set, text, expected) in [
        (rolling(json!(1), json!(0)), "old-x@a+ old-y@b+ old-z@c+", "delete old-x"),
        (
            rolling(json!("50%"), json!(0)),
            "old-x@a+ old-y@b+ old-z@c+",
            "delete old-x, delete old-y",
        ),
        (rolling(json!(1), json!(0)), "x@a old-y@b+ old-z@c+", ""),
        (rolling(json!(1), json!(0)), "x@a+ old-y@b+ old-z@c+", "delete old-y"),
        (rolling(json!(1), json!(0)), "old-x@a+~ old-y@b+ old-z@c+", ""),
        // One that is not up is not missed.
        (rolling(json!(1), json!(0)), "old-x@a+ old-y@b old-z@c+", "delete old-y"),
        (set(json!({"type":"OnDelete"})), "old-x@a+", ""),
    ] {
        let (nodes, pods) = (nodes("a b c"), pods(text));
        assert_eq!(said(&view(&set, &nodes, &pods).roll()), expected, "{text}");
    }
}

#[test]
fn surges_bring_the_new_pod_first() {
    let set = rolling(json!(0), json!(1));
    for (text, managed, rolled) in [
        ("old-x@a+ old-y@b+", "", "create a"),
        ("old-x@a+ x@a old-y@b+", "", ""),
        ("old-x@a+ x@a+ old-y@b+", "delete old-x", "create b, delete old-x"),
        ("x@a+ old-y@b+", "", "create b"),
        ("old-x@a x@a old-y@b+", "delete old-x", ""),
        ("old-x@a old-y@b+", "", "create a, create b"),
        ("old-x@a+~ old-y@b+~", "create a, create b", ""),
    ] {
        let (nodes, pods) = (nodes("a b"), pods(text));
        let view = view(&set, &nodes, &pods);
        assert_eq!(
            (said(&view.manage()).as_str(), said(&view.roll()).as_str()),
            (managed, rolled),
            "{text}"
        );
    }
}

#[test]
fn the_status_counts_nodes() {
    let mut set = rolling(json!(1), json!(0));
    set.spec.min_ready_seconds = Some(60);
    let (nodes, pods) = (nodes("a b c w"), pods("x@a+ old-y@b+ z@w+"));
    let status = status(&view(&set, &nodes, &pods));
    assert_eq!(
        serde_json::to_value(status).expect("JSON"),
        json!({"desiredNumberScheduled":3,"currentNumberScheduled":2,"numberMisscheduled":1,"numberReady":2,
            "updatedNumberScheduled":1,"numberUnavailable":3,"observedGeneration":1})
    );
}

#[test]
fn pods_name_their_node_and_tolerate_what_daemons_do() {
    let mut set = rolling(json!(1), json!(0));
    let spec = set.spec.template.spec.as_mut().expect("a spec");
    spec.host_network = Some(true);
    spec.affinity = serde_json::from_value(
        json!({"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":
        {"nodeSelectorTerms":[{"matchExpressions":[{"key":"os","operator":"Exists"}]}]}}}),
    )
    .ok();
    let made = pod(&set, "a", "new").expect("a pod");
    assert_eq!(target(&made).as_deref(), Some("a"));
    assert_eq!(made.metadata.generate_name.as_deref(), Some("agent-"));
    let spec = made.spec.as_ref().expect("a spec");
    assert_eq!(spec.tolerations.as_ref().map(Vec::len), Some(7));
    let again = pod(&set, "a", "new").expect("a pod");
    assert_eq!(again, made);
}
