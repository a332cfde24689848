//! DaemonSets: nodes come, templates change.

use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};

use super::*;

fn settled(sets: &[DaemonSet], nodes: i32) -> bool {
    let status = sets[0].status.as_ref();
    status.is_some_and(|status| {
        status.observed_generation == sets[0].metadata.generation
            && status.desired_number_scheduled == nodes
            && status.number_available == Some(nodes)
            && status.updated_number_scheduled == Some(nodes)
    })
}

#[tokio::test]
async fn every_node_gets_its_pod_and_the_new_template() {
    let world = World::new().await;
    let (sets, pods): (Api<DaemonSet>, Api<Pod>) = (world.api(), world.api());
    world
        .create::<DaemonSet>(json!({"metadata":{"name":"agent"},"spec":{"selector":{"matchLabels":{"app":"agent"}},
            "template":{"metadata":{"labels":{"app":"agent"}},"spec":{"containers":[{"name":"c","image":"one"}]}}}}))
        .await;
    until(&sets, "one node's pod", |sets| settled(sets, 1)).await;
    let nodes: Api<Node> = Api::all(world.client.clone());
    let mut node = node("m");
    node.spec.get_or_insert_default().unschedulable = Some(true);
    nodes.create(&PostParams::default(), &node).await.expect("creates");
    until(&sets, "two nodes' pods", |sets| settled(sets, 2)).await;
    let bound = |pods: &[Pod]| {
        let mut nodes: Vec<_> =
            pods.iter().filter_map(|p| p.spec.as_ref()?.node_name.clone()).collect();
        nodes.sort();
        nodes
    };
    let made = pods.list(&Default::default()).await.expect("lists").items;
    assert_eq!(bound(&made), ["m", "n"], "each where it belongs, cordoned or not");

    let change = json!({"spec":{"template":{"spec":{"containers":[{"name":"c","image":"two"}]}}}});
    let change = Patch::Strategic(change);
    sets.patch("agent", &PatchParams::default(), &change).await.expect("patches");
    until(&sets, "two new pods", |sets| settled(sets, 2)).await;
    let made = until(&pods, "no others", |pods| pods.len() == 2).await;
    let image = |pod: &Pod| pod.spec.as_ref().and_then(|s| s.containers[0].image.clone());
    assert!(made.iter().all(|pod| image(pod).as_deref() == Some("two")));
    let revisions: Api<ControllerRevision> = world.api();
    assert_eq!(revisions.list(&Default::default()).await.expect("lists").items.len(), 2);

    nodes.delete("m", &DeleteParams::default()).await.expect("deletes");
    until(&pods, "the node's pod gone with it", |pods| bound(pods) == ["n"]).await;
    said(&world, "SuccessfulCreate", "Created pod: agent-").await;
    world.stop().await;
}
