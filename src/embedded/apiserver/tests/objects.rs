//! The everyday verbs, through kube-rs.

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::api::{
    Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use serde_json::json;

use super::harness::Cluster;

fn config_map(name: &str, value: &str) -> ConfigMap {
    serde_json::from_value(
        json!({"metadata": {"name": name, "labels": {"v": value}}, "data": {"k": value}}),
    )
    .unwrap()
}

#[tokio::test]
async fn config_maps_live_their_lives() {
    let cluster = Cluster::start().await;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), "default");
    let made = maps.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    assert!(made.metadata.uid.is_some() && made.metadata.creation_timestamp.is_some());
    let error = maps.create(&PostParams::default(), &config_map("a", "1")).await.unwrap_err();
    assert!(
        matches!(error, kube::Error::Api(status) if status.reason == "AlreadyExists" && status.code == 409)
    );

    let rv = made.metadata.resource_version.clone().unwrap();
    let mut watch = maps.watch(&WatchParams::default().labels("v=2"), &rv).await.unwrap().boxed();
    let patch = json!({"metadata": {"labels": {"v": "2"}}, "data": {"k": null, "l": "2"}});
    let patched = maps.patch("a", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    assert_eq!(patched.data.as_ref().unwrap().len(), 1);
    let same = maps.patch("a", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    assert_eq!(
        same.metadata.resource_version, patched.metadata.resource_version,
        "a no-op write does not bump"
    );

    let stale = ConfigMap { metadata: made.metadata, ..config_map("a", "3") };
    let error = maps.replace("a", &PostParams::default(), &stale).await.unwrap_err();
    assert!(matches!(error, kube::Error::Api(status) if status.reason == "Conflict"));
    maps.replace("a", &PostParams::default(), &config_map("a", "3")).await.unwrap();
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(maps.get_opt("a").await.unwrap().is_none());

    let mut seen = Vec::new();
    for _ in 0..2 {
        seen.push(match watch.try_next().await.unwrap().unwrap() {
            WatchEvent::Added(map) => format!("added {}", map.metadata.name.unwrap()),
            WatchEvent::Deleted(map) => format!("deleted {}", map.metadata.name.unwrap()),
            other => format!("{other:?}"),
        });
    }
    assert_eq!(seen, ["added a", "deleted a"], "leaving the selection is a deletion");
}

#[tokio::test]
async fn deployments_and_pods_are_defaulted_and_validated() {
    let cluster = Cluster::start().await;
    let deployments: Api<Deployment> = Api::namespaced(cluster.client(), "default");
    let deployment = json!({"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    let deployment: Deployment = serde_json::from_value(deployment).unwrap();
    let made = deployments.create(&PostParams::default(), &deployment).await.unwrap();
    let spec = made.spec;
    assert_eq!(
        (spec.replicas, spec.revision_history_limit, made.metadata.generation),
        (Some(1), Some(10), Some(1))
    );
    let three = Patch::Merge(json!({"spec": {"replicas": 3}}));
    let scale = deployments.patch_scale("web", &PatchParams::default(), &three).await.unwrap();
    assert_eq!(scale.spec.unwrap().replicas, Some(3));
    let status =
        json!({"status": {"replicas": 3, "observedGeneration": 2}, "spec": {"replicas": 7}});
    let after = deployments
        .patch_status("web", &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
    assert_eq!((after.spec.replicas, after.metadata.generation), (Some(3), Some(2)));
    assert_eq!(after.status.unwrap().replicas, Some(3));

    let pods: Api<Pod> = Api::namespaced(cluster.client(), "default");
    let pod = json!({"metadata": {"generateName": "p-"}, "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}});
    let pod: Pod = serde_json::from_value(pod).unwrap();
    let made = pods.create(&PostParams::default(), &pod).await.unwrap();
    let name = made.metadata.name.unwrap();
    assert!(name.starts_with("p-") && name.len() == 7, "{name}");
    let spec = made.spec.unwrap();
    assert_eq!(spec.service_account_name.as_deref(), Some("default"));
    assert_eq!(spec.volumes.unwrap().len(), 1, "the token volume");
    assert_eq!(made.status.unwrap().phase.as_deref(), Some("Pending"));
    let deleted = pods.delete(&name, &DeleteParams::default()).await.unwrap().left().unwrap();
    assert_eq!(deleted.metadata.deletion_grace_period_seconds, Some(30));
    let gone = pods.delete(&name, &DeleteParams::default().grace_period(0)).await.unwrap();
    assert!(gone.is_left() && pods.get_opt(&name).await.unwrap().is_none());

    let (code, status) = cluster
        .post(
            "/api/v1/namespaces/default/pods",
            json!({"metadata": {"name": "P"}, "spec": {"restartPolicy": "No",
            "containers": [{"name": "c", "volumeMounts": [{"name": "x", "mountPath": "/x"}]}]}}),
        )
        .await;
    assert_eq!(code, 422);
    insta::assert_json_snapshot!("invalid_pod", status);
}

#[tokio::test]
async fn namespaces_wait_for_their_content() {
    let cluster = Cluster::start().await;
    let namespaces: Api<Namespace> = Api::all(cluster.client());
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": "n"}})).unwrap();
    let made = namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    assert_eq!(made.status.unwrap().phase.as_deref(), Some("Active"));
    namespaces.delete("n", &DeleteParams::default()).await.unwrap();
    let (code, status) =
        cluster.post("/api/v1/namespaces/n/configmaps", json!({"metadata": {"name": "a"}})).await;
    assert_eq!(
        (code, &status["details"]["causes"][0]["reason"]),
        (403, &json!("NamespaceTerminating"))
    );
    let mut last = serde_json::to_value(namespaces.get("n").await.unwrap()).unwrap();
    assert_eq!(last["status"]["phase"], "Terminating");
    last["spec"]["finalizers"] = json!([]);
    let (code, _) = cluster
        .call("PUT", "/api/v1/namespaces/n/finalize", "application/json", &last.to_string())
        .await;
    assert_eq!(code, 200);
    assert!(namespaces.get_opt("n").await.unwrap().is_none());
}

#[tokio::test]
async fn lists_are_paged_as_of_one_moment() {
    let cluster = Cluster::start().await;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), "default");
    for name in ["a", "b", "c", "d"] {
        maps.create(&PostParams::default(), &config_map(name, "1")).await.unwrap();
    }
    let first = maps.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!(
        (first.items.len(), first.metadata.remaining_item_count),
        (2, Some(3)),
        "kube-root-ca.crt is there too"
    );
    maps.delete("c", &DeleteParams::default()).await.unwrap();
    maps.create(&PostParams::default(), &config_map("bb", "1")).await.unwrap();
    let token = first.metadata.continue_.clone().unwrap();
    let second = maps.list(&ListParams::default().limit(9).continue_token(&token)).await.unwrap();
    let names: Vec<_> =
        second.items.iter().filter_map(|map| map.metadata.name.as_deref()).collect();
    assert_eq!(names, ["c", "d", "kube-root-ca.crt"]);
    assert_eq!(second.metadata.resource_version, first.metadata.resource_version);
}

#[tokio::test]
async fn empty_text_is_defaulted_like_none() {
    let cluster = Cluster::start().await;
    let (code, service) = cluster
        .post(
            "/api/v1/namespaces/default/services",
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"type": "",
                "sessionAffinity": "", "ports": [{"port": 1, "protocol": ""}]}}),
        )
        .await;
    assert_eq!(code, 201, "{service}");
    let spec = &service["spec"];
    assert_eq!(
        (&spec["type"], &spec["sessionAffinity"], &spec["ports"][0]["protocol"]),
        (&json!("ClusterIP"), &json!("None"), &json!("TCP"))
    );
    let container = json!({"name": "c", "image": "i:1", "imagePullPolicy": "",
        "ports": [{"containerPort": 1, "protocol": ""}]});
    let (code, deployment) = cluster
        .post(
            "/apis/apps/v1/namespaces/default/deployments",
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
                "spec": {"selector": {"matchLabels": {"a": "b"}}, "strategy": {"type": ""},
                    "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"restartPolicy": "",
                        "dnsPolicy": "", "containers": [container]}}}}),
        )
        .await;
    assert_eq!(code, 201, "{deployment}");
    assert_eq!(deployment["spec"]["strategy"]["type"], "RollingUpdate");
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(
        (&pod["restartPolicy"], &pod["dnsPolicy"]),
        (&json!("Always"), &json!("ClusterFirst"))
    );
    let container = &pod["containers"][0];
    assert_eq!(
        (&container["imagePullPolicy"], &container["ports"][0]["protocol"]),
        (&json!("IfNotPresent"), &json!("TCP"))
    );
}
