//! Taints that come with a node's state, and pods that go for taints.

use super::*;

async fn taint(world: &World, taints: Value) {
    let nodes: Api<Node> = Api::all(world.client.clone());
    let patch = Patch::Merge(json!({"spec": {"taints": taints}}));
    nodes.patch("n", &PatchParams::default(), &patch).await.expect("patches");
}

#[tokio::test]
async fn pods_leave_a_node_that_does_not_want_them_when_their_time_is_over() {
    let world = World::new().await;
    let pods: Api<Pod> = world.api();
    let pod = |name: &str, tolerations: Value| {
        json!({"metadata": {"name": name}, "spec": {"tolerations": tolerations,
            "containers": [{"name": "c", "image": "i"}]}})
    };
    let tolerates = |seconds: Option<i64>| json!([{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}]);
    for (name, tolerations) in [
        ("plain", json!([])),
        ("patient", tolerates(None)),
        ("hour", tolerates(Some(3600))),
        ("second", tolerates(Some(1))),
    ] {
        world.create::<Pod>(pod(name, tolerations)).await;
    }
    until(&pods, "all run", |pods| pods.iter().all(super::super::pods::is_ready)).await;

    taint(&world, json!([{"key": "k", "effect": "NoExecute"}])).await;
    let names = |pods: &[Pod]| {
        let mut names: Vec<String> = pods.iter().map(ResourceExt::name_any).collect();
        names.sort();
        names
    };
    until(&pods, "two have gone", |pods| names(pods) == ["hour", "patient"]).await;
    said(&world, "TaintManagerEviction", "Marking for deletion Pod default/plain").await;
    said(&world, "TaintManagerEviction", "Marking for deletion Pod default/second").await;

    // One that comes to it by name goes as well.
    let mut named = pod("named", json!([]));
    named["spec"]["nodeName"] = "n".into();
    world.create::<Pod>(named).await;
    said(&world, "TaintManagerEviction", "Marking for deletion Pod default/named").await;
    until(&pods, "it has gone", |pods| names(pods) == ["hour", "patient"]).await;

    taint(&world, json!([])).await;
    said(&world, "TaintManagerEviction", "Cancelling deletion of Pod default/hour").await;
    world.stop().await;
}

#[tokio::test]
async fn a_closed_node_says_so_by_a_taint_until_it_is_open_again() {
    let world = World::new().await;
    let nodes: Api<Node> = Api::all(world.client.clone());
    taint(&world, json!([{"key": "mine", "effect": "PreferNoSchedule"}])).await;
    let keys = |node: &Node| -> Vec<String> {
        let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
        taints.map(|taint| taint.key.clone()).collect()
    };
    nodes.cordon("n").await.expect("closes");
    until(&nodes, "the taint", |nodes| {
        keys(&nodes[0]) == ["mine", "node.kubernetes.io/unschedulable"]
    })
    .await;
    nodes.uncordon("n").await.expect("opens");
    until(&nodes, "it is gone", |nodes| keys(&nodes[0]) == ["mine"]).await;
    world.stop().await;
}
