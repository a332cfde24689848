//! Why something is not ready: the last event and the last log line of what is behind it.

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ContainerStatus, Event, Pod},
};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, LogParams},
};

use crate::document::Identity;

/// What is known about `object`, each piece on its own line; empty if nothing is.
pub(crate) async fn collect(client: &Client, object: &Identity) -> String {
    let mut lines = Vec::new();
    let namespace = object.namespace.as_deref().unwrap_or("default");
    let pod = if object.kind == "Deployment" {
        unready_pod(client, namespace, &object.name).await
    } else {
        None
    };
    let mut about = vec![object.name.clone()];
    if let Some(pod) = &pod {
        about.push(pod.name_any());
        lines.extend(state(pod));
    }
    lines.extend(last_event(client, namespace, &about).await);
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
    pods.items.into_iter().find(|pod| !containers(pod).all(|container| container.ready))
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

async fn last_event(client: &Client, namespace: &str, about: &[String]) -> Option<String> {
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let mut events = events.list(&ListParams::default()).await.ok()?.items;
    events.retain(|event| {
        event.involved_object.name.as_ref().is_some_and(|name| about.contains(name))
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
