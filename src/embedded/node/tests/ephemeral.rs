//! Containers that are added to a running pod.

use serde_json::Value;

use super::*;
use crate::node::cgroup::Tree;

async fn add(api: &Api<Pod>, pod: &str, container: Value) -> kube::Result<Pod> {
    let patch = Patch::Strategic(json!({"spec": {"ephemeralContainers": [container]}}));
    api.patch_ephemeral_containers(pod, &PatchParams::default(), &patch).await
}

#[tokio::test]
async fn what_is_added_to_a_pod_sees_the_processes_it_names_and_ends_alone() {
    let cluster = TestCluster::new("ephemeral");
    start(&cluster);
    let client = client(&cluster).await;
    let mut web = pod("web", &["wait"]);
    web["spec"]["containers"][0]["env"] = json!([{"name": "OF", "value": "web"}]);
    let api = create(&client, web).await;
    in_phase(&api, "web", "Running").await;

    // In a process namespace of its own a program is the first one; here the container's own is.
    for (name, target, code) in [("beside", Some("main"), 0), ("apart", None, 1)] {
        let look = json!({"name": name, "image": "curtain:test", "targetContainerName": target,
            "args": ["program", "holds", "/proc/1/environ", "OF=web"]});
        add(&api, "web", look).await.unwrap();
        let end = eventually("it has ended", async || {
            let status = api.get("web").await.unwrap().status.unwrap();
            let all = status.ephemeral_container_statuses.unwrap_or_default();
            let own = all.into_iter().find(|one| one.name == name)?;
            assert!(!own.ready && own.restart_count == 0, "{own:?}");
            own.state?.terminated
        })
        .await;
        assert_eq!(end.exit_code, code, "{name}: {end:?}");
    }
    let web = api.get("web").await.unwrap();
    let status = web.status.unwrap();
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert_eq!(status.container_statuses.unwrap()[0].restart_count, 0);

    // What it is to look at may come later.
    let mut early = pod("early", &["wait"]);
    early["spec"]["initContainers"] =
        json!([{"name": "init", "image": "curtain:test", "args": ["program", "wait"]}]);
    create(&client, early).await;
    let look = json!({"name": "look", "image": "curtain:test", "targetContainerName": "main",
        "args": ["program", "wait"]});
    add(&api, "early", look).await.unwrap();
    let message = eventually("it waits", async || {
        let status = api.get("early").await.unwrap().status?;
        let waiting = status.ephemeral_container_statuses?[0].state.clone()?.waiting?;
        (waiting.reason.as_deref() == Some("CreateContainerError")).then_some(waiting.message?)
    })
    .await;
    assert!(message.contains("\"main\"") && message.contains("does not run"), "{message}");
    api.delete("early", &DeleteParams::default().grace_period(0)).await.unwrap();
    let gone = async || api.get_opt("early").await.unwrap().is_none().then_some(());
    eventually("the early pod is gone", gone).await;

    // It ends with its pod.
    let wait = json!({"name": "wait", "image": "curtain:test", "targetContainerName": "main",
        "args": ["program", "wait"]});
    add(&api, "web", wait).await.unwrap();
    eventually("it runs", async || {
        let status = api.get("web").await.unwrap().status.unwrap();
        let all = status.ephemeral_container_statuses.unwrap();
        all.into_iter().find(|one| one.name == "wait")?.state?.running
    })
    .await;
    let pods = Tree::of(&cluster.config).unwrap().unwrap().group("pods");
    eventually("only its own two run", async || (pods.processes().len() == 2).then_some(())).await;
    api.delete("web", &DeleteParams::default().grace_period(0)).await.unwrap();
    let gone = async || api.get_opt("web").await.unwrap().is_none().then_some(());
    eventually("the pod is gone", gone).await;
    eventually("nothing runs", async || pods.processes().is_empty().then_some(())).await;
}
