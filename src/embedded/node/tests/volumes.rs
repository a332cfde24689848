//! Volumes of pods.

use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret};

use super::*;

/// Makes the secret that [`with_secret`] mounts.
async fn make_secret(client: &Client) {
    let secrets: Api<Secret> = Api::default_namespaced(client.clone());
    let secret = json!({"metadata": {"name": "s"}, "stringData": {"key": "hunter2"}});
    let secret = serde_json::from_value(secret).unwrap();
    eventually("the secret is accepted", async || {
        secrets.create(&PostParams::default(), &secret).await.ok()
    })
    .await;
}

/// `pod`, whose container finds the secret in `/secret`.
fn with_secret(mut pod: serde_json::Value) -> serde_json::Value {
    pod["spec"]["volumes"] = json!([{"name": "s", "secret": {"secretName": "s"}}]);
    pod["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "s", "mountPath": "/secret"}]);
    pod
}

#[tokio::test]
async fn volumes_of_secrets_are_in_memory_and_read_only() {
    let cluster = TestCluster::new("memory");
    start(&cluster);
    let client = client(&cluster).await;
    make_secret(&client).await;
    let mut reader = with_secret(pod("reader", &["cat", "/secret/key"]));
    let mut writer = reader["spec"]["containers"][0].clone();
    writer["name"] = "writer".into();
    writer["args"] = json!(["program", "write", "/secret/new"]);
    let mut waiter = reader["spec"]["containers"][0].clone();
    waiter["name"] = "waiter".into();
    waiter["args"] = json!(["program", "wait"]);
    reader["spec"]["containers"].as_array_mut().unwrap().extend([writer, waiter]);
    let api = create(&client, reader).await;
    let codes = eventually("both have ended", async || {
        let statuses = api.get("reader").await.ok()?.status?.container_statuses?;
        let code = |name: &str| {
            let status = statuses.iter().find(|one| one.name == name)?;
            Some(status.state.as_ref()?.terminated.as_ref()?.exit_code)
        };
        Some([code("main")?, code("writer")?])
    })
    .await;
    assert_eq!(codes, [0, 1]);
    let params = LogParams { container: Some("main".into()), ..LogParams::default() };
    assert_eq!(api.logs("reader", &params).await.unwrap().trim_end(), "hunter2");
    let uid = api.get("reader").await.unwrap().uid().unwrap();
    let volumes = cluster.config.pods_dir().join(uid).join("volumes");
    for volume in std::fs::read_dir(volumes).unwrap() {
        let on_disk = std::fs::read_dir(volume.unwrap().path()).unwrap().count();
        assert_eq!(on_disk, 0, "the token and the secret are in the pod's memory");
    }
}

#[tokio::test]
async fn a_pod_whose_shim_was_killed_has_its_secrets_again() {
    let cluster = TestCluster::new("reshim");
    start(&cluster);
    let client = client(&cluster).await;
    make_secret(&client).await;
    let mut holder = with_secret(pod("holder", &["wait"]));
    holder["spec"]["restartPolicy"] = "Always".into();
    let main = &mut holder["spec"]["containers"][0];
    // A container that does not find it is killed and started once more.
    let reads = json!({"exec": {"command": ["/curtain", "program", "cat", "/secret/key"]}});
    main["lifecycle"] = json!({"postStart": reads});
    let api = create(&client, holder).await;
    let restarts_once_ready = async |wanted: std::ops::RangeFrom<i32>| {
        eventually("the pod is ready", async || {
            let pod = api.get("holder").await.ok()?;
            let restarts = pod.status.as_ref()?.container_statuses.as_ref()?[0].restart_count;
            (ready(&pod) && wanted.contains(&restarts)).then_some(restarts)
        })
        .await
    };
    assert_eq!(restarts_once_ready(0..).await, 0);
    kill(child(&cluster, "shim").unwrap());
    assert_eq!(restarts_once_ready(1..).await, 1);
}

#[tokio::test]
async fn what_a_projected_volume_is_made_of_is_read_again() {
    let cluster = TestCluster::new("projected");
    start(&cluster);
    let client = client(&cluster).await;
    let mut late = pod("late", &["wait"]);
    let labels = json!({"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}});
    late["spec"]["volumes"] = json!([{"name": "p", "projected": {"sources": [
        {"serviceAccountToken": {"path": "token"}},
        {"downwardAPI": {"items": [labels]}},
        {"configMap": {"name": "later", "optional": true}}]}}]);
    // Each container is ready once what it waits for is in a file.
    let mut container = late["spec"]["containers"][0].clone();
    container["volumeMounts"] = json!([{"name": "p", "mountPath": "/p"}]);
    let waiting = [("map", "/p/key", "value"), ("label", "/p/labels", "late=\"yes\"")];
    late["spec"]["containers"] = waiting.map(|(name, path, text)| {
        let command = ["/curtain", "program", "holds", path, text];
        let mut container = container.clone();
        container["name"] = name.into();
        container["readinessProbe"] = json!({"exec": {"command": command}, "periodSeconds": 1});
        container
    })[..]
        .into();
    let api = create(&client, late).await;
    in_phase(&api, "late", "Running").await;
    assert!(!ready(&api.get("late").await.unwrap()), "there is no file yet");
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let map = json!({"metadata": {"name": "later"}, "data": {"key": "value"}});
    maps.create(&PostParams::default(), &serde_json::from_value(map).unwrap()).await.unwrap();
    let label = Patch::Merge(json!({"metadata": {"labels": {"late": "yes"}}}));
    api.patch("late", &PatchParams::default(), &label).await.unwrap();
    eventually("the files are there", async || ready(&api.get("late").await.ok()?).then_some(()))
        .await;
}

/// `pod`, whose container finds what the claim has in `/data`.
fn with_claim(mut pod: serde_json::Value, read_only: bool) -> serde_json::Value {
    let claim = json!({"claimName": "data", "readOnly": read_only});
    pod["spec"]["volumes"] = json!([{"name": "d", "persistentVolumeClaim": claim}]);
    pod["spec"]["securityContext"] = json!({"fsGroup": 7});
    pod["spec"]["containers"][0]["volumeMounts"] =
        json!([{"name": "d", "mountPath": "/data", "subPath": "deep"}]);
    pod
}

#[tokio::test]
async fn what_a_claim_has_outlives_pods_and_the_cluster_and_goes_with_the_claim() {
    let cluster = TestCluster::new("claim");
    start(&cluster);
    let client = client(&cluster).await;
    let claims: Api<PersistentVolumeClaim> = Api::default_namespaced(client.clone());
    let claim = json!({"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}}}});
    let claim: PersistentVolumeClaim = serde_json::from_value(claim).unwrap();
    eventually("the claim is accepted", async || {
        claims.create(&PostParams::default(), &claim).await.ok()
    })
    .await;
    let api = create(&client, with_claim(pod("writer", &["write", "/data/x"]), false)).await;
    in_phase(&api, "writer", "Succeeded").await;
    let bound = claims.get("data").await.unwrap();
    let directory = cluster.config.volumes_dir().join(format!("pvc-{}", bound.uid().unwrap()));
    let meta = |path: &Path| path.metadata().unwrap();
    assert_eq!(
        (meta(&directory).uid(), meta(&directory).gid()),
        (0, 7),
        "it is of the pod's group"
    );
    let root = meta(&cluster.config.volumes_dir());
    assert_eq!((root.uid(), root.mode() & 0o7777), (0, 0o700), "nobody else gets as far");

    crate::stop(&cluster.config, PATIENCE).unwrap();
    assert_eq!(std::fs::read(directory.join("deep/x")).unwrap(), b"x");
    start(&cluster);
    create(&client, with_claim(pod("reader", &["cat", "/data/x"]), true)).await;
    in_phase(&api, "reader", "Succeeded").await;
    assert_eq!(api.logs("reader", &LogParams::default()).await.unwrap().trim_end(), "x");
    create(&client, with_claim(pod("second", &["write", "/data/y"]), true)).await;
    in_phase(&api, "second", "Failed").await;

    claims.delete("data", &DeleteParams::default()).await.unwrap();
    assert!(claims.get_opt("data").await.unwrap().is_some(), "pods name it");
    for name in ["writer", "reader", "second"] {
        assert!(directory.join("deep/x").exists());
        api.delete(name, &DeleteParams::default()).await.unwrap();
    }
    eventually("the claim is gone", async || {
        claims.get_opt("data").await.ok()?.is_none().then_some(())
    })
    .await;
    eventually("its directory is gone", async || (!directory.exists()).then_some(())).await;
}
