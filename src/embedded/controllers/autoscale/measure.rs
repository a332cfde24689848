//! What each metric makes of what the pods of a target use.

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{
    ContainerResourceMetricStatus, HPAScalingRules, HorizontalPodAutoscalerBehavior, MetricSpec,
    MetricStatus, MetricTarget, MetricValueStatus, ResourceMetricStatus,
};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use kube::ResourceExt;

use super::replicas::{Facts, Target, Tolerance, propose, stage};
use super::uses::{Pods, request, thousandths};
use crate::quantity::Quantity;

/// By so much, as a share, the use may differ from the target where nobody says anything.
const TOLERANCE: f64 = 0.1;

/// What a metric says.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) replicas: i32,
    /// As reasons name it.
    pub(super) name: String,
    pub(super) status: MetricStatus,
}

/// Why a metric says nothing.
#[derive(Debug)]
pub(super) struct Untold {
    /// The reason, as conditions and events have it.
    pub(super) reason: &'static str,
    /// What could not be got,
    of: String,
    /// and why.
    pub(super) why: String,
}

impl Untold {
    /// The whole sentence.
    pub(super) fn sentence(&self) -> String {
        format!("failed to get {}: {}", self.of, self.why)
    }
}

/// A use of pods, or of one container of each, and what is aimed at.
struct Source<'a> {
    resource: &'a str,
    container: Option<&'a str>,
    target: &'a MetricTarget,
}

/// What a metric asks for. `Err` says why it asks for nothing.
pub(super) fn metric(
    metric: &MetricSpec,
    pods: &Pods,
    current: i32,
    behavior: Option<&HorizontalPodAutoscalerBehavior>,
) -> Result<Seen, Untold> {
    let kind = metric.type_.as_str();
    let of_pods = metric.resource.as_ref().filter(|_| kind == "Resource").map(|it| Source {
        resource: &it.name,
        container: None,
        target: &it.target,
    });
    let of_containers = metric.container_resource.as_ref().filter(|_| kind == "ContainerResource");
    let of_containers = of_containers.map(|it| Source {
        resource: &it.name,
        container: Some(&it.container),
        target: &it.target,
    });
    let Some(source) = of_pods.or(of_containers) else { return Err(unserved(metric)) };
    let (reason, what) = match source.container {
        None => ("FailedGetResourceMetric", "resource"),
        Some(_) => ("FailedGetContainerResourceMetric", "container"),
    };
    let of = format!("{} {what} metric value", source.resource);
    pods.seen(&source, current, tolerance(behavior)).map_err(|why| Untold { reason, of, why })
}

/// Metrics that come from APIs which are not here.
fn unserved(metric: &MetricSpec) -> Untold {
    let untold = |reason, of: &str, what: &str, name: Option<&String>, api: &str| {
        let name = name.map_or("", String::as_str);
        let why = format!(
            "unable to get {what} {name}: unable to fetch metrics from {api} metrics API: no {api} metrics API ({api}.metrics.k8s.io) registered"
        );
        Untold { reason, of: of.into(), why }
    };
    match metric.type_.as_str() {
        "Pods" => {
            let name = metric.pods.as_ref().map(|it| &it.metric.name);
            untold("FailedGetPodsMetric", "pods metric value", "metric", name, "custom")
        }
        "Object" => {
            let name = metric.object.as_ref().map(|it| &it.metric.name);
            untold("FailedGetObjectMetric", "object metric value", "metric", name, "custom")
        }
        "External" => {
            let name = metric.external.as_ref().map(|it| &it.metric.name);
            let of = format!("{} external metric value", name.map_or("", String::as_str));
            untold("FailedGetExternalMetric", &of, "external metric", name, "external")
        }
        other => Untold {
            reason: "InvalidMetricSourceType",
            of: "metric".into(),
            why: format!("unknown metric source type {other:?}"),
        },
    }
}

fn tolerance(behavior: Option<&HorizontalPodAutoscalerBehavior>) -> Tolerance {
    let of = |rules: Option<&HPAScalingRules>| {
        let text = rules.and_then(|rules| rules.tolerance.as_ref());
        let one = Quantity::count(1);
        text.and_then(|text| Quantity::parse(&text.0)).map_or(TOLERANCE, |it| it.ratio(one))
    };
    Tolerance {
        up: of(behavior.and_then(|it| it.scale_up.as_ref())),
        down: of(behavior.and_then(|it| it.scale_down.as_ref())),
    }
}

/// A quantity of thousandths.
fn written(thousandths: i64) -> Text {
    let text = format!("{thousandths}m");
    Text(Quantity::parse(&text).map_or(text, |quantity| quantity.to_string()))
}

impl Pods {
    fn seen(&self, source: &Source<'_>, current: i32, by: Tolerance) -> Result<Seen, String> {
        let resource = source.resource;
        let share = source.target.average_utilization.map(i64::from);
        let amount = source.target.average_value.as_ref().and_then(|it| thousandths(&it.0));
        let (target, failed) = match (amount, share) {
            (Some(amount), _) => {
                (Target::Average(amount), format!("failed to get {resource} usage"))
            }
            (None, Some(share)) => {
                (Target::Utilization(share), format!("failed to get {resource} utilization"))
            }
            (None, None) => {
                let why = "neither a target utilization nor a target value was set";
                return Err(format!("invalid metric source for {resource}: {why}"));
            }
        };
        let proposal = self
            .facts(source, share.is_some() && amount.is_none())
            .and_then(|facts| propose(current, target, &facts, by));
        let proposal = proposal.map_err(|why| format!("{failed}: {why}"))?;
        let name = match target {
            Target::Average(_) => format!("{resource} resource"),
            Target::Utilization(_) => {
                format!("{resource} resource utilization (percentage of request)")
            }
        };
        let values = MetricValueStatus {
            average_utilization: proposal.utilization,
            average_value: Some(written(proposal.average)),
            value: None,
        };
        let (name_of, mut status) = (resource.to_owned(), MetricStatus::default());
        match source.container {
            None => {
                status.type_ = "Resource".into();
                status.resource = Some(ResourceMetricStatus { name: name_of, current: values });
            }
            Some(container) => {
                status.type_ = "ContainerResource".into();
                status.container_resource = Some(ContainerResourceMetricStatus {
                    name: name_of,
                    container: container.into(),
                    current: values,
                });
            }
        }
        Ok(Seen { replicas: proposal.replicas, name, status })
    }

    /// The pods as the formula sees them; `requests` says whether those are needed.
    fn facts(&self, source: &Source<'_>, requests: bool) -> Result<Vec<Facts>, String> {
        let Source { resource, container, .. } = *source;
        if self.metrics.is_empty() {
            return Err(format!(
                "unable to get metrics for resource {resource}: no metrics returned from resource metrics API"
            ));
        }
        if self.pods.is_empty() {
            return Err("no pods returned by selector while calculating replica count".into());
        }
        let now = Timestamp::now();
        let fact = |pod: &Pod| {
            let name = pod.name_any();
            let used = match self.metrics.get(&name) {
                Some(metrics) => metrics.used(resource, container, &name)?,
                None => None,
            };
            let stage = stage(pod, used.as_ref(), resource == "cpu", now);
            let request = if requests { request(pod, resource, container)? } else { 0 };
            Ok(Facts { stage, used: used.map_or(0, |used| used.amount), request })
        };
        self.pods.iter().map(fact).collect()
    }
}

#[cfg(test)]
mod tests;
