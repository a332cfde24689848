//! Deployments down to endpoints.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Endpoints, Event, Pod, Service, ServiceAccount};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::*;

fn available(deployments: &[Deployment], replicas: i32) -> bool {
    deployments.iter().all(|d| {
        d.status.as_ref().is_some_and(|s| {
            s.available_replicas == Some(replicas)
                && s.updated_replicas == Some(replicas)
                && s.replicas == Some(replicas)
                && s.observed_generation == d.metadata.generation
        })
    })
}

fn condition(deployment: &Deployment, kind: &str) -> (String, String) {
    let list = deployment.status.as_ref().and_then(|s| s.conditions.clone()).unwrap_or_default();
    let found = list.into_iter().find(|c| c.type_.as_deref() == Some(kind));
    found.map(|c| (c.status.unwrap_or_default(), c.reason.unwrap_or_default())).unwrap_or_default()
}

#[tokio::test]
async fn a_deployment_rolls_out_scales_and_rolls_on() {
    let world = World::new().await;
    let deployments: Api<Deployment> = world.api();
    world.create::<Deployment>(deployment("web", 3, "one")).await;
    let seen = until(&deployments, "three available", |d| available(d, 3)).await;
    assert_eq!(
        condition(&seen[0], "Available"),
        ("True".into(), "MinimumReplicasAvailable".into())
    );
    until(&deployments, "a complete rollout", |d| {
        condition(&d[0], "Progressing").1 == "NewReplicaSetAvailable"
    })
    .await;
    assert_eq!(
        seen[0].annotations().get("deployment.kubernetes.io/revision").map(String::as_str),
        Some("1")
    );
    let sets: Api<ReplicaSet> = world.api();
    let first = sets.list(&Default::default()).await.expect("lists").items.remove(0);
    let hash = first.labels().get("pod-template-hash").expect("a hash").clone();
    assert_eq!(first.name_any(), format!("web-{hash}"));

    let image = |image: &str| {
        Patch::Strategic(
            json!({"spec":{"template":{"spec":{"containers":[{"name":"main","image":image}]}}}}),
        )
    };
    deployments.patch("web", &PatchParams::default(), &image("two")).await.expect("patches");
    let pods: Api<Pod> = world.api();
    until(&pods, "three new pods and no others", |pods| {
        pods.len() == 3
            && pods.iter().all(|p| {
                p.spec.as_ref().is_some_and(|s| s.containers[0].image.as_deref() == Some("two"))
            })
    })
    .await;
    let seen = until(&deployments, "the new revision available", |d| available(d, 3)).await;
    assert_eq!(
        seen[0].annotations().get("deployment.kubernetes.io/revision").map(String::as_str),
        Some("2")
    );
    let both = sets.list(&Default::default()).await.expect("lists").items;
    assert_eq!(both.len(), 2);

    // Back to the first template: its ReplicaSet is used again, with a new revision.
    deployments.patch("web", &PatchParams::default(), &image("one")).await.expect("patches");
    until(&sets, "the first ReplicaSet at full size", |sets| {
        sets.iter().any(|s| {
            s.name_any() == first.name_any()
                && s.spec.replicas == Some(3)
                && s.annotations().get("deployment.kubernetes.io/revision").map(String::as_str)
                    == Some("3")
        })
    })
    .await;
    let scale = Patch::Merge(json!({"spec":{"replicas":1}}));
    deployments.patch_scale("web", &PatchParams::default(), &scale).await.expect("scales");
    until(&deployments, "one replica", |d| available(d, 1)).await;
    until(&pods, "one pod", |pods| pods.len() == 1).await;

    let events: Api<Event> = world.api();
    until(&events, "the events of a rollout", |events| {
        let has = |reason: &str, start: &str| {
            events.iter().any(|e| {
                e.reason.as_deref() == Some(reason)
                    && e.message.as_deref().is_some_and(|m| m.starts_with(start))
            })
        };
        has("ScalingReplicaSet", &format!("Scaled up replica set {} from 0 to 3", first.name_any()))
            && has("SuccessfulCreate", "Created pod: web-")
            && has("SuccessfulDelete", "Deleted pod: web-")
            && has("Scheduled", "Successfully assigned default/web-")
    })
    .await;
    world.stop().await;
}

#[tokio::test]
async fn recreate_starts_new_pods_only_when_the_old_are_gone() {
    let world = World::new().await;
    let deployments: Api<Deployment> = world.api();
    let mut object = deployment("job", 2, "one");
    object["spec"]["strategy"] = json!({"type":"Recreate"});
    world.create::<Deployment>(object).await;
    until(&deployments, "two available", |d| available(d, 2)).await;
    let pods: Api<Pod> = world.api();
    let image = Patch::Strategic(
        json!({"spec":{"template":{"spec":{"containers":[{"name":"main","image":"two"}]}}}}),
    );
    deployments.patch("job", &PatchParams::default(), &image).await.expect("patches");
    until(&pods, "two new pods", |pods| {
        let of = |image: &str| {
            pods.iter()
                .filter(|p| {
                    p.spec.as_ref().is_some_and(|s| s.containers[0].image.as_deref() == Some(image))
                })
                .count()
        };
        assert!(of("one") == 0 || of("two") == 0, "old and new at the same time");
        of("two") == 2
    })
    .await;
    world.stop().await;
}

