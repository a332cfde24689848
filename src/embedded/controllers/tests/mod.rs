//! The controllers against a real API server in this process, with a stand-in for the node.

mod account_tokens;
mod autoscale;
mod collect;
mod cron_jobs;
mod daemon_sets;
mod disruption;
mod jobs;
mod policies;
mod scheduling;
mod stateful_sets;
mod storage;
mod taints;
mod workloads;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Config, run};
use crate::apiserver::tests::harness::Cluster;

/// A busy machine is slow, never wrong.
const PATIENCE: Duration = Duration::from_secs(120);

/// An API server with controllers and a node that runs nothing but says so.
struct World {
    cluster: Cluster,
    client: Client,
    disk: Arc<storage::Disk>,
    tasks: JoinSet<()>,
    shutdown: CancellationToken,
}

impl World {
    async fn new() -> World {
        let cluster = Cluster::start().await;
        let client = cluster.client();
        let nodes: Api<Node> = Api::all(client.clone());
        nodes.create(&PostParams::default(), &node("n")).await.expect("creates");
        let mut tasks = JoinSet::new();
        let shutdown = CancellationToken::new();
        let manager = cluster
            .server
            .local_client("system:kube-controller-manager", &["system:authenticated"]);
        let scheduler =
            cluster.server.local_client("system:kube-scheduler", &["system:authenticated"]);
        let disk = Arc::new(storage::Disk::default());
        let metrics_period = Duration::from_millis(500);
        let config = Config { authority: "the CA".into(), disk: disk.clone(), metrics_period };
        tasks.spawn(run(manager, scheduler, config, shutdown.clone()));
        tasks.spawn(kubelet(client.clone()));
        World { cluster, client, disk, tasks, shutdown }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::default_namespaced(self.client.clone())
    }

    async fn create<K>(&self, object: Value) -> K
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Serialize,
    {
        let object: K = serde_json::from_value(object).expect("well-formed");
        self.api().create(&PostParams::default(), &object).await.expect("creates")
    }

    async fn stop(mut self) {
        self.shutdown.cancel();
        self.tasks.shutdown().await;
        drop(self.cluster);
    }
}

/// A node with room for everything that tests ask for.
fn node(name: &str) -> Node {
    let size = json!({"cpu": "64", "memory": "64Gi", "pods": "2000"});
    let node =
        json!({"metadata": {"name": name}, "status": {"capacity": size, "allocatable": size}});
    serde_json::from_value(node).expect("a Node")
}

/// Waits until `test` is true of all objects of a kind; says what it saw when it never is.
async fn until<K>(api: &Api<K>, what: &str, mut test: impl FnMut(&[K]) -> bool) -> Vec<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Serialize + Send + 'static,
{
    let give_up = tokio::time::Instant::now() + PATIENCE;
    let last = loop {
        let seen = api.list(&Default::default()).await.expect("lists").items;
        if test(&seen) {
            return seen;
        }
        if tokio::time::Instant::now() > give_up {
            break seen;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    panic!("never seen: {what}; last {}", serde_json::to_string_pretty(&last).expect("JSON"));
}

/// Marks bound pods as running and ready, and lets deleted ones go. Those with a label `ends` end as it says.
async fn kubelet(client: Client) {
    let all: Api<Pod> = Api::all(client.clone());
    let mut stream = std::pin::pin!(watcher::watcher(all, watcher::Config::default()));
    let mut address = 0;
    while let Some(event) = stream.next().await {
        let Ok(Event::Apply(pod) | Event::InitApply(pod)) = event else { continue };
        let api: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
        let bound = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
        if pod.metadata.deletion_timestamp.is_some() {
            let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
            let _ = api.delete(&pod.name_any(), &now).await;
        } else if bound
            && super::pods::phase(&pod) == "Pending"
            && !pod.labels().contains_key("stuck")
        {
            address += 1;
            let ends = pod.labels().get("ends");
            let code = i32::from(ends.is_some_and(|phase| phase == "Failed"));
            let ended = json!({"status":{"phase":ends,"containerStatuses":[{"name":"c","image":"i","imageID":"","ready":false,
                "restartCount":0,"state":{"terminated":{"exitCode":code,"finishedAt":"2026-01-01T00:00:00Z"}}}]}});
            let running = json!({"status":{"phase":"Running","startTime":"2026-01-01T00:00:00Z","podIP":format!("10.244.0.{address}"),
                "conditions":[{"type":"Ready","status":"True","lastTransitionTime":"2026-01-01T00:00:00Z"}]}});
            let status = if ends.is_some() { ended } else { running };
            let _ = api
                .patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(status))
                .await;
        }
    }
}

/// Waits for an Event with this reason and message.
async fn said(world: &World, reason: &str, message: &str) {
    let events: Api<k8s_openapi::api::core::v1::Event> = world.api();
    until(&events, &format!("{reason}: {message}"), |events| {
        events.iter().any(|event| {
            event.reason.as_deref() == Some(reason)
                && event.message.as_deref().is_some_and(|text| text.starts_with(message))
        })
    })
    .await;
}

fn deployment(name: &str, replicas: i32, image: &str) -> Value {
    json!({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":name},"spec":{"replicas":replicas,
        "selector":{"matchLabels":{"app":name}},
        "template":{"metadata":{"labels":{"app":name}},"spec":{"containers":[
            {"name":"main","image":image,"ports":[{"name":"http","containerPort":8080}]}]}}}})
}
