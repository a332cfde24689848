//! What the pods of a target use and request.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client, ResourceExt};
use serde::Deserialize;

use super::replicas::Used;
use crate::quantity::Quantity;

/// What was used in less time than this says little. A pod that nobody has asked about is measured so at first.
const MOMENT: Duration = Duration::from_secs(5);

/// The pods of a target, and their metrics by name.
pub(super) struct Pods {
    pub(super) pods: Vec<Pod>,
    pub(super) metrics: HashMap<String, Metrics>,
    /// Some are measured for a moment only: their metrics are not among these.
    pub(super) moment: bool,
}

/// What a pod was measured to use.
#[derive(Deserialize)]
pub(super) struct Metrics {
    timestamp: Timestamp,
    window: String,
    containers: Vec<Measured>,
}

#[derive(Deserialize)]
struct Measured {
    name: String,
    usage: BTreeMap<String, String>,
}

/// Reads pods and metrics.
pub(super) async fn pods(
    client: &Client,
    namespace: &str,
    selector: &str,
) -> Result<Pods, kube::Error> {
    let options = ListParams::default().labels(selector);
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pods = pods.list(&options).await?.items;
    let kind = GroupVersionKind::gvk("metrics.k8s.io", "v1beta1", "PodMetrics");
    let kind = ApiResource::from_gvk_with_plural(&kind, "pods");
    let metrics: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind);
    let read = |one: DynamicObject| {
        Some((one.name_any(), serde_json::from_value::<Metrics>(one.data).ok()?))
    };
    let mut metrics: HashMap<String, Metrics> = match metrics.list(&options).await {
        Ok(list) => list.items.into_iter().filter_map(read).collect(),
        // The node is not running: nothing is measured.
        Err(kube::Error::Api(status)) if status.code == 503 => HashMap::new(),
        Err(error) => return Err(error),
    };
    let all = metrics.len();
    metrics.retain(|_, one| one.window() >= MOMENT);
    let moment = metrics.len() < all;
    Ok(Pods { pods, metrics, moment })
}

/// In thousandths; `None` for what is no quantity.
pub(super) fn thousandths(text: &str) -> Option<i64> {
    i64::try_from(Quantity::parse(text)?.millis()?).ok()
}

impl Pods {
    /// Nothing is known yet, but will be when it is asked for again.
    pub(super) fn are_new(&self) -> bool {
        self.metrics.is_empty() && self.moment
    }
}

impl Metrics {
    /// What the pod, or one container of it, uses of a resource.
    pub(super) fn used(
        &self,
        resource: &str,
        container: Option<&str>,
        pod: &str,
    ) -> Result<Option<Used>, String> {
        let wanted = |one: &&Measured| container.is_none_or(|name| name == one.name);
        let found: Vec<&Measured> = self.containers.iter().filter(wanted).collect();
        if let (Some(container), true) = (container, found.is_empty()) {
            return Err(format!("container {container} not present in metrics for pod {pod}"));
        }
        let amount = |one: &&Measured| thousandths(one.usage.get(resource)?);
        let Some(amount) = found.iter().map(amount).sum::<Option<i64>>() else { return Ok(None) };
        Ok(Some(Used { amount, ended: self.timestamp, window: self.window() }))
    }

    fn window(&self) -> Duration {
        self.window.parse::<SignedDuration>().unwrap_or_default().unsigned_abs()
    }
}

/// What the containers that run for as long as the pod request.
pub(super) fn request(pod: &Pod, resource: &str, only: Option<&str>) -> Result<i64, String> {
    let Some(spec) = &pod.spec else { return Ok(0) };
    let stays = |one: &&Container| one.restart_policy.as_deref() == Some("Always");
    let sidecars = spec.init_containers.iter().flatten().filter(stays);
    let all = sidecars.chain(&spec.containers);
    let mut wanted = all.filter(|one| only.is_none_or(|name| name == one.name));
    wanted.try_fold(0, |sum: i64, one| {
        let requests = one.resources.as_ref().and_then(|it| it.requests.as_ref());
        let amount = requests.and_then(|all| thousandths(&all.get(resource)?.0));
        let amount = amount.ok_or_else(|| {
            let (name, pod) = (&one.name, pod.name_any());
            format!("missing request for {resource} in container {name} of Pod {pod}")
        })?;
        Ok(sum.saturating_add(amount))
    })
}