#[tokio::test]
async fn a_paused_deployment_scales_but_does_not_roll() {
    let world = World::new().await;
    let deployments: Api<Deployment> = world.api();
    world.create::<Deployment>(deployment("web", 1, "one")).await;
    until(&deployments, "one available", |d| available(d, 1)).await;
    let change = json!({"spec":{"paused":true,"replicas":2,"template":{"metadata":{"annotations":{"x":"y"}}}}});
    deployments
        .patch("web", &PatchParams::default(), &Patch::Merge(change))
        .await
        .expect("patches");
    until(&deployments, "paused with two", |d| {
        condition(&d[0], "Progressing").1 == "DeploymentPaused"
            && d[0].status.as_ref().and_then(|s| s.available_replicas) == Some(2)
    })
    .await;
    let sets: Api<ReplicaSet> = world.api();
    assert_eq!(sets.list(&Default::default()).await.expect("lists").items.len(), 1);
    let resume = json!({"spec":{"paused":false}});
    deployments
        .patch("web", &PatchParams::default(), &Patch::Merge(resume))
        .await
        .expect("patches");
    until(&deployments, "the paused change rolled out", |d| available(d, 2)).await;
    assert_eq!(sets.list(&Default::default()).await.expect("lists").items.len(), 2);
    world.stop().await;
}

#[tokio::test]
async fn orphans_are_adopted_and_strangers_released() {
    let world = World::new().await;
    let pods: Api<Pod> = world.api();
    world
        .create::<Pod>(json!({"metadata":{"name":"orphan","labels":{"app":"set"}},"spec":{"containers":[{"name":"c","image":"i"}]}}))
        .await;
    let set = world
        .create::<ReplicaSet>(json!({"metadata":{"name":"set"},"spec":{"replicas":2,"selector":{"matchLabels":{"app":"set"}},
            "template":{"metadata":{"labels":{"app":"set"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}))
        .await;
    let owned = |pod: &Pod| {
        pod.owner_references().iter().any(|o| Some(&o.uid) == set.metadata.uid.as_ref())
    };
    until(&pods, "two pods, the orphan among them", |pods| {
        pods.len() == 2 && pods.iter().all(owned)
    })
    .await;
    let label = json!({"metadata":{"labels":{"app":"other"}}});
    pods.patch("orphan", &PatchParams::default(), &Patch::Merge(label)).await.expect("patches");
    until(&pods, "a replacement, and the stranger released", |pods| {
        pods.len() == 3
            && pods.iter().filter(|p| owned(p)).count() == 2
            && pods.iter().any(|p| p.name_any() == "orphan" && p.owner_references().is_empty())
    })
    .await;
    world.stop().await;
}

#[tokio::test]
async fn services_follow_their_pods() {
    let world = World::new().await;
    world
        .create::<Service>(json!({"metadata":{"name":"web"},"spec":{"selector":{"app":"web"},"ports":[{"name":"http","port":80,"targetPort":"http"}]}}))
        .await;
    let slices: Api<EndpointSlice> = world.api();
    let of = |slices: &[EndpointSlice]| -> Vec<EndpointSlice> {
        slices
            .iter()
            .filter(|s| {
                s.labels().get("kubernetes.io/service-name").map(String::as_str) == Some("web")
            })
            .cloned()
            .collect()
    };
    until(&slices, "an empty slice", |s| of(s).len() == 1).await;
    world.create::<Deployment>(deployment("web", 2, "one")).await;
    let seen = until(&slices, "two ready endpoints", |s| {
        of(s)
            .iter()
            .flat_map(|s| s.endpoints.iter().flatten())
            .filter(|e| e.conditions.as_ref().is_some_and(|c| c.ready == Some(true)))
            .count()
            == 2
    })
    .await;
    let seen = of(&seen);
    assert_eq!(seen[0].ports.as_ref().and_then(|p| p[0].port), Some(8080));
    let endpoints: Api<Endpoints> = world.api();
    until(&endpoints, "the older Endpoints", |e| {
        e.iter().any(|e| {
            e.name_any() == "web"
                && e.subsets.iter().flatten().flat_map(|s| s.addresses.iter().flatten()).count()
                    == 2
        })
    })
    .await;
    let services: Api<Service> = world.api();
    services.delete("web", &Default::default()).await.expect("deletes");
    until(&endpoints, "no Endpoints", |e| e.iter().all(|e| e.name_any() != "web")).await;
    until(&slices, "no slices", |s| of(s).is_empty()).await;
    world.stop().await;
}

#[tokio::test]
async fn a_stuck_rollout_is_reported() {
    let world = World::new().await;
    let mut object = deployment("stuck", 1, "one");
    object["spec"]["progressDeadlineSeconds"] = 1.into();
    object["spec"]["minReadySeconds"] = 0.into();
    object["spec"]["template"]["metadata"]["labels"]["stuck"] = "yes".into();
    world.create::<Deployment>(object).await;
    let deployments: Api<Deployment> = world.api();
    until(&deployments, "a missed deadline", |d| {
        condition(&d[0], "Progressing") == ("False".into(), "ProgressDeadlineExceeded".into())
    })
    .await;
    world.stop().await;
}

#[tokio::test]
async fn every_namespace_has_its_account_and_authority() {
    let world = World::new().await;
    let accounts: Api<ServiceAccount> = world.api();
    until(&accounts, "the default account", |a| a.iter().any(|a| a.name_any() == "default")).await;
    accounts.delete("default", &Default::default()).await.expect("deletes");
    until(&accounts, "the default account again", |a| a.iter().any(|a| a.name_any() == "default"))
        .await;
    let maps: Api<ConfigMap> = world.api();
    until(&maps, "the authority", |m| m.iter().any(|m| m.name_any() == "kube-root-ca.crt")).await;
    let spoil = Patch::Merge(json!({"data":{"ca.crt":"other"}}));
    maps.patch("kube-root-ca.crt", &PatchParams::default(), &spoil).await.expect("patches");
    until(&maps, "the authority repaired", |m| {
        m.iter().any(|m| {
            m.data.as_ref().and_then(|d| d.get("ca.crt")).map(String::as_str) == Some("the CA")
        })
    })
    .await;
    world.stop().await;
}
