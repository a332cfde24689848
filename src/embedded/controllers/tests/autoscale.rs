//! Autoscalers with a node that says what pods use.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler as Scaler;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;

use super::*;
use crate::apiserver::{
    LogError, LogOptions, NodeBackend, Page, PageError, PageRequest, PodRef, Sample,
};

/// A node on which every container uses as many thousandths of a processor, in as many seconds.
struct Meter {
    cpu: AtomicU64,
    window: AtomicU64,
}

fn meter(cpu: u64) -> Arc<Meter> {
    Arc::new(Meter { cpu: cpu.into(), window: 15.into() })
}

impl NodeBackend for Meter {
    fn name(&self) -> &str {
        "n"
    }

    fn page(&self, _: PageRequest) -> BoxFuture<'_, Result<Page, PageError>> {
        Box::pin(async { Err(PageError::NotFound) })
    }

    fn pod_samples<'a>(&'a self, pods: &'a [PodRef]) -> BoxFuture<'a, Vec<Vec<(String, Sample)>>> {
        let nanocores = self.cpu.load(Ordering::SeqCst) * 1_000_000;
        let window = Duration::from_secs(self.window.load(Ordering::SeqCst));
        let ended = Timestamp::now();
        let sample = Sample { nanocores, memory: 1 << 20, window, ended };
        let of = move |_| vec![("main".to_owned(), sample)];
        Box::pin(async move { pods.iter().map(of).collect() })
    }

    fn logs(
        &self,
        _: PodRef,
        _: LogOptions,
    ) -> BoxFuture<'_, Result<BoxStream<'static, io::Result<Bytes>>, LogError>> {
        Box::pin(async { Err(LogError::NotAvailable("no logs here".into())) })
    }
}

fn scaler(name: &str, metric: Value) -> Value {
    let now = json!({"stabilizationWindowSeconds": 0});
    json!({"metadata": {"name": name}, "spec": {"minReplicas": 2, "maxReplicas": 4, "metrics": [metric],
        "behavior": {"scaleUp": now, "scaleDown": now},
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}}})
}

fn cpu() -> Value {
    let target = json!({"type": "Utilization", "averageUtilization": 50});
    json!({"type": "Resource", "resource": {"name": "cpu", "target": target}})
}

async fn replicas(world: &World, what: &str, expected: i32) {
    let deployments: Api<Deployment> = world.api();
    until(&deployments, what, |all| {
        let web = all.iter().find(|it| it.name_any() == "web");
        web.and_then(|it| it.spec.replicas) == Some(expected)
    })
    .await;
}

/// Waits for a condition of an autoscaler.
async fn told(world: &World, name: &str, kind: &str, status: &str, reason: &str) -> Scaler {
    let scalers: Api<Scaler> = world.api();
    let all = until(&scalers, reason, |all| {
        let scaler = all.iter().find(|it| it.name_any() == name);
        let status_of = scaler.and_then(|it| it.status.as_ref());
        status_of.and_then(|it| it.conditions.as_ref()).into_iter().flatten().any(|it| {
            (it.type_.as_str(), it.status.as_str()) == (kind, status)
                && it.reason.as_deref() == Some(reason)
        })
    })
    .await;
    all.into_iter().find(|it| it.name_any() == name).expect("is there")
}

/// A Deployment whose pods request a tenth of a processor.
fn web(replicas: i32) -> Value {
    let mut web = deployment("web", replicas, "i");
    let requests = json!({"requests": {"cpu": "100m"}});
    web["spec"]["template"]["spec"]["containers"][0]["resources"] = requests;
    web
}

#[tokio::test]
async fn a_busy_deployment_grows_and_an_idle_one_shrinks() {
    let world = World::new().await;
    let meter = meter(100);
    world.cluster.server.set_node(meter.clone());
    world.create::<Deployment>(web(1)).await;
    world.create::<Scaler>(scaler("web", cpu())).await;
    // One is too few, whatever it uses; two at 100 % of their requests are twice as busy as they should be.
    said(&world, "SuccessfulRescale", "New size: 2; reason: Current number of replicas below")
        .await;
    replicas(&world, "twice as many", 4).await;
    let above =
        "New size: 4; reason: cpu resource utilization (percentage of request) above target";
    said(&world, "SuccessfulRescale", above).await;
    told(&world, "web", "ScalingActive", "True", "ValidMetricFound").await;
    told(&world, "web", "ScalingLimited", "True", "TooManyReplicas").await;
    meter.cpu.store(1, Ordering::SeqCst);
    replicas(&world, "as few as there may be", 2).await;
    said(&world, "SuccessfulRescale", "New size: 2; reason: All metrics below target").await;
    let web = told(&world, "web", "ScalingLimited", "True", "TooFewReplicas").await;
    let current = json!(web.status.expect("a status").current_metrics);
    assert_eq!(current[0]["resource"]["current"]["averageUtilization"], 1, "{current}");
    world.stop().await;
}

