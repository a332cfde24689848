//! StatefulSets: order, names, updates.

use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};

use super::*;

fn set(replicas: i32, image: &str) -> Value {
    json!({"metadata":{"name":"db"},"spec":{"replicas":replicas,"serviceName":"db",
        "selector":{"matchLabels":{"app":"db"}},
        "template":{"metadata":{"labels":{"app":"db"}},"spec":{"containers":[{"name":"c","image":image}]}}}})
}

fn image(image: &str) -> Patch<Value> {
    Patch::Strategic(
        json!({"spec":{"template":{"spec":{"containers":[{"name":"c","image":image}]}}}}),
    )
}

/// All pods are there, ready and of the newest template, and the status says so.
fn settled(sets: &[StatefulSet], replicas: i32) -> bool {
    let status = sets[0].status.as_ref();
    status.is_some_and(|status| {
        status.observed_generation == sets[0].metadata.generation
            && status.replicas == replicas
            && status.available_replicas == Some(replicas)
            && status.updated_replicas == Some(replicas)
            && status.current_revision == status.update_revision
    })
}

#[tokio::test]
async fn a_set_grows_rolls_goes_back_and_shrinks_in_order() {
    let world = World::new().await;
    let (sets, pods): (Api<StatefulSet>, Api<Pod>) = (world.api(), world.api());
    let params = PatchParams::default();
    world.create::<StatefulSet>(set(3, "one")).await;
    let seen = until(&sets, "three pods", |sets| settled(sets, 3)).await;
    let first = seen[0].status.as_ref().and_then(|s| s.current_revision.clone()).expect("a name");
    let names = |pods: &[Pod]| pods.iter().map(|pod| pod.name_any()).collect::<Vec<_>>();
    let made = pods.list(&Default::default()).await.expect("lists").items;
    assert_eq!(names(&made), ["db-0", "db-1", "db-2"]);
    assert!(made.iter().all(|pod| pod.labels()["controller-revision-hash"] == first));
    let spec = made[0].spec.as_ref().expect("a spec");
    assert_eq!(spec.subdomain.as_deref(), Some("db"), "it has a name in DNS");

    sets.patch("db", &params, &image("two")).await.expect("patches");
    let seen = until(&sets, "three new pods", |sets| settled(sets, 3)).await;
    assert_ne!(
        seen[0].status.as_ref().and_then(|s| s.current_revision.clone()),
        Some(first.clone())
    );
    sets.patch("db", &params, &image("one")).await.expect("patches");
    let seen = until(&sets, "the first template again", |sets| settled(sets, 3)).await;
    assert_eq!(
        seen[0].status.as_ref().and_then(|s| s.current_revision.clone()),
        Some(first.clone())
    );
    let revisions: Api<ControllerRevision> = world.api();
    let mut known: Vec<_> = revisions
        .list(&Default::default())
        .await
        .expect("lists")
        .iter()
        .map(|revision| (revision.revision, revision.name_any() == first))
        .collect();
    known.sort();
    assert_eq!(known, [(Some(2), false), (Some(3), true)], "what was before is the newest");

    let scale = Patch::Merge(json!({"spec":{"replicas":1}}));
    sets.patch_scale("db", &params, &scale).await.expect("scales");
    until(&sets, "one pod", |sets| settled(sets, 1)).await;
    let left = pods.list(&Default::default()).await.expect("lists").items;
    assert_eq!(names(&left), ["db-0"]);
    said(&world, "SuccessfulCreate", "create Pod db-2 in StatefulSet db successful").await;
    said(&world, "SuccessfulDelete", "delete Pod db-2 in StatefulSet db successful").await;
    world.stop().await;
}

#[tokio::test]
async fn a_pod_that_does_not_come_up_holds_up_the_next() {
    let world = World::new().await;
    let (sets, pods): (Api<StatefulSet>, Api<Pod>) = (world.api(), world.api());
    let mut stuck = set(2, "one");
    stuck["spec"]["template"]["metadata"]["labels"]["stuck"] = "yes".into();
    world.create::<StatefulSet>(stuck).await;
    until(&sets, "one pod in the status", |sets| {
        sets[0].status.as_ref().is_some_and(|s| s.replicas == 1 && s.ready_replicas.is_none())
    })
    .await;
    // The first comes up, the second is made.
    let up = json!({"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True","lastTransitionTime":"2026-01-01T00:00:00Z"}]}});
    let params = PatchParams::default();
    assert_eq!(pods.list(&Default::default()).await.expect("lists").items.len(), 1);
    pods.patch_status("db-0", &params, &Patch::Merge(up)).await.expect("patches");
    until(&pods, "two pods", |pods| pods.len() == 2).await;
    // One that is deleted comes again by the same name.
    let before = pods.get("db-0").await.expect("reads").uid();
    pods.delete("db-0", &DeleteParams::default()).await.expect("deletes");
    until(&pods, "another db-0", |pods| {
        pods.iter().any(|pod| pod.name_any() == "db-0" && pod.uid() != before)
    })
    .await;
    world.stop().await;
}
