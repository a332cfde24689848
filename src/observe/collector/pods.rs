//! What the collector needs of a pod.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt;

use crate::owner::Owner;
use crate::wire::Source;

/// How far a container has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// How often it was started again.
    pub(super) restarts: i32,
    /// Whether it is running now.
    pub(super) running: bool,
    /// Whether this instance has ended.
    pub(super) ended: bool,
}

/// The containers of a pod that have been started, as sources with their progress.
pub(super) fn containers(pod: &Pod) -> Vec<(Source, Progress)> {
    let status = pod.status.as_ref();
    let lists = [
        status.and_then(|s| s.init_container_statuses.as_ref()),
        status.and_then(|s| s.container_statuses.as_ref()),
    ];
    let statuses = lists.into_iter().flatten().flatten();
    statuses.filter_map(|status| Some((source(pod, &status.name), progress(status)?))).collect()
}

fn progress(status: &ContainerStatus) -> Option<Progress> {
    let state = status.state.as_ref();
    let running = state.is_some_and(|state| state.running.is_some());
    let ended = state.is_some_and(|state| state.terminated.is_some());
    let started = running || ended || status.restart_count > 0;
    // Between two instances the former one's log is the current one.
    started.then_some(Progress {
        restarts: status.restart_count,
        running,
        ended: ended || !running,
    })
}

fn source(pod: &Pod, container: &str) -> Source {
    Source {
        pod_uid: pod.uid().unwrap_or_default(),
        pod: pod.name_any(),
        pod_namespace: pod.namespace().unwrap_or_default(),
        container: container.to_owned(),
        owner: Owner::of(pod.labels()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn started_containers_are_sources_with_the_platforms_names() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata":{"name":"cart-1","namespace":"dp","uid":"u","labels":{"openchoreo.dev/namespace":"default",
                "openchoreo.dev/project":"shop","openchoreo.dev/component":"cart","openchoreo.dev/component-uid":"c"}},
            "status":{"containerStatuses":[
                {"name":"main","image":"i","imageID":"","ready":true,"restartCount":2,"state":{"running":{}}},
                {"name":"waits","image":"i","imageID":"","ready":false,"restartCount":0,"state":{"waiting":{}}},
                {"name":"crashes","image":"i","imageID":"","ready":false,"restartCount":1,"state":{"waiting":{"reason":"CrashLoopBackOff"}}}]}}))
        .expect("a Pod");
        let found = containers(&pod);
        let names: Vec<_> =
            found.iter().map(|(s, p)| (s.container.as_str(), p.restarts, p.running)).collect();
        assert_eq!(names, [("main", 2, true), ("crashes", 1, false)]);
        let source = &found[0].0.owner;
        assert_eq!((source.component.as_str(), source.component_uid.as_str()), ("cart", "c"));
    }
}
