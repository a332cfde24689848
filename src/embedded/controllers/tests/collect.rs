//! Owners, finalizers and namespaces.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, PropagationPolicy};
use kube::core::GroupVersionKind;

use super::*;

fn owned(name: &str, owner: &ConfigMap, blocks: bool) -> Value {
    json!({"metadata":{"name":name,"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":owner.name_any(),
        "uid":owner.uid(),"blockOwnerDeletion":blocks}]}})
}

fn names<K: ResourceExt>(objects: &[K]) -> Vec<String> {
    objects.iter().map(|o| o.name_any()).filter(|name| name != "kube-root-ca.crt").collect()
}

#[tokio::test]
async fn dependents_go_in_the_background_and_orphans_stay() {
    let world = World::new().await;
    let maps: Api<ConfigMap> = world.api();
    let owner: ConfigMap = world.create(json!({"metadata":{"name":"owner"}})).await;
    let child: ConfigMap = world.create(owned("child", &owner, false)).await;
    world.create::<ConfigMap>(owned("grandchild", &child, false)).await;
    maps.delete("owner", &DeleteParams::background()).await.expect("deletes");
    until(&maps, "nothing left", |m| names(m).is_empty()).await;

    let owner: ConfigMap = world.create(json!({"metadata":{"name":"owner"}})).await;
    world.create::<ConfigMap>(owned("child", &owner, false)).await;
    let orphan = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Orphan),
        ..DeleteParams::default()
    };
    maps.delete("owner", &orphan).await.expect("deletes");
    let left = until(&maps, "only the orphan", |m| names(m) == ["child"]).await;
    let child = left.iter().find(|m| m.name_any() == "child").expect("the orphan");
    assert!(child.owner_references().is_empty());

    // An owner of the right name and the wrong uid is no owner.
    let mut impostor = owned("stray", child, false);
    impostor["metadata"]["ownerReferences"][0]["uid"] =
        "11111111-1111-1111-1111-111111111111".into();
    world.create::<ConfigMap>(impostor).await;
    until(&maps, "the stray collected", |m| names(m) == ["child"]).await;
    world.stop().await;
}

#[tokio::test]
async fn foreground_deletion_waits_for_blocking_dependents() {
    let world = World::new().await;
    let maps: Api<ConfigMap> = world.api();
    let owner: ConfigMap = world.create(json!({"metadata":{"name":"owner"}})).await;
    let mut held = owned("held", &owner, true);
    held["metadata"]["finalizers"] = json!(["example.dev/hold"]);
    world.create::<ConfigMap>(held).await;
    world.create::<ConfigMap>(owned("free", &owner, true)).await;
    maps.delete("owner", &DeleteParams::foreground()).await.expect("deletes");
    until(&maps, "the free one gone, the held one and its owner going", |m| {
        names(m) == ["held", "owner"]
            && m.iter().filter(|m| m.metadata.deletion_timestamp.is_some()).count() == 2
    })
    .await;
    let release = Patch::Merge(json!({"metadata":{"finalizers":null}}));
    maps.patch("held", &PatchParams::default(), &release).await.expect("patches");
    until(&maps, "nothing left", |m| names(m).is_empty()).await;
    world.stop().await;
}

#[tokio::test]
async fn a_deployment_takes_everything_with_it() {
    let world = World::new().await;
    world.create::<Deployment>(deployment("web", 2, "one")).await;
    let pods: Api<Pod> = world.api();
    until(&pods, "two pods", |p| p.len() == 2).await;
    let deployments: Api<Deployment> = world.api();
    deployments.delete("web", &DeleteParams::background()).await.expect("deletes");
    until(&pods, "no pods", |p| p.is_empty()).await;
    until(&world.api::<ReplicaSet>(), "no ReplicaSets", |s| s.is_empty()).await;
    world.stop().await;
}

#[tokio::test]
async fn a_namespace_goes_once_it_is_empty_custom_resources_included() {
    let world = World::new().await;
    let definitions: Api<CustomResourceDefinition> = Api::all(world.client.clone());
    let definition = json!({"metadata":{"name":"things.example.dev"},"spec":{"group":"example.dev","scope":"Namespaced",
        "names":{"plural":"things","singular":"thing","kind":"Thing"},
        "versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}}}]}});
    let definition = serde_json::from_value(definition).expect("a definition");
    definitions.create(&PostParams::default(), &definition).await.expect("creates");
    until(&definitions, "the definition established", |d| {
        let status = d[0].status.as_ref().and_then(|s| s.conditions.as_ref());
        status.is_some_and(|c| c.iter().any(|c| c.type_ == "Established" && c.status == "True"))
    })
    .await;
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    let namespace =
        serde_json::from_value(json!({"metadata":{"name":"doomed"}})).expect("a Namespace");
    namespaces.create(&PostParams::default(), &namespace).await.expect("creates");
    let resource = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("example.dev", "v1", "Thing"),
        "things",
    );
    let things: Api<DynamicObject> =
        Api::namespaced_with(world.client.clone(), "doomed", &resource);
    let mut thing = DynamicObject::new("held", &resource);
    thing.metadata.finalizers = Some(vec!["example.dev/hold".into()]);
    things.create(&PostParams::default(), &thing).await.expect("creates");
    let deployments: Api<Deployment> = Api::namespaced(world.client.clone(), "doomed");
    let object = serde_json::from_value(deployment("web", 2, "one")).expect("a Deployment");
    deployments.create(&PostParams::default(), &object).await.expect("creates");
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), "doomed");
    until(&pods, "two pods", |p| p.len() == 2).await;

    namespaces.delete("doomed", &DeleteParams::default()).await.expect("deletes");
    let seen = until(&namespaces, "the namespace waiting for a finalizer", |n| {
        n.iter().filter(|n| n.name_any() == "doomed").any(|n| {
            let conditions = n.status.as_ref().and_then(|s| s.conditions.as_ref());
            conditions.is_some_and(|c| {
                c.iter().any(|c| c.type_ == "NamespaceFinalizersRemaining" && c.status == "True")
            })
        })
    })
    .await;
    let doomed = seen.iter().find(|n| n.name_any() == "doomed").expect("still there");
    assert_eq!(doomed.status.as_ref().and_then(|s| s.phase.as_deref()), Some("Terminating"));
    until(&pods, "no pods", |p| p.is_empty()).await;
    let release = Patch::Merge(json!({"metadata":{"finalizers":null}}));
    things.patch("held", &PatchParams::default(), &release).await.expect("patches");
    until(&namespaces, "the namespace gone", |n| n.iter().all(|n| n.name_any() != "doomed")).await;
    world.stop().await;
}
