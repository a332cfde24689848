//! Claims: bound, provisioned, protected, and what becomes of their volumes.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use futures::future::BoxFuture;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};

use super::*;
use crate::controllers::pods::node;

/// A disk on which nothing is; it keeps the names of what it was told to remove.
#[derive(Debug, Default)]
pub(super) struct Disk(Mutex<Vec<String>>);

impl Disk {
    fn removed(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl crate::controllers::Disk for Disk {
    fn directory(&self, volume: &str) -> Option<PathBuf> {
        Some(PathBuf::from("/volumes").join(volume))
    }

    fn remove<'a>(&'a self, volume: &'a str) -> BoxFuture<'a, Result<(), String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(volume.to_owned());
        Box::pin(std::future::ready(Ok(())))
    }
}

fn claim(name: &str, class: Value) -> Value {
    json!({"metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": class,
        "resources": {"requests": {"storage": "1Gi"}}}})
}

fn pod(claim: &str) -> Value {
    json!({"metadata": {"name": "user"}, "spec": {"containers": [{"name": "c", "image": "i"}],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]}})
}

fn phase(claim: &PersistentVolumeClaim) -> &str {
    crate::controllers::volume::phase_of(claim)
}

async fn in_phase(world: &World, name: &str, wanted: &str) -> PersistentVolumeClaim {
    let claims: Api<PersistentVolumeClaim> = world.api();
    let seen = until(&claims, &format!("{name} {wanted}"), |claims| {
        claims.iter().any(|claim| claim.name_any() == name && phase(claim) == wanted)
    })
    .await;
    seen.into_iter().find(|claim| claim.name_any() == name).expect("it was seen")
}

#[tokio::test]
async fn a_claim_gets_its_volume_with_its_first_pod_and_both_go_in_turn() {
    let world = World::new().await;
    let (claims, pods): (Api<PersistentVolumeClaim>, Api<Pod>) = (world.api(), world.api());
    let volumes: Api<PersistentVolume> = Api::all(world.client.clone());
    world.create::<Pod>(pod("data")).await;
    until(&pods, "a pod that waits for its claim", |pods| {
        let conditions = pods[0].status.as_ref().and_then(|status| status.conditions.as_ref());
        conditions.into_iter().flatten().any(|one| {
            let missing = "0/1 nodes are available: persistentvolumeclaim \"data\" not found. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
            one.reason.as_deref() == Some("Unschedulable")
                && one.message.as_deref() == Some(missing)
        })
    })
    .await;
    world.create::<PersistentVolumeClaim>(claim("alone", Value::Null)).await;
    said(&world, "WaitForFirstConsumer", "waiting for first consumer to be created").await;
    world.create::<PersistentVolumeClaim>(claim("data", Value::Null)).await;
    let bound = in_phase(&world, "data", "Bound").await;
    let name = format!("pvc-{}", bound.uid().expect("a uid"));
    assert_eq!(bound.spec.as_ref().and_then(|spec| spec.volume_name.clone()), Some(name.clone()));
    said(&world, "ProvisioningSucceeded", &format!("Successfully provisioned volume {name}")).await;
    until(&pods, "a pod with a node", |pods| node(&pods[0]) == "n").await;
    let volume = volumes.get(&name).await.expect("reads").spec.expect("a spec");
    assert_eq!(volume.host_path.map(|host| host.path), Some(format!("/volumes/{name}")));
    assert_eq!(phase(&claims.get("alone").await.expect("reads")), "Pending", "nobody uses it");

    let grow = json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}});
    claims.patch("data", &PatchParams::default(), &Patch::Merge(grow)).await.expect("patches");
    until(&claims, "a larger claim", |claims| {
        let sizes = |claim: &PersistentVolumeClaim| claim.status.as_ref()?.capacity.clone();
        claims.iter().filter_map(sizes).any(|sizes| sizes["storage"].0 == "2Gi")
    })
    .await;

    claims.delete("data", &DeleteParams::default()).await.expect("deletes");
    // What a claim is told comes in turn: once another is known to be gone, this one was looked at.
    claims.delete("alone", &DeleteParams::default()).await.expect("deletes");
    until(&claims, "one claim", |claims| claims.len() == 1).await;
    assert!(claims.get("data").await.expect("reads").metadata.deletion_timestamp.is_some());
    assert_eq!(world.disk.removed(), [""; 0], "a pod uses it");
    pods.delete("user", &DeleteParams::default()).await.expect("deletes");
    until(&claims, "no claim", |claims| claims.is_empty()).await;
    until(&volumes, "no volume", |volumes| volumes.is_empty()).await;
    assert_eq!(world.disk.removed().first(), Some(&name));
    world.stop().await;
}

