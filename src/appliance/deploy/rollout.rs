//! Waiting until a component runs what it was given.

use std::{collections::BTreeMap, time::Duration};

use curtain_deploy::App;
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, LogParams},
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};

use super::{RESTARTED_AT, objects::bindings};
use crate::Error;

/// Why a container waits that will not get ready by waiting longer.
const HOPELESS: &[&str] = &[
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
];

/// The pods that are wanted.
pub(super) struct Rollout<'a> {
    pub(super) app: &'a App,
    /// The mark of a restart.
    pub(super) restarted: Option<String>,
    /// Whether whoever waits may see what containers write.
    pub(super) logs: bool,
}

impl Rollout<'_> {
    /// Waits until all pods of the component are new and ready; returns the binding that made them.
    ///
    /// # Errors
    /// A pod that will not get ready, or none that is in time.
    pub(super) async fn done(
        &self,
        client: &Client,
        timeout: Duration,
    ) -> Result<DynamicObject, Error> {
        let what = format!("component {}", self.app.name);
        let mut pods = Pods::default();
        match tokio::time::timeout(timeout, self.watch(client, &mut pods)).await {
            Ok(ended) => ended?,
            Err(_) => {
                let what = format!("{what} ({})", pods.summary(self));
                return Err(Error::Timeout { what, waited: timeout });
            }
        }
        let ready = bindings(self.app, client).await?.into_iter().find(|binding| {
            binding.data["status"]["endpoints"].as_array().is_some_and(|all| !all.is_empty())
        });
        ready.ok_or_else(|| {
            let why = "no release binding of it has endpoints".to_owned();
            Error::Unreachable { what, why }
        })
    }

    async fn watch(&self, client: &Client, pods: &mut Pods) -> Result<(), Error> {
        let App { name, .. } = self.app;
        let config = watcher::Config::default().labels(&selector(self.app));
        let changes = watcher(Api::<Pod>::all(client.clone()), config).default_backoff();
        let mut changes = std::pin::pin!(changes);
        loop {
            match changes.try_next().await {
                Ok(Some(event)) => pods.take(event),
                // The watcher tries again by itself; the time that is given bounds it.
                Err(_) => continue,
                Ok(None) => std::future::pending().await,
            }
            if pods.are_new_and_ready(self) {
                return Ok(());
            }
            if let Some((pod, why)) = pods.hopeless(self) {
                let last = if self.logs { last_line(client, pod).await } else { None };
                let why = last.map_or_else(|| why.clone(), |line| format!("{why}\n  {line}"));
                return Err(Error::Lacking { what: format!("component {name}"), why });
            }
        }
    }

    /// Whether `pod` answers for what was deployed: new, ready, and not about to go.
    pub(super) fn is_answering(&self, pod: &Pod) -> bool {
        is_staying(pod) && self.is_new(pod) && is_ready(pod)
    }

    /// Whether `pod` is one of those that are wanted, and not one that was there before.
    fn is_new(&self, pod: &Pod) -> bool {
        let image = pod.spec.as_ref().and_then(|spec| spec.containers.first()?.image.as_deref());
        let mark = pod.annotations().get(RESTARTED_AT);
        image == Some(self.app.image.as_str())
            && self.restarted.as_ref().is_none_or(|restarted| mark == Some(restarted))
    }
}

/// The component's pods as they were last seen, by uid.
#[derive(Default)]
struct Pods {
    all: BTreeMap<String, Pod>,
    /// Whether every pod has been seen once.
    complete: bool,
}

impl Pods {
    fn take(&mut self, event: Event<Pod>) {
        match event {
            Event::Init => (self.all, self.complete) = (BTreeMap::new(), false),
            Event::InitApply(pod) | Event::Apply(pod) => {
                self.all.insert(pod.uid().unwrap_or_default(), pod);
            }
            Event::InitDone => self.complete = true,
            Event::Delete(pod) => {
                self.all.remove(&pod.uid().unwrap_or_default());
            }
        }
    }

    fn are_new_and_ready(&self, wanted: &Rollout<'_>) -> bool {
        let staying = || self.all.values().filter(|pod| is_staying(pod));
        self.complete && staying().next().is_some() && staying().all(|pod| wanted.is_answering(pod))
    }

    /// A new pod that will not get ready, and why.
    fn hopeless(&self, wanted: &Rollout<'_>) -> Option<(&Pod, String)> {
        let new = self.all.values().filter(|pod| wanted.is_new(pod));
        new.flat_map(|pod| statuses(pod).map(move |status| (pod, status))).find_map(
            |(pod, status)| {
                let waiting = status.state.as_ref()?.waiting.as_ref()?;
                let reason = waiting.reason.as_deref()?;
                let message = waiting.message.as_deref().unwrap_or("it says no more");
                HOPELESS.contains(&reason).then(|| (pod, format!("{reason}: {message}")))
            },
        )
    }

