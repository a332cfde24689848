//! Pods that do nothing, and a watch that tells what becomes of them.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::try_join_all;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};
use kube::{Client, ResourceExt as _};
use serde_json::json;

use crate::Outcome;
use crate::bare::IMAGE;

/// Nothing that is waited for takes as long.
const PATIENCE: Duration = Duration::from_secs(120);

/// What becomes of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Ready,
    Gone,
}

pub(crate) struct Pods {
    api: Api<Pod>,
    events: BoxStream<'static, kube::Result<WatchEvent<Pod>>>,
}

impl Pods {
    pub(crate) async fn of(client: Client) -> Outcome<Self> {
        let api = Api::<Pod>::default_namespaced(client);
        let listed = api.list(&ListParams::default()).await?;
        let version = listed.metadata.resource_version.unwrap_or_default();
        let events = api.watch(&WatchParams::default().disable_bookmarks(), &version).await?;
        Ok(Self { events: events.boxed(), api })
    }

    pub(crate) async fn create(&self, name: &str) -> kube::Result<()> {
        let pod = json!({"metadata": {"name": name}, "spec": {
            "terminationGracePeriodSeconds": 30,
            "containers": [{"name": "idle", "image": IMAGE, "args": ["program", "idle"]}]}});
        let pod = serde_json::from_value(pod).map_err(kube::Error::SerdeError)?;
        self.api.create(&PostParams::default(), &pod).await.map(drop)
    }

    pub(crate) async fn delete(&self, name: &str) -> kube::Result<()> {
        self.api.delete(name, &DeleteParams::default()).await.map(drop)
    }

    pub(crate) async fn create_all(&self, names: &[String]) -> kube::Result<()> {
        try_join_all(names.iter().map(|name| self.create(name))).await.map(drop)
    }

    pub(crate) async fn delete_all(&self, names: &[String]) -> kube::Result<()> {
        try_join_all(names.iter().map(|name| self.delete(name))).await.map(drop)
    }

    /// Returns when so many pods have come to a stage since this was called, or what was waited for last.
    pub(crate) async fn until(&mut self, stage: Stage, count: usize) -> Outcome<()> {
        let mut reached = BTreeSet::new();
        let all = async {
            while reached.len() < count {
                let event = self.events.try_next().await?.ok_or("the watch ended")?;
                match event {
                    WatchEvent::Added(pod) | WatchEvent::Modified(pod)
                        if stage == Stage::Ready && is_ready(&pod) =>
                    {
                        reached.insert(pod.name_any());
                    }
                    WatchEvent::Deleted(pod) if stage == Stage::Gone => {
                        reached.insert(pod.name_any());
                    }
                    WatchEvent::Error(status) => return Err(format!("{status:?}").into()),
                    _ => {}
                }
            }
            Outcome::Ok(())
        };
        match tokio::time::timeout(PATIENCE, all).await {
            Ok(outcome) => outcome,
            Err(_) => {
                Err(format!("{} of {count} pods are {stage:?} after {PATIENCE:?}", reached.len())
                    .into())
            }
        }
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True")
}
