//! How many pods an autoscaler's metrics ask for, and what it says where they do not tell.

use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler as Scaler, MetricStatus};
use kube::ResourceExt;

use super::super::key::Key;
use super::status::Draft;
use super::target::Found;
use super::{Controller, measure, uses};

impl Controller {
    /// The most that a metric asks for, and which that is; `None` when too little is known, which the draft says.
    pub(super) async fn propose(
        &self,
        scaler: &Scaler,
        found: &Found,
        draft: &mut Draft,
    ) -> Result<Option<(i32, String)>, kube::Error> {
        if let Some((reason, condition, text)) = self.unclear(scaler, found) {
            draft.say("ScalingActive", false, reason, &condition);
            self.complain(scaler, reason, &text).await;
            return Ok(None);
        }
        let namespace = scaler.namespace().unwrap_or_default();
        let pods = uses::pods(&self.client, &namespace, &found.selector).await?;
        if pods.are_new() {
            return Ok(None);
        }
        let metrics = scaler.spec.metrics.as_deref().unwrap_or_default();
        let (mut best, mut untold, mut statuses) = (None::<(i32, String)>, Vec::new(), Vec::new());
        for metric in metrics {
            match measure::metric(metric, &pods, found.replicas, scaler.spec.behavior.as_ref()) {
                Ok(seen) => {
                    statuses.push(seen.status);
                    if best.as_ref().is_none_or(|(most, _)| seen.replicas > *most) {
                        best = Some((seen.replicas, seen.name));
                    }
                }
                Err(one) => {
                    // Where it is printed a metric stands at the place of its specification.
                    statuses.push(MetricStatus::default());
                    self.complain(scaler, one.reason, &one.why).await;
                    untold.push(one);
                }
            }
        }
        draft.status.current_metrics = Some(statuses);
        // With some of them unknown it may still go up.
        let down = best.as_ref().is_none_or(|(most, _)| *most < found.replicas);
        if let (Some(first), true) = (untold.first(), down) {
            let text = format!("the HPA was unable to compute the replica count: {}", first.why);
            draft.say("ScalingActive", false, first.reason, &text);
            let text = format!(
                "invalid metrics ({} invalid out of {}), first error is: {}",
                untold.len(),
                metrics.len(),
                first.sentence()
            );
            self.complain(scaler, "FailedComputeMetricsReplicas", &text).await;
            return Ok(None);
        }
        if let Some((_, name)) = &best {
            let text =
                format!("the HPA was able to successfully calculate a replica count from {name}");
            draft.say("ScalingActive", true, "ValidMetricFound", &text);
        }
        Ok(best)
    }

    /// Why it cannot be told whose pods are counted: reason, message of the condition and of the event.
    fn unclear(&self, scaler: &Scaler, found: &Found) -> Option<(&'static str, String, String)> {
        if found.selector.is_empty() {
            let text = "the HPA target's scale is missing a selector";
            return Some(("InvalidSelector", text.into(), "selector is required".into()));
        }
        let namespace = scaler.namespace().unwrap_or_default();
        let all = self.scalers.in_namespace(&namespace);
        let target = |it: &Scaler| {
            let to = &it.spec.scale_target_ref;
            let group = to.api_version.as_deref().and_then(|it| it.split_once('/'));
            (group.map(|(group, _)| group.to_owned()), to.kind.clone(), to.name.clone())
        };
        let same = all.iter().filter(|other| target(other) == target(scaler));
        let names: Vec<String> = same.map(|it| Key::of(it.as_ref()).to_string()).collect();
        if names.len() < 2 {
            return None;
        }
        let (selector, names) = (&found.selector, names.join(" "));
        let text =
            format!("pods by selector {selector} are controlled by multiple HPAs: [{names}]");
        Some(("AmbiguousSelector", text.clone(), text))
    }
}
