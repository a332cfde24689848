//! The logs of the platform's containers, of now and of before their last restart.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStatus, Namespace, Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, LogParams},
};

use super::folder::Folder;

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// The end of a log that is asked for, in lines and in bytes.
const LINES: i64 = 10_000;
const BYTES: usize = 1 << 20;
/// What the namespaces of the platform are labelled with.
const OURS: &str = "app.kubernetes.io/part-of=curtain";
/// Where a cluster runs what it needs itself.
const SYSTEM: &str = "kube-system";

/// Adds the log of every container in the platform's namespaces.
pub(super) async fn collect(folder: &mut Folder, client: &Client) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let ours = ListParams::default().labels(OURS);
    let found = folder.wait("the platform's namespaces", ANSWER, namespaces.list(&ours)).await;
    let found = found.into_iter().flatten().map(|namespace| namespace.name_any());
    for namespace in found.chain([SYSTEM.to_owned()]) {
        let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
        let what = format!("the pods of {namespace}");
        let list = folder.wait(&what, ANSWER, pods.list(&ListParams::default())).await;
        for pod in list.into_iter().flatten() {
            for status in statuses(&pod) {
                one(folder, &pods, &pod, status).await;
            }
        }
    }
}

fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let all = pod.status.iter().flat_map(|status| {
        [&status.init_container_statuses, &status.container_statuses].into_iter().flatten()
    });
    all.flatten()
}

async fn one(folder: &mut Folder, pods: &Api<Pod>, pod: &Pod, status: &ContainerStatus) {
    let namespace = pod.namespace().unwrap_or_default();
    let (pod, container) = (pod.name_any(), &status.name);
    for previous in [false, true] {
        // One that never started has no log, one that never ended none of before.
        let state = status.state.as_ref();
        let began =
            state.is_some_and(|state| state.running.is_some() || state.terminated.is_some());
        let there = if previous { status.restart_count > 0 } else { began };
        if !there {
            continue;
        }
        let end = if previous { ".previous.log" } else { ".log" };
        let what = format!("logs/{namespace}/{pod}/{container}{end}");
        let params = LogParams {
            container: Some(container.clone()),
            tail_lines: Some(LINES),
            previous,
            timestamps: true,
            ..LogParams::default()
        };
        let Some(text) = folder.wait(&what, ANSWER, pods.logs(&pod, &params)).await else {
            continue;
        };
        let bytes = text.into_bytes();
        folder.add(what, &bytes[bytes.len().saturating_sub(BYTES)..]);
    }
}
