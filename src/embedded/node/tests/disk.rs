//! What pods take of the node's disk.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::Value;

use super::sight::page;
use super::*;
use crate::node::images;

const MIB: u64 = 1 << 20;

/// Gives the cluster an image of one file, for containers that are to have a writable layer on the disk.
fn give(cluster: &TestCluster) {
    let layers = [tar_of(&[("etc/motd", b"hello")])];
    images::load(&cluster.config.home, docker_save("base:1", &layers, &layers).as_slice()).unwrap();
}

/// A pod whose containers run these programs, from the image that [`give`] gives, with a volume of their own in `/data`.
fn writers(name: &str, programs: &[(&str, &[&str])]) -> Value {
    let program = std::env::current_exe().unwrap();
    let containers = programs.iter().map(|(name, words)| {
        let command: Vec<&str> = ["/curtain", "program"].iter().chain(*words).copied().collect();
        json!({"name": name, "image": "base:1", "command": command, "volumeMounts": [
            {"name": "program", "mountPath": "/curtain", "readOnly": true},
            {"name": "data", "mountPath": "/data"}]})
    });
    let containers: Vec<Value> = containers.collect();
    json!({"metadata": {"name": name, "labels": {"app": name}}, "spec": {
        "restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": containers,
        "volumes": [{"name": "data", "emptyDir": {}},
            {"name": "program", "hostPath": {"path": program, "type": "File"}}]}})
}

/// Waits until a container has said something.
async fn said(api: &Api<Pod>, pod: &str, container: &str, text: &str) {
    let params = LogParams { container: Some(container.into()), ..LogParams::default() };
    eventually(&format!("{container} of {pod} says {text}"), async || {
        api.logs(pod, &params).await.ok().filter(|log| log.contains(text)).map(drop)
    })
    .await;
}

#[tokio::test]
async fn what_pods_take_of_the_disk_is_in_the_statistics() {
    let cluster = TestCluster::new("disk");
    start(&cluster);
    let client = client(&cluster).await;
    give(&cluster);
    let programs: [(&str, &[&str]); 3] = [
        ("layer", &["fill", "/layer", "3"]),
        ("volume", &["fill", "/data/file", "5"]),
        ("talker", &["lines", "50000"]),
    ];
    let api = create(&client, writers("taker", &programs)).await;
    said(&api, "taker", "layer", "filled").await;
    said(&api, "taker", "volume", "filled").await;
    said(&api, "taker", "talker", "line 49999").await;

    // Nobody has asked before, so nothing was measured; who asks has it measured.
    let summary = eventually("the pod is measured", async || {
        let summary = page(&client, &cluster, "stats/summary").await;
        let summary: Value = serde_json::from_str(&summary).unwrap();
        summary["pods"][0]["ephemeral-storage"].is_object().then_some(summary)
    })
    .await;
    let node = &summary["node"]["fs"];
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{summary}"));
    assert!(number(&node["availableBytes"]) < number(&node["capacityBytes"]), "{node}");
    assert!(number(&node["usedBytes"]) > 8 * MIB, "{node}");
    let nodes: Api<Node> = Api::all(client.clone());
    let status = nodes.get(&cluster.config.node_name()).await.unwrap().status.unwrap();
    let of = |map: Option<BTreeMap<String, Quantity>>| map.unwrap()["ephemeral-storage"].0.clone();
    let capacity = number(&node["capacityBytes"]);
    assert_eq!(of(status.capacity), format!("{}Ki", capacity / 1024));
    let allocatable: u64 = of(status.allocatable).parse().unwrap();
    assert_eq!(capacity - allocatable, (capacity / 10).min(512 * MIB));
    let taker = &summary["pods"][0];
    let containers = taker["containers"].as_array().unwrap();
    let container = |name: &str| containers.iter().find(|one| one["name"] == name).unwrap();
    let used = |fs: &Value| number(&fs["usedBytes"]);
    let layer = used(&container("layer")["rootfs"]);
    assert!((3 * MIB..4 * MIB).contains(&layer), "{taker}");
    assert!(used(&container("volume")["rootfs"]) < MIB, "{taker}");
    assert!(used(&container("layer")["logs"]) < MIB, "{taker}");
    let volume = &taker["volume"][0];
    assert_eq!((&volume["name"], taker["volume"].as_array().unwrap().len()), (&"data".into(), 1));
    assert!((5 * MIB..6 * MIB).contains(&used(volume)), "{taker}");
    assert_eq!(volume["inodesUsed"], 2, "{taker}");
    // With what the container has said that has ended.
    let whole = used(&taker["ephemeral-storage"]);
    assert!((layer + used(volume) + MIB..15 * MIB).contains(&whole), "{taker}");
}

/// Waits until a pod is evicted; it.
async fn evicted(api: &Api<Pod>, name: &str) -> Pod {
    let pod = in_phase(api, name, "Failed").await;
    let reason = pod.status.as_ref().and_then(|status| status.reason.as_deref());
    assert_eq!(reason, Some("Evicted"), "{:?}", pod.status);
    pod
}

