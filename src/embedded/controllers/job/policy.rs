//! What a Job's `podFailurePolicy` and `successPolicy` say.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::{
    Job, PodFailurePolicyOnExitCodesRequirement as ExitCodes,
    PodFailurePolicyOnPodConditionsPattern as ConditionPattern,
};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt;

use super::indexes::Indexes;
use super::pods::{has_failed, spec};

/// What becomes of a failed pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It counts against the limits.
    Count,
    Ignore,
    FailIndex,
    /// The Job fails, with this message.
    FailJob(String),
}

/// The first rule that fits a failed pod decides; without one, it counts.
pub(super) fn failure(job: &Job, pod: &Pod) -> Failure {
    let rules = spec(job).pod_failure_policy.iter().flat_map(|policy| &policy.rules);
    for (number, rule) in rules.enumerate() {
        let matched = match (&rule.on_exit_codes, &rule.on_pod_conditions) {
            (Some(codes), _) => exit_code(codes, pod),
            (None, Some(patterns)) => condition(patterns, pod),
            (None, None) => None,
        };
        let Some(matched) = matched else { continue };
        return match rule.action.as_str() {
            "Ignore" => Failure::Ignore,
            "FailIndex" => Failure::FailIndex,
            "FailJob" => {
                Failure::FailJob(format!("{matched} matching FailJob rule at index {number}"))
            }
            _ => Failure::Count,
        };
    }
    Failure::Count
}

fn exit_code(wanted: &ExitCodes, pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let containers = status.container_statuses.iter().chain(&status.init_container_statuses);
    let fits = |container: &ContainerStatus| {
        if wanted.container_name.as_ref().is_some_and(|name| *name != container.name) {
            return None;
        }
        let code = container.state.as_ref()?.terminated.as_ref()?.exit_code;
        let listed = wanted.values.contains(&code);
        let fits = match wanted.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            _ => false,
        };
        (code != 0 && fits).then_some(code)
    };
    containers.flatten().find_map(|container| {
        let code = fits(container)?;
        let (name, place) = (&container.name, place(pod));
        Some(format!("Container {name} for pod {place} failed with exit code {code}"))
    })
}

fn condition(patterns: &[ConditionPattern], pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let matched = conditions.iter().find(|condition| {
        patterns.iter().any(|pattern| {
            let status = pattern.status.as_deref().unwrap_or("True");
            pattern.type_ == condition.type_ && status == condition.status
        })
    })?;
    Some(format!("Pod {} has condition {}", place(pod), matched.type_))
}

fn place(pod: &Pod) -> String {
    format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any())
}

/// The message of a rule by which the Job fails at once.
pub(super) fn fails_job(job: &Job, pods: &[Arc<Pod>]) -> Option<String> {
    spec(job).pod_failure_policy.as_ref()?;
    let mut failed = pods.iter().filter(|pod| has_failed(job, pod));
    failed.find_map(|pod| match failure(job, pod) {
        Failure::FailJob(message) => Some(message),
        _ => None,
    })
}

/// The message of a rule by which the succeeded indexes are enough.
pub(super) fn succeeds(job: &Job, succeeded: &Indexes) -> Option<String> {
    let rules = &spec(job).success_policy.as_ref()?.rules;
    let completions = spec(job).completions.unwrap_or_default();
    let enough = rules.iter().position(|rule| {
        let named = rule.succeeded_indexes.as_deref().map(|text| Indexes::parse(text, completions));
        let counted = named.as_ref().map_or(succeeded.total(), |named| named.shared(succeeded));
        let wanted = rule.succeeded_count.or(named.as_ref().map(Indexes::total));
        wanted.is_some_and(|wanted| counted >= wanted)
    })?;
    Some(format!("Matched rules at index {enough}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn job(spec: Value) -> Job {
        let mut job = json!({"spec":{"template":{}}});
        job["spec"]
            .as_object_mut()
            .expect("a spec")
            .extend(spec.as_object().cloned().expect("a spec"));
        serde_json::from_value(job).expect("a Job")
    }

    fn pod(status: Value) -> Pod {
        serde_json::from_value(json!({"metadata":{"name":"p","namespace":"ns"},"status":status}))
            .expect("a Pod")
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let job = job(json!({"podFailurePolicy":{"rules":[
            {"action":"Ignore","onPodConditions":[{"type":"DisruptionTarget","status":"True"}]},
            {"action":"FailJob","onExitCodes":{"containerName":"main","operator":"In","values":[42]}},
            {"action":"FailIndex","onExitCodes":{"operator":"NotIn","values":[1,42]}},
            {"action":"FailJob","onPodConditions":[{"type":"ConfigIssue"}]},
        ]}}));
        let exited = |name: &str, code: i32| {
            json!({"containerStatuses":[{"name":name,"ready":false,"restartCount":0,
            "image":"","imageID":"","state":{"terminated":{"exitCode":code}}}]})
        };
        let has = |kind: &str| json!({"conditions":[{"type":kind,"status":"True"}]});
        let by_code =
            "Container main for pod ns/p failed with exit code 42 matching FailJob rule at index 1";
        let by_condition = "Pod ns/p has condition ConfigIssue matching FailJob rule at index 3";
        for (status, expected) in [
            (has("DisruptionTarget"), Failure::Ignore),
            (exited("main", 42), Failure::FailJob(by_code.into())),
            (exited("side", 42), Failure::Count),
            (exited("side", 3), Failure::FailIndex),
            (exited("main", 1), Failure::Count),
            (exited("main", 0), Failure::Count),
            (has("ConfigIssue"), Failure::FailJob(by_condition.into())),
            (json!({}), Failure::Count),
        ] {
            assert_eq!(failure(&job, &pod(status.clone())), expected, "{status}");
        }
    }

    #[test]
    fn named_and_counted_indexes_are_enough() {
        let job = job(json!({"completions":10,"successPolicy":{"rules":[
            {"succeededIndexes":"0,2"},
            {"succeededIndexes":"3-6","succeededCount":2},
            {"succeededCount":5},
        ]}}));
        for (succeeded, expected) in
            [("0", None), ("0-2", Some(0)), ("3,7,8", None), ("4,6", Some(1)), ("1,3,7-9", Some(2))]
        {
            let expected = expected.map(|n: usize| format!("Matched rules at index {n}"));
            assert_eq!(succeeds(&job, &Indexes::parse(succeeded, 10)), expected, "{succeeded}");
        }
    }
}
