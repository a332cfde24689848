//! Pods that find no place, make others go for one, or get it once it is there.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::scheduling::v1::PriorityClass;

use super::*;
use crate::controllers::pods::node as place;

const NOBODY: &str =
    " preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.";

/// One that asks for so many of the node's 64 processors.
fn asks(name: &str, cpu: &str, more: Value) -> Value {
    let mut pod = json!({"metadata": {"name": name, "labels": {"app": name}}, "spec": {
        "containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}]}});
    for (field, value) in more.as_object().expect("an object") {
        pod["spec"][field] = value.clone();
    }
    pod
}

fn near(kind: &str, app: &str, more: Value) -> Value {
    let mut term = json!({"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": app}}});
    term.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
    json!({"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}})
}

/// Waits until a pod was told why it waits.
async fn waits(world: &World, name: &str, why: &str) {
    let pods: Api<Pod> = world.api();
    until(&pods, &format!("{name} told {why}"), |pods| {
        let pod = pods.iter().find(|pod| pod.name_any() == name);
        let conditions = pod.and_then(|pod| pod.status.as_ref()?.conditions.as_ref());
        conditions.into_iter().flatten().any(|it| {
            (it.type_.as_str(), it.reason.as_deref()) == ("PodScheduled", Some("Unschedulable"))
                && it.message.as_deref() == Some(why)
        })
    })
    .await;
    said(world, "FailedScheduling", why).await;
}

async fn runs(world: &World, name: &str) -> Pod {
    let pods: Api<Pod> = world.api();
    let seen = until(&pods, &format!("{name} on its node"), |pods| {
        pods.iter().any(|pod| pod.name_any() == name && place(pod) == "n")
    })
    .await;
    seen.into_iter().find(|pod| pod.name_any() == name).expect("it was seen")
}

async fn class(world: &World, name: &str, value: i32) {
    let class = json!({"metadata": {"name": name}, "value": value});
    let class: PriorityClass = serde_json::from_value(class).expect("a PriorityClass");
    let classes: Api<PriorityClass> = Api::all(world.client.clone());
    classes.create(&PostParams::default(), &class).await.expect("creates");
}

async fn cordon(world: &World, closed: bool) {
    let nodes: Api<Node> = Api::all(world.client.clone());
    let patch = Patch::Merge(json!({"spec": {"unschedulable": closed}}));
    nodes.patch("n", &PatchParams::default(), &patch).await.expect("patches");
}

#[tokio::test]
async fn who_waits_is_told_of_nodes_that_have_nothing_yet_and_of_those_that_have_gone() {
    let world = World::new().await;
    world.create::<Pod>(asks("huge", "65", json!({}))).await;
    let told = |count: usize, why: &str| {
        let of = format!("0/{count} nodes are available:");
        format!("{of} {why}. preemption: {of} {count} Preemption is not helpful for scheduling.")
    };
    waits(&world, "huge", &told(1, "1 Insufficient cpu")).await;
    let nodes: Api<Node> = Api::all(world.client.clone());
    let silent = json!({"metadata": {"name": "silent"}});
    let silent: Node = serde_json::from_value(silent).expect("a Node");
    nodes.create(&PostParams::default(), &silent).await.expect("creates");
    waits(&world, "huge", &told(2, "1 Too many pods, 2 Insufficient cpu")).await;
    nodes.delete("silent", &DeleteParams::default()).await.expect("deletes");
    waits(&world, "huge", &told(1, "1 Insufficient cpu")).await;
    world.stop().await;
}

#[tokio::test]
async fn who_finds_no_room_waits_for_who_ends_or_goes() {
    let world = World::new().await;
    let pods: Api<Pod> = world.api();
    world.create::<Pod>(asks("first", "40", json!({}))).await;
    world.create::<Pod>(asks("second", "24", json!({}))).await;
    world.create::<Pod>(asks("third", "30", json!({}))).await;
    world.create::<Pod>(asks("huge", "65", json!({}))).await;
    waits(&world, "third", &format!("0/1 nodes are available: 1 Insufficient cpu.{NOBODY}")).await;
    let useless =
        " preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
    waits(&world, "huge", &format!("0/1 nodes are available: 1 Insufficient cpu.{useless}")).await;
    let ended = Patch::Merge(json!({"status": {"phase": "Succeeded"}}));
    pods.patch_status("second", &PatchParams::default(), &ended).await.expect("patches");
    // Too little yet.
    world.create::<Pod>(asks("fourth", "20", json!({}))).await;
    runs(&world, "fourth").await;
    assert_eq!(place(&pods.get("third").await.expect("reads")), "");
    pods.delete("first", &DeleteParams::default()).await.expect("deletes");
    runs(&world, "third").await;
    // A node that has more than before takes whom it refused.
    let nodes: Api<Node> = Api::all(world.client.clone());
    let more = Patch::Merge(json!({"status": {"allocatable": {"cpu": "128"}}}));
    nodes.patch_status("n", &PatchParams::default(), &more).await.expect("patches");
    runs(&world, "huge").await;
    world.stop().await;
}

#[tokio::test]
async fn pods_wait_for_company_and_for_others_to_leave() {
    let world = World::new().await;
    let pods: Api<Pod> = world.api();
    let nodes: Api<Node> = Api::all(world.client.clone());
    let label = Patch::Merge(json!({"metadata": {"labels": {"kubernetes.io/hostname": "n"}}}));
    nodes.patch("n", &PatchParams::default(), &label).await.expect("patches");
    let port =
        json!([{"name": "c", "image": "i", "ports": [{"containerPort": 80, "hostPort": 8080}]}]);
    world.create::<Pod>(asks("web", "1", json!({"containers": port}))).await;
    runs(&world, "web").await;
    world.create::<Pod>(asks("port", "1", json!({"containers": port}))).await;
    let spread = json!([{"topologyKey": "kubernetes.io/hostname", "maxSkew": 1, "minDomains": 2,
        "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"kind": "even"}}}]);
    let even = |name: &str| {
        let mut pod = asks(name, "1", json!({"topologySpreadConstraints": spread}));
        pod["metadata"]["labels"] = json!({"kind": "even"});
        pod
    };
    world.create::<Pod>(even("even-1")).await;
    runs(&world, "even-1").await;
    world.create::<Pod>(even("even-2")).await;
    let team = json!({"namespaceSelector": {"matchLabels": {"team": "x"}}});
    for (name, wants) in [
        ("apart", near("podAntiAffinity", "web", json!({}))),
        ("beside", near("podAffinity", "other", json!({}))),
        ("elsewhere", near("podAffinity", "web", team)),
    ] {
        world.create::<Pod>(asks(name, "1", wants)).await;
    }
    let useless =
        " preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
    for (name, why, then) in [
        ("port", "node(s) didn't have free ports for the requested pod ports", NOBODY),
        ("even-2", "node(s) didn't match pod topology spread constraints", NOBODY),
        ("apart", "node(s) didn't match pod anti-affinity rules", NOBODY),
        ("beside", "node(s) didn't match pod affinity rules", useless),
        ("elsewhere", "node(s) didn't match pod affinity rules", useless),
    ] {
        waits(&world, name, &format!("0/1 nodes are available: 1 {why}.{then}")).await;
    }
    // A namespace that is called so, too.
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    let label = Patch::Merge(json!({"metadata": {"labels": {"team": "x"}}}));
    namespaces.patch("default", &PatchParams::default(), &label).await.expect("patches");
    runs(&world, "elsewhere").await;
    // One that comes, one whose labels change, and one that leaves.
    world.create::<Pod>(asks("other", "1", json!({}))).await;
    runs(&world, "beside").await;
    let relabel = Patch::Merge(json!({"metadata": {"labels": {"app": "other", "kind": null}}}));
    for name in ["web", "even-1"] {
        pods.patch(name, &PatchParams::default(), &relabel).await.expect("patches");
    }
    runs(&world, "apart").await;
    runs(&world, "even-2").await;
    world.create::<Pod>(asks("web-2", "1", json!({}))).await;
    runs(&world, "web-2").await;
    let mut shunned = asks("shunned", "1", json!({}));
    shunned["metadata"]["labels"] = json!({"app": "web"});
    world.create::<Pod>(shunned).await;
    let why = "node(s) didn't satisfy existing pods anti-affinity rules";
    waits(&world, "shunned", &format!("0/1 nodes are available: 1 {why}.{NOBODY}")).await;
    for name in ["web", "apart"] {
        pods.delete(name, &DeleteParams::default()).await.expect("deletes");
    }
    runs(&world, "port").await;
    runs(&world, "shunned").await;
    world.stop().await;
}

#[tokio::test]
async fn a_claim_for_one_pod_goes_from_one_to_the_next() {
    let world = World::new().await;
    let claim = json!({"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOncePod"],
        "resources": {"requests": {"storage": "1Gi"}}}});
    world.create::<k8s_openapi::api::core::v1::PersistentVolumeClaim>(claim).await;
    let user = json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]});
    world.create::<Pod>(asks("one", "1", user.clone())).await;
    runs(&world, "one").await;
    world.create::<Pod>(asks("two", "1", user)).await;
    let why = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";
    waits(&world, "two", &format!("0/1 nodes are available: 1 {why}.{NOBODY}")).await;
    let pods: Api<Pod> = world.api();
    pods.delete("one", &DeleteParams::default()).await.expect("deletes");
    runs(&world, "two").await;
    world.stop().await;
}

#[tokio::test]
async fn the_important_come_first_and_the_least_important_make_way() {
    let world = World::new().await;
    let pods: Api<Pod> = world.api();
    class(&world, "high", 1000).await;
    class(&world, "low", -5).await;
    let high = || json!({"priorityClassName": "high"});
    // Of those who wait for one room, the most important one has it.
    cordon(&world, true).await;
    for (name, class) in [("a-low", "low"), ("b-high", "high"), ("c-low", "low")] {
        world.create::<Pod>(asks(name, "40", json!({"priorityClassName": class}))).await;
        let why = "0/1 nodes are available: 1 node(s) were unschedulable. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
        waits(&world, name, why).await;
    }
    cordon(&world, false).await;
    runs(&world, "b-high").await;
    waits(&world, "c-low", &format!("0/1 nodes are available: 1 Insufficient cpu.{NOBODY}")).await;
    for name in ["a-low", "b-high", "c-low"] {
        pods.delete(name, &DeleteParams::default()).await.expect("deletes");
    }
    until(&pods, "no pod", |pods| pods.is_empty()).await;

    // A budget keeps one of two; the other one makes way, and is told for whom.
    let budget = json!({"metadata": {"name": "kept"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "kept"}}}});
    world.create::<PodDisruptionBudget>(budget).await;
    world.create::<Pod>(asks("gone", "30", json!({}))).await;
    world.create::<Pod>(asks("kept", "30", json!({"priorityClassName": "low"}))).await;
    for name in ["gone", "kept"] {
        runs(&world, name).await;
    }
    let pinned = Patch::Merge(json!({"metadata": {"finalizers": ["example.com/wait"]}}));
    pods.patch("gone", &PatchParams::default(), &pinned).await.expect("patches");
    let mut never = asks("never", "20", high());
    never["spec"]["priorityClassName"] = "polite".into();
    let polite =
        json!({"metadata": {"name": "polite"}, "value": 2000, "preemptionPolicy": "Never"});
    let polite = serde_json::from_value(polite).expect("a PriorityClass");
    let classes: Api<PriorityClass> = Api::all(world.client.clone());
    classes.create(&PostParams::default(), &polite).await.expect("creates");
    world.create::<Pod>(never).await;
    let why = "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never.";
    waits(&world, "never", why).await;
    pods.delete("never", &DeleteParams::default()).await.expect("deletes");

    let asked = world.create::<Pod>(asks("asked", "30", high())).await;
    let message = format!("Preempted by pod {} on node n", asked.uid().expect("a uid"));
    said(&world, "Preempted", &message).await;
    let nominated = |pod: &Pod| pod.status.as_ref()?.nominated_node_name.clone();
    let leaving = pods.get("gone").await.expect("it is pinned");
    assert!(leaving.metadata.deletion_timestamp.is_some());
    let conditions = leaving.status.and_then(|status| status.conditions).expect("conditions");
    let mark = conditions.into_iter().find(|it| it.type_ == "DisruptionTarget").expect("a mark");
    assert_eq!(mark.reason.as_deref(), Some("PreemptionByScheduler"));
    let text = "default-scheduler: preempting to accommodate a higher priority pod";
    assert_eq!((mark.status.as_str(), mark.message.as_deref()), ("True", Some(text)));
    let waiting = pods.get("asked").await.expect("reads");
    assert_eq!((nominated(&waiting).as_deref(), place(&waiting)), (Some("n"), ""));
    // The room is kept for it: what would fit now, but not beside it, waits.
    world.create::<Pod>(asks("small", "5", json!({"priorityClassName": "low"}))).await;
    waits(&world, "small", &format!("0/1 nodes are available: 1 Insufficient cpu.{NOBODY}")).await;
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    pods.patch("gone", &PatchParams::default(), &free).await.expect("patches");
    runs(&world, "asked").await;
    assert_eq!(place(&pods.get("kept").await.expect("it is kept")), "n");
    world.stop().await;
}

#[tokio::test]
async fn nobody_is_given_what_another_has_just_got() {
    let world = World::new().await;
    let pods: Api<Pod> = world.api();
    let all = (0..40).map(|at| {
        let pods = pods.clone();
        async move {
            let pod = asks(&format!("p{at}"), "3", json!({}));
            let pod = serde_json::from_value(pod).expect("a Pod");
            pods.create(&PostParams::default(), &pod).await.expect("creates");
        }
    });
    futures::stream::iter(all).buffer_unordered(8).collect::<Vec<_>>().await;
    let told = |pod: &Pod| {
        let conditions = pod.status.as_ref().and_then(|it| it.conditions.as_ref());
        let refused = conditions.into_iter().flatten().any(|it| it.status == "False");
        place(pod) == "n" || refused
    };
    let seen = until(&pods, "all decided", |pods| pods.iter().all(told)).await;
    assert_eq!(seen.iter().filter(|pod| place(pod) == "n").count(), 21, "63 of 64");
    world.stop().await;
}