#[tokio::test]
async fn who_takes_more_of_the_disk_than_it_may_is_evicted_and_replaced() {
    let cluster = TestCluster::new("evict");
    start(&cluster);
    let client = client(&cluster).await;
    give(&cluster);
    let limited = |mut pod: Value, limit: &str| {
        pod["spec"]["containers"][0]["resources"] = json!({"limits": {"ephemeral-storage": limit}});
        pod
    };
    let layer: [(&str, &[&str]); 1] = [("main", &["fill", "/layer", "6"])];
    let volume: [(&str, &[&str]); 1] = [("main", &["fill", "/data/file", "4"])];
    let api = create(&client, limited(writers("large", &layer), "4Mi")).await;
    create(&client, limited(writers("modest", &layer), "64Mi")).await;
    let mut keeper = writers("keeper", &volume);
    keeper["spec"]["volumes"][0]["emptyDir"] = json!({"sizeLimit": "2Mi"});
    keeper["spec"]["restartPolicy"] = "Always".into();
    let set = json!({"metadata": {"name": "keeper"}, "spec": {"replicas": 1,
        "selector": {"matchLabels": {"app": "keeper"}},
        "template": {"metadata": {"labels": {"app": "keeper"}}, "spec": keeper["spec"]}}});
    let sets: Api<ReplicaSet> = Api::default_namespaced(client.clone());
    sets.create(&PostParams::default(), &serde_json::from_value(set).unwrap()).await.unwrap();

    let large = evicted(&api, "large").await;
    let why = "Pod ephemeral local storage usage exceeds the total limit of containers 4Mi. ";
    assert_eq!(large.status.as_ref().unwrap().message.as_deref(), Some(why));
    let events: Api<Event> = Api::default_namespaced(client.clone());
    let event = eventually("the eviction is told", async || {
        let events = events.list(&ListParams::default()).await.ok()?.items.into_iter();
        events.into_iter().find(|one| {
            one.reason.as_deref() == Some("Evicted")
                && one.involved_object.name.as_deref() == Some("large")
        })
    })
    .await;
    assert_eq!((event.message.as_deref(), event.type_.as_deref()), (Some(why), Some("Warning")));
    // What it took is free, although it is there still, and what it said can be read.
    let dir = cluster.config.pods_dir().join(large.uid().unwrap());
    eventually("its files are gone", async || (!dir.exists()).then_some(())).await;
    said(&api, "large", "main", "filled").await;

    let selector = ListParams::default().labels("app=keeper");
    let keepers = eventually("the set has another pod", async || {
        let pods = api.list(&selector).await.ok()?.items;
        (pods.len() > 1).then_some(pods)
    })
    .await;
    let ended = |pod: &&Pod| pod.status.as_ref().unwrap().phase.as_deref() == Some("Failed");
    let ended = evicted(&api, &keepers.iter().find(ended).unwrap().name_any()).await;
    let why = "Usage of EmptyDir volume \"data\" exceeds the limit \"2Mi\". ";
    assert_eq!(ended.status.unwrap().message.as_deref(), Some(why));

    let modest = in_phase(&api, "modest", "Running").await;
    assert_eq!(modest.status.unwrap().container_statuses.unwrap()[0].restart_count, 0);
}

/// Gives this thread, and what it starts, a small disk of its own in `dir`.
fn own_disk(dir: &Path, size: &str) {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    let size = format!("size={size}");
    mount(Some("tmpfs"), dir, Some("tmpfs"), MsFlags::empty(), Some(&*size)).unwrap();
}

