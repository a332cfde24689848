//! Images that are volumes of pods, and those that nobody needs.

use super::*;
use crate::node::images::{self, ImageError};

/// Gives the cluster the image `data:1`, of two layers.
fn give(cluster: &TestCluster) {
    let layers = [
        tar_of(&[("dir/one", b"first"), ("dir/two", b"below")]),
        tar_of(&[("dir/two", b"second")]),
    ];
    let archive = docker_save("data:1", &layers, &layers);
    images::load(&cluster.config.home, archive.as_slice()).unwrap();
}

/// `pod`, whose container finds the image `reference` in `/data`.
fn with_image(mut pod: serde_json::Value, reference: &str, policy: &str) -> serde_json::Value {
    pod["spec"]["volumes"] =
        json!([{"name": "v", "image": {"reference": reference, "pullPolicy": policy}}]);
    pod["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "v", "mountPath": "/data"}]);
    pod
}

#[tokio::test]
async fn an_image_is_a_volume_to_be_read() {
    let cluster = TestCluster::new("imagevol");
    start(&cluster);
    let client = client(&cluster).await;
    give(&cluster);
    let mut reader = with_image(pod("reader", &["cat", "/data/dir/one"]), "data:1", "IfNotPresent");
    let containers = reader["spec"]["containers"].as_array_mut().unwrap();
    for (name, words, sub_path) in [
        ("part", ["cat", "/data"], "dir/two"),
        ("writer", ["write", "/data/new"], "dir"),
        ("outside", ["cat", "/data"], "none"),
    ] {
        let mut more = containers[0].clone();
        more["name"] = name.into();
        more["args"] = json!(["program", words[0], words[1]]);
        more["volumeMounts"][0]["subPath"] = sub_path.into();
        containers.push(more);
    }
    let api = create(&client, reader).await;
    let ends = eventually("all have ended", async || {
        let statuses = api.get("reader").await.ok()?.status?.container_statuses?;
        let end = |name: &str| {
            let status = statuses.iter().find(|one| one.name == name)?;
            status.state.as_ref()?.terminated.clone()
        };
        Some([end("main")?, end("part")?, end("writer")?, end("outside")?])
    })
    .await;
    assert_eq!([&ends[0], &ends[1], &ends[2]].map(|end| end.exit_code), [0, 0, 1]);
    let why = ends[3].message.as_deref().unwrap_or_default();
    assert!(why.contains("cannot find the subPath \"none\" of the image"), "{why}");
    for (name, text) in [("main", "first"), ("part", "second")] {
        let params = LogParams { container: Some(name.into()), ..LogParams::default() };
        assert_eq!(api.logs("reader", &params).await.unwrap().trim_end(), text);
    }

    // It is pulled, or waited for, as the container's own would be.
    create(&client, with_image(pod("waiter", &["wait"]), "none:1", "Never")).await;
    let waits = eventually("the pod waits", async || {
        api.get("waiter").await.ok()?.status?.container_statuses?.remove(0).state?.waiting
    });
    let waits = waits.await;
    assert_eq!(waits.reason.as_deref(), Some("ErrImageNeverPull"), "{waits:?}");
}

#[tokio::test]
async fn what_a_container_needs_cannot_be_removed_while_it_runs() {
    let cluster = TestCluster::new("held");
    start(&cluster);
    let client = client(&cluster).await;
    give(&cluster);
    let home = cluster.config.home.as_path();
    let remove = || images::remove(home, &["data:1".to_owned()]);
    let api = create(&client, with_image(pod("user", &["wait"]), "data:1", "Never")).await;
    in_phase(&api, "user", "Running").await;
    assert!(matches!(remove(), Err(ImageError::Held { .. })));
    // It is its shim that needs it, whatever becomes of the node.
    kill(node_pid(&cluster).unwrap());
    assert!(matches!(remove(), Err(ImageError::Held { .. })));
    eventually("the pod is deleted", async || {
        api.delete("user", &DeleteParams::default()).await.ok().map(drop)
    })
    .await;
    eventually("the pod is gone", async || api.get_opt("user").await.ok()?.is_none().then_some(()))
        .await;
    assert_eq!(remove().unwrap().layers, 2);

    // A pod that comes now waits for it.
    create(&client, with_image(pod("late", &["exit", "0"]), "data:1", "Never")).await;
    eventually("the pod waits", async || {
        let status = api.get("late").await.ok()?.status?.container_statuses?.remove(0);
        let reason = status.state?.waiting?.reason?;
        (reason == "ErrImageNeverPull").then_some(())
    })
    .await;
    give(&cluster);
    in_phase(&api, "late", "Succeeded").await;
}
