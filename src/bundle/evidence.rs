//! Why something is not ready: the last event and the last log line of what is behind it.

use std::time::Duration;

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ContainerStatus, Event, Pod},
};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, LogParams},
};

use crate::document::Identity;

/// How long it may take to ask: whoever waits has waited long enough.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is known about `object`, each piece on its own line; empty if nothing is.
pub(crate) async fn collect(client: &Client, object: &Identity) -> String {
    let asked = tokio::time::timeout(PATIENCE, ask(client, object)).await;
    asked.unwrap_or_else(|_| "\n  the cluster did not answer when asked why".to_owned())
}

async fn ask(client: &Client, object: &Identity) -> String {
    let mut lines = Vec::new();
    let namespace = object.namespace.as_deref().unwrap_or("default");
    let pod = if object.kind == "Deployment" {
        unready_pod(client, namespace, &object.name).await
    } else {
        None
    };
    lines.extend(pod.as_ref().and_then(state));
    lines.extend(last_event(client, namespace, &object.name).await);
    if let Some(pod) = &pod {
        lines.extend(last_line(client, namespace, pod).await);
    }
    lines.iter().map(|line| format!("\n  {line}")).collect()
}

async fn unready_pod(client: &Client, namespace: &str, deployment: &str) -> Option<Pod> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let selector = deployments.get(deployment).await.ok()?.spec.selector.match_labels?;
    let selector: Vec<_> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pods = pods.list(&ListParams::default().labels(&selector.join(","))).await.ok()?;
    pods.items.into_iter().find(is_unready)
}

/// One that no node has started a container of is not ready either.
fn is_unready(pod: &Pod) -> bool {
    containers(pod).next().is_none() || !containers(pod).all(|container| container.ready)
}

fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten())
}

fn state(pod: &Pod) -> Option<String> {
    let container = containers(pod).find(|container| !container.ready)?;
    let state = container.state.as_ref()?;
    let words = |reason: &Option<String>, message: &Option<String>| {
        [reason.as_deref(), message.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(": ")
    };
    let what = match (&state.waiting, &state.terminated) {
        (Some(waiting), _) => format!("waits ({})", words(&waiting.reason, &waiting.message)),
        (_, Some(ended)) => {
            format!("ended with {} ({})", ended.exit_code, words(&ended.reason, &ended.message))
        }
        _ => "runs and is not ready".to_owned(),
    };
    Some(format!(
        "container {} of pod {} {what}, {} restarts",
        container.name,
        pod.name_any(),
        container.restart_count
    ))
}

/// The last event about the object called `name` or one made for it, such as a ReplicaSet or a pod.
async fn last_event(client: &Client, namespace: &str, name: &str) -> Option<String> {
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let mut events = events.list(&ListParams::default()).await.ok()?.items;
    events.retain(|event| {
        let about = event.involved_object.name.as_deref().unwrap_or_default();
        about.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    });
    let last =
        events.into_iter().max_by_key(|event| event.last_timestamp.as_ref().map(|time| time.0))?;
    Some(format!(
        "last event: {} {}",
        last.reason.unwrap_or_default(),
        last.message.unwrap_or_default()
    ))
}

async fn last_line(client: &Client, namespace: &str, pod: &Pod) -> Option<String> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let name = pod.name_any();
    let container = containers(pod).find(|container| !container.ready)?.name.clone();
    let params = |previous| LogParams {
        container: Some(container.clone()),
        tail_lines: Some(1),
        previous,
        ..LogParams::default()
    };
    let mut text = pods.logs(&name, &params(false)).await.unwrap_or_default();
    if text.trim().is_empty() {
        text = pods.logs(&name, &params(true)).await.unwrap_or_default();
    }
    let line = text.trim();
    (!line.is_empty()).then(|| format!("last log line: {line}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_pod_without_a_started_container_is_the_one_to_ask_about() {
        let pod = |statuses: Value| -> Pod {
            serde_json::from_value(json!({ "status": { "containerStatuses": statuses } })).unwrap()
        };
        let status = |ready: bool| json!({ "name": "a", "ready": ready, "restartCount": 0, "image": "", "imageID": "" });
        assert!(is_unready(&pod(json!([]))));
        assert!(is_unready(&pod(json!([status(true), status(false)]))));
        assert!(!is_unready(&pod(json!([status(true)]))));
    }
}