/// `pod`, with a volume of its own in `/data`.
fn with_volume(name: &str, words: &[&str]) -> Value {
    let mut pod = pod(name, words);
    pod["spec"]["volumes"] = json!([{"name": "data", "emptyDir": {}}]);
    pod["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
    pod
}

#[tokio::test]
async fn what_ended_pods_have_left_makes_room_before_another_has_to_go() {
    let scratch = tempfile::tempdir().unwrap();
    own_disk(scratch.path(), "64m");
    let cluster = TestCluster::below(scratch.path(), "left");
    start(&cluster);
    let client = client(&cluster).await;
    let api = create(&client, with_volume("modest", &["fill", "/data/file", "2"])).await;
    said(&api, "modest", "main", "filled").await;
    // It ends because there is no room left for anybody.
    let burst = create(&client, with_volume("burst", &["fill", "/data/file", "100"])).await;
    let uid = burst.get("burst").await.unwrap().uid().unwrap();
    let left = cluster.config.pods_dir().join(uid);
    eventually("it has begun", async || left.exists().then_some(())).await;
    eventually("what it left is gone", async || (!left.exists()).then_some(())).await;
    let ended = in_phase(&api, "burst", "Failed").await;
    assert_eq!(ended.status.unwrap().reason, None, "it was not evicted");
    let modest = in_phase(&api, "modest", "Running").await;
    assert_eq!(modest.status.unwrap().container_statuses.unwrap()[0].restart_count, 0);
}

#[tokio::test]
async fn files_that_cannot_be_removed_keep_no_pod_from_being_deleted() {
    let scratch = tempfile::tempdir().unwrap();
    own_disk(scratch.path(), "64m");
    let cluster = TestCluster::below(scratch.path(), "stuck");
    start(&cluster);
    let client = client(&cluster).await;
    let mut large = with_volume("large", &["fill", "/data/file", "4"]);
    large["spec"]["volumes"][0]["emptyDir"] = json!({"sizeLimit": "2Mi"});
    let api = create(&client, large).await;
    let uid = api.get("large").await.unwrap().uid().unwrap();
    let dir = cluster.config.pods_dir().join(uid);
    eventually("it has begun", async || dir.exists().then_some(())).await;
    // Nobody can remove what something is mounted on.
    let busy = dir.join("busy");
    std::fs::create_dir(&busy).unwrap();
    mount(Some("tmpfs"), &busy, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    evicted(&api, "large").await;
    api.delete("large", &DeleteParams::default()).await.unwrap();
    let gone =
        eventually("it is gone", async || api.get_opt("large").await.ok()?.is_none().then_some(()));
    // The removal is tried again for longer than that.
    tokio::time::timeout(Duration::from_secs(60), gone).await.expect("it waits for its files");
    assert!(busy.exists());
    nix::mount::umount(&busy).unwrap();
    eventually("so are its files", async || (!dir.exists()).then_some(())).await;
}

#[tokio::test]
async fn a_node_whose_disk_is_full_evicts_who_fills_it_and_takes_nobody_until_there_is_room() {
    let scratch = tempfile::tempdir().unwrap();
    own_disk(scratch.path(), "96m");
    let cluster = TestCluster::below(scratch.path(), "full");
    start(&cluster);
    let client = client(&cluster).await;
    // One that was given to the machine, and one that can be had again.
    give(&cluster);
    let layers = [tar_of(&[("etc/issue", b"hello")])];
    let archive = docker_save("again:1", &layers, &layers);
    images::load(&cluster.config.home, archive.as_slice()).unwrap();
    let index = images::directory(&cluster.config.home).join(images::INDEX);
    let mut text: Value = serde_json::from_slice(&std::fs::read(&index).unwrap()).unwrap();
    text["images"]["docker.io/library/again:1"]["pulled"] = true.into();
    std::fs::write(&index, text.to_string()).unwrap();
    let has = |name: &str| images::find(&cluster.config.home, name).unwrap().is_some();
    let api = create(&client, with_volume("modest", &["fill", "/data/file", "2"])).await;
    said(&api, "modest", "main", "filled").await;
    let room = images::free(&cluster.config.home).unwrap() / MIB;
    let much = room.saturating_sub(7).to_string();
    create(&client, with_volume("glutton", &["fill", "/data/file", &much])).await;

    let glutton = evicted(&api, "glutton").await;
    let status = glutton.status.as_ref().unwrap();
    let why = status.message.as_deref().unwrap();
    let low = "The node was low on resource: ephemeral-storage. Threshold quantity: ";
    assert!(why.starts_with(low), "{why}");
    let mut conditions = status.conditions.as_ref().unwrap().iter();
    let disrupted = conditions.find(|one| one.type_ == "DisruptionTarget").unwrap();
    assert_eq!(disrupted.reason.as_deref(), Some("TerminationByKubelet"));

    let nodes: Api<Node> = Api::all(client.clone());
    let name = cluster.config.node_name();
    let taint = "node.kubernetes.io/disk-pressure";
    let told = async |short: bool| {
        eventually(&format!("the node tells {short}"), async || {
            let node = nodes.get(&name).await.ok()?;
            let taints = node.spec.as_ref()?.taints.clone().unwrap_or_default();
            let conditions = node.status.as_ref()?.conditions.as_ref()?;
            let disk = conditions.iter().find(|one| one.type_ == "DiskPressure")?;
            let wanted = if short { "True" } else { "False" };
            let tainted = taints.iter().any(|one| one.key == taint && one.effect == "NoSchedule");
            (disk.status == wanted && tainted == short).then_some(())
        })
        .await;
    };
    told(true).await;
    assert!(has("base:1") && !has("again:1"));
    create(&client, pod("late", &["exit", "0"])).await;
    let waits = eventually("the pod is not scheduled", async || {
        let conditions = api.get("late").await.ok()?.status?.conditions?;
        conditions.into_iter().find(|one| one.type_ == "PodScheduled" && one.status == "False")
    })
    .await;
    assert!(waits.message.as_deref().unwrap_or_default().contains(taint), "{waits:?}");
    // Room is there again as soon as its files are gone, and believed in a little later.
    told(false).await;
    in_phase(&api, "late", "Succeeded").await;
    let modest = in_phase(&api, "modest", "Running").await;
    assert_eq!(modest.status.unwrap().container_statuses.unwrap()[0].restart_count, 0);
}