    fn summary(&self, wanted: &Rollout<'_>) -> String {
        let new: Vec<&Pod> = self.all.values().filter(|pod| wanted.is_new(pod)).collect();
        let ready = new.iter().filter(|pod| is_ready(pod)).count();
        match (new.len(), self.all.len()) {
            (0, 0) => "it has no pods".to_owned(),
            (0, old) => format!("{old} pods run what was there before"),
            (new, _) => format!("{ready} of {new} new pods are ready"),
        }
    }
}

/// What the component's pods are labelled with.
pub(super) fn selector(app: &App) -> String {
    let App { name, project, .. } = app;
    format!("openchoreo.dev/component={name},openchoreo.dev/project={project}")
}

pub(super) fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten())
}

fn is_staying(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none()
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// What a container of `pod` wrote last.
pub(super) async fn last_line(client: &Client, pod: &Pod) -> Option<String> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace()?);
    let how = LogParams { tail_lines: Some(1), ..LogParams::default() };
    let text = pods.logs(&pod.name_any(), &how).await.ok()?;
    let line = text.trim();
    (!line.is_empty()).then(|| format!("its last line: {line}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn app() -> App {
        App {
            name: "my".to_owned(),
            namespace: "default".to_owned(),
            project: "default".to_owned(),
            image: "my:2".to_owned(),
            id: None,
            port: 80,
        }
    }

    fn pod(uid: &str, image: &str, ready: bool, state: &Value) -> Pod {
        let ready = if ready { "True" } else { "False" };
        serde_json::from_value(json!({
            "metadata": {"name": uid, "uid": uid},
            "spec": {"containers": [{"name": "main", "image": image}]},
            "status": {
                "conditions": [{"type": "Ready", "status": ready}],
                "containerStatuses": [{"name": "main", "image": image, "imageID": "", "ready": false,
                    "restartCount": 0, "state": state}],
            },
        }))
        .unwrap()
    }

    #[test]
    fn it_is_done_when_every_pod_is_new_and_ready() {
        let app = app();
        let rollout = Rollout { app: &app, restarted: None, logs: true };
        let (running, mut pods) = (json!({"running": {}}), Pods::default());
        pods.take(Event::Init);
        pods.take(Event::InitApply(pod("old", "my:1", true, &running)));
        pods.take(Event::InitDone);
        assert!(!pods.are_new_and_ready(&rollout), "an old one is no new one");
        pods.take(Event::Apply(pod("new", "my:2", false, &running)));
        assert!(pods.summary(&rollout).starts_with("0 of 1 new pods"));
        pods.take(Event::Apply(pod("new", "my:2", true, &running)));
        assert!(!pods.are_new_and_ready(&rollout), "the old one still answers");
        pods.take(Event::Delete(pod("old", "my:1", true, &running)));
        assert!(pods.are_new_and_ready(&rollout));
        let rollout = Rollout { app: &app, restarted: Some("now".to_owned()), logs: true };
        assert!(!pods.are_new_and_ready(&rollout), "it is from before the restart");
    }

    #[test]
    fn what_will_not_get_ready_is_not_waited_for() {
        let app = app();
        let rollout = Rollout { app: &app, restarted: None, logs: true };
        let waiting =
            |reason: &str| json!({"waiting": {"reason": reason, "message": "no such image"}});
        let mut pods = Pods::default();
        pods.take(Event::Apply(pod("new", "my:2", false, &waiting("ContainerCreating"))));
        assert!(pods.hopeless(&rollout).is_none());
        pods.take(Event::Apply(pod("new", "my:2", false, &waiting("ErrImagePull"))));
        let (_, why) = pods.hopeless(&rollout).unwrap();
        assert_eq!(why, "ErrImagePull: no such image");
    }
    #[test]
    fn a_pod_that_is_about_to_go_does_not_answer_for_the_new_ones() {
        let rollout = Rollout { app: &app(), restarted: None, logs: true };
        let mut pod = pod("new", "my:2", true, &json!({}));
        assert!(rollout.is_answering(&pod));
        pod.metadata.deletion_timestamp =
            serde_json::from_value(json!("2026-01-01T00:00:00Z")).ok();
        assert!(!rollout.is_answering(&pod));
        pod.metadata.deletion_timestamp = None;
        assert!(!Rollout { restarted: Some("now".to_owned()), ..rollout }.is_answering(&pod));
    }
}