#[tokio::test]
async fn what_is_used_in_a_moment_says_nothing() {
    let world = World::new().await;
    let meter = meter(100);
    meter.window.store(1, Ordering::SeqCst);
    world.cluster.server.set_node(meter.clone());
    world.create::<Deployment>(web(2)).await;
    let pods: Api<Pod> = world.api();
    until(&pods, "pods", |pods| pods.len() == 2).await;
    world.create::<Scaler>(scaler("web", cpu())).await;
    let seen = told(&world, "web", "AbleToScale", "True", "SucceededGetScale").await;
    let conditions = seen.status.and_then(|it| it.conditions).unwrap_or_default();
    assert_eq!(
        conditions.len(),
        1,
        "nothing is decided, and nothing complained of: {conditions:?}"
    );
    meter.window.store(15, Ordering::SeqCst);
    replicas(&world, "twice as many", 4).await;
    world.stop().await;
}

#[tokio::test]
async fn what_hinders_an_autoscaler_is_said() {
    let world = World::new().await;
    world.cluster.server.set_node(meter(100));
    world.create::<Scaler>(scaler("none", cpu())).await;
    told(&world, "none", "AbleToScale", "False", "FailedGetScale").await;
    said(&world, "FailedGetScale", "deployments.apps \"none\" not found").await;

    world.create::<Deployment>(deployment("plain", 2, "i")).await;
    world.create::<Scaler>(scaler("plain", cpu())).await;
    told(&world, "plain", "ScalingActive", "False", "FailedGetResourceMetric").await;

    world.create::<Deployment>(deployment("queue", 2, "i")).await;
    let target = json!({"type": "AverageValue", "averageValue": "1"});
    let metric = json!({"type": "Pods", "pods": {"metric": {"name": "q"}, "target": target}});
    world.create::<Scaler>(scaler("queue", metric)).await;
    told(&world, "queue", "ScalingActive", "False", "FailedGetPodsMetric").await;
    said(&world, "FailedGetPodsMetric", "unable to get metric q: unable to fetch metrics").await;
    let first = "invalid metrics (1 invalid out of 1), first error is: failed to get pods metric value: unable";
    said(&world, "FailedComputeMetricsReplicas", first).await;

    world.create::<Deployment>(deployment("off", 0, "i")).await;
    world.create::<Scaler>(scaler("off", cpu())).await;
    told(&world, "off", "ScalingActive", "False", "ScalingDisabled").await;
    world.stop().await;
}

#[tokio::test]
async fn whatever_has_a_scale_is_scaled() {
    let world = World::new().await;
    world.cluster.server.set_node(meter(100));
    let by = |kind: &str, version: &str, name: &str| {
        let mut scaler = scaler(name, cpu());
        scaler["spec"]["scaleTargetRef"] =
            json!({"apiVersion": version, "kind": kind, "name": name});
        scaler
    };
    let set = json!({"metadata": {"name": "db"}, "spec": {"replicas": 1, "serviceName": "db",
        "selector": {"matchLabels": {"app": "db"}},
        "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "main", "image": "i"}]}}}});
    world.create::<StatefulSet>(set).await;
    world.create::<Scaler>(by("StatefulSet", "apps/v1", "db")).await;
    let sets: Api<StatefulSet> = world.api();
    until(&sets, "two", |sets| sets[0].spec.replicas == Some(2)).await;

    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let scale = json!({"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector"});
    let names = json!({"plural": "herds", "singular": "herd", "kind": "Herd"});
    let version = json!({"name": "v1", "served": true, "storage": true, "subresources": {"scale": scale},
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": open, "status": open}}}});
    let definition = json!({"metadata": {"name": "herds.example.dev"},
        "spec": {"group": "example.dev", "scope": "Namespaced", "names": names, "versions": [version]}});
    let definitions: Api<CustomResourceDefinition> = Api::all(world.client.clone());
    let definition = serde_json::from_value(definition).expect("a definition");
    definitions.create(&PostParams::default(), &definition).await.expect("creates");
    let kind = GroupVersionKind::gvk("example.dev", "v1", "Herd");
    let resource = ApiResource::from_gvk_with_plural(&kind, "herds");
    let herds: Api<DynamicObject> = Api::default_namespaced_with(world.client.clone(), &resource);
    let herd = DynamicObject::new("cows", &resource)
        .data(json!({"spec": {"replicas": 1}, "status": {"replicas": 1, "selector": "app=db"}}));
    herds.create(&PostParams::default(), &herd).await.expect("creates");
    world.create::<Scaler>(by("Herd", "example.dev/v1", "cows")).await;
    until(&herds, "two", |herds| herds[0].data["spec"]["replicas"] == 2).await;

    // What has none is named.
    world.create::<Scaler>(by("ConfigMap", "v1", "none")).await;
    told(&world, "none", "AbleToScale", "False", "FailedGetScale").await;
    said(&world, "FailedGetScale", "configmaps does not implement the scale subresource").await;
    world.stop().await;
}