#[tokio::test]
async fn a_volume_that_was_made_by_hand_is_bound_released_and_kept() {
    let world = World::new().await;
    let volumes: Api<PersistentVolume> = Api::all(world.client.clone());
    let volume = json!({"metadata": {"name": "shelf"}, "spec": {"capacity": {"storage": "5Gi"},
        "accessModes": ["ReadWriteOnce"], "storageClassName": "", "hostPath": {"path": "/srv"}}});
    let volume = serde_json::from_value(volume).expect("a PersistentVolume");
    world.create::<PersistentVolumeClaim>(claim("data", json!(""))).await;
    said(&world, "FailedBinding", "no persistent volumes available for this claim").await;
    volumes.create(&PostParams::default(), &volume).await.expect("creates");
    let bound = in_phase(&world, "data", "Bound").await;
    let status = bound.status.expect("a status");
    assert_eq!(status.capacity.map(|sizes| sizes["storage"].0.clone()).as_deref(), Some("5Gi"));
    let phase = |volumes: &[PersistentVolume], wanted: &str| {
        volumes[0].status.as_ref().and_then(|s| s.phase.as_deref()) == Some(wanted)
    };
    until(&volumes, "a bound volume", |volumes| phase(volumes, "Bound")).await;
    // Deleted while it is bound, it stays.
    volumes.delete("shelf", &DeleteParams::default()).await.expect("deletes");
    let claims: Api<PersistentVolumeClaim> = world.api();
    let claim = claims.get("data").await.expect("reads");
    assert!(claim.metadata.deletion_timestamp.is_none() && volumes.get("shelf").await.is_ok());
    claims.delete("data", &DeleteParams::default()).await.expect("deletes");
    until(&volumes, "no volume", |volumes| volumes.is_empty()).await;

    volumes.create(&PostParams::default(), &volume).await.expect("creates");
    until(&volumes, "a free volume", |volumes| phase(volumes, "Available")).await;
    world.create::<PersistentVolumeClaim>(super::storage::claim("data", json!(""))).await;
    in_phase(&world, "data", "Bound").await;
    claims.delete("data", &DeleteParams::default()).await.expect("deletes");
    until(&volumes, "a released volume", |volumes| phase(volumes, "Released")).await;
    assert_eq!(world.disk.removed(), [""; 0], "it is not ours");
    world.stop().await;
}

#[tokio::test]
async fn a_bound_claim_whose_volume_is_gone_is_lost() {
    let world = World::new().await;
    let volumes: Api<PersistentVolume> = Api::all(world.client.clone());
    let class = json!({"metadata": {"name": "now"}, "provisioner": "curtain.dev/host-path", "reclaimPolicy": "Retain"});
    let class = serde_json::from_value(class).expect("a StorageClass");
    let classes: Api<k8s_openapi::api::storage::v1::StorageClass> = Api::all(world.client.clone());
    classes.create(&PostParams::default(), &class).await.expect("creates");
    world.create::<PersistentVolumeClaim>(claim("data", json!("now"))).await;
    let bound = in_phase(&world, "data", "Bound").await;
    let name = bound.spec.and_then(|spec| spec.volume_name).expect("a name");
    let force = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    volumes.patch(&name, &PatchParams::default(), &force).await.expect("patches");
    volumes.delete(&name, &DeleteParams::default()).await.expect("deletes");
    in_phase(&world, "data", "Lost").await;
    said(&world, "ClaimLost", "Bound claim has lost its PersistentVolume.").await;
    world.stop().await;
}

#[tokio::test]
async fn claims_of_a_set_stay_with_their_ordinals_or_go_when_it_says_so() {
    let world = World::new().await;
    let (sets, claims): (Api<StatefulSet>, Api<PersistentVolumeClaim>) = (world.api(), world.api());
    let set = json!({"metadata": {"name": "db"}, "spec": {"replicas": 2, "serviceName": "db",
        "selector": {"matchLabels": {"app": "db"}},
        "persistentVolumeClaimRetentionPolicy": {"whenScaled": "Retain", "whenDeleted": "Delete"},
        "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}}}}]}});
    world.create::<StatefulSet>(set).await;
    let ready = |sets: &[StatefulSet], wanted: i32| {
        let status = sets[0].status.as_ref();
        status.is_some_and(|s| s.replicas == wanted && s.ready_replicas.unwrap_or(0) == wanted)
    };
    until(&sets, "two pods", |sets| ready(sets, 2)).await;
    let names = |claims: &[PersistentVolumeClaim]| {
        claims.iter().map(|claim| claim.name_any()).collect::<Vec<_>>()
    };
    let seen = until(&claims, "two bound claims", |claims| {
        claims.len() == 2 && claims.iter().all(|claim| phase(claim) == "Bound")
    })
    .await;
    assert_eq!(names(&seen), ["data-db-0", "data-db-1"]);
    let scale = |replicas: i32| Patch::Merge(json!({"spec": {"replicas": replicas}}));
    let params = PatchParams::default();
    sets.patch_scale("db", &params, &scale(1)).await.expect("scales");
    until(&sets, "one pod", |sets| ready(sets, 1)).await;
    sets.patch_scale("db", &params, &scale(2)).await.expect("scales");
    until(&sets, "two pods", |sets| ready(sets, 2)).await;
    let again = claims.get("data-db-1").await.expect("reads");
    assert_eq!(again.uid(), seen[1].uid(), "it is the one that it was");

    let policy = json!({"whenScaled": "Delete", "whenDeleted": "Delete"});
    let policy = json!({"spec": {"persistentVolumeClaimRetentionPolicy": policy}});
    sets.patch("db", &params, &Patch::Merge(policy)).await.expect("patches");
    sets.patch_scale("db", &params, &scale(1)).await.expect("scales");
    let left = until(&claims, "one claim", |claims| claims.len() == 1).await;
    assert_eq!(names(&left), ["data-db-0"]);
    sets.delete("db", &DeleteParams::default()).await.expect("deletes");
    until(&claims, "no claim", |claims| claims.is_empty()).await;
    world.stop().await;
}
