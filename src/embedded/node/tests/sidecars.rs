//! Init containers that go on beside the others.

use super::*;

#[tokio::test]
async fn a_sidecar_has_its_time_after_what_it_serves_has_ended() {
    let cluster = TestCluster::new("sidecar");
    start(&cluster);
    let client = client(&cluster).await;
    let mut job = pod("job", &["exit", "0"]);
    let mount = json!([{"name": "v", "mountPath": "/seen"}]);
    job["spec"]["volumes"] = json!([{"name": "v", "hostPath": {
        "path": cluster.path("seen"), "type": "DirectoryOrCreate"}}]);
    job["spec"]["terminationGracePeriodSeconds"] = 5.into();
    job["spec"]["initContainers"] = json!([{
        "name": "sidecar", "image": "curtain:test", "restartPolicy": "Always",
        "args": ["program", "wait"], "volumeMounts": mount,
        "lifecycle": {"preStop": {"exec": {
            "command": ["/curtain", "program", "write", "/seen/flushed"]}}}}]);
    let api = create(&client, job).await;
    let ended = in_phase(&api, "job", "Succeeded").await;
    assert!(cluster.path("seen/flushed").exists(), "it was asked, not killed");
    let sidecar = &ended.status.unwrap().init_container_statuses.unwrap()[0];
    let end = sidecar.state.as_ref().unwrap().terminated.as_ref();
    assert!(end.is_some(), "the pod has ended once all of it has: {sidecar:?}");
}
