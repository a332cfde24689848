//! From the health of live objects to `ResourcesReady`, and from all conditions to `Ready`.

use crate::controllers::rendered::{Health, PODS_RUNNING, parse_health};
use crate::types::{
    AppliedResource, Condition, ConditionStatus, Conditions, RenderedReleaseStatus, WorkloadType,
};

/// Status, reason and message of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) ready: bool,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

fn verdict(ready: bool, reason: &'static str, message: impl Into<String>) -> Verdict {
    Verdict { ready, reason, message: message.into() }
}

/// The message of an apply that failed for this generation.
pub(super) fn apply_failure(
    status: &RenderedReleaseStatus,
    generation: Option<i64>,
) -> Option<&Condition> {
    status
        .conditions
        .condition("ResourcesApplied")
        .filter(|c| c.status == ConditionStatus::False && c.observed_generation == generation)
}

/// `ResourcesReady` of a binding from the status of its RenderedRelease.
pub(super) fn resources_ready(
    workload_type: Option<WorkloadType>,
    status: &RenderedReleaseStatus,
    generation: Option<i64>,
) -> Verdict {
    if let Some(failure) = apply_failure(status, generation) {
        return verdict(false, "ResourceApplyFailed", failure.message.clone());
    }
    // What is reported of an earlier generation says nothing about this one.
    let applied =
        status.conditions.condition("ResourcesApplied").and_then(|c| c.observed_generation);
    if status.resources.is_empty() || applied != generation {
        return verdict(false, "ResourcesProgressing", "Waiting for the objects to be applied");
    }
    let primary = |group: &str, kind: &str| {
        status
            .resources
            .iter()
            .find(|r| r.group.as_deref().unwrap_or_default() == group && r.kind == kind)
    };
    let verdict = match workload_type {
        Some(WorkloadType::Deployment) => {
            long_running("Deployment", primary("apps", "Deployment"), status)
        }
        Some(WorkloadType::StatefulSet) => {
            long_running("StatefulSet", primary("apps", "StatefulSet"), status)
        }
        Some(WorkloadType::CronJob) => cron_job(primary("batch", "CronJob")),
        Some(WorkloadType::Job) => job(primary("batch", "Job")),
        Some(WorkloadType::Proxy) | None => anything(status),
    };
    let trouble = status.conditions.condition(PODS_RUNNING);
    match trouble.filter(|c| !verdict.ready && c.observed_generation == generation) {
        Some(trouble) => {
            let message = format!("{}: {}", verdict.message, trouble.message);
            Verdict { message, ..verdict }
        }
        None => verdict,
    }
}

fn health(resource: &AppliedResource) -> Health {
    parse_health(resource.health_status.as_deref().unwrap_or_default())
}

fn long_running(
    kind: &str,
    primary: Option<&AppliedResource>,
    status: &RenderedReleaseStatus,
) -> Verdict {
    let Some(primary) = primary else {
        return verdict(false, "ResourcesProgressing", format!("The {kind} is not there yet"));
    };
    let name = &primary.name;
    match health(primary) {
        Health::Degraded => {
            verdict(false, "ResourcesDegraded", format!("{kind} {name} is degraded"))
        }
        Health::Progressing => {
            verdict(false, "ResourcesProgressing", format!("{kind} {name} is progressing"))
        }
        Health::Unknown => verdict(
            false,
            "ResourcesUnknown",
            format!("The state of {kind} {name} is not known yet"),
        ),
        Health::Suspended => {
            verdict(true, "ReadyWithSuspendedResources", format!("{kind} {name} is suspended"))
        }
        Health::Healthy => {
            match status.resources.iter().find(|r| counts(r) && health(r) == Health::Degraded) {
                Some(bad) => verdict(
                    false,
                    "ResourcesDegraded",
                    format!("{} {} is degraded", bad.kind, bad.name),
                ),
                None => verdict(true, "Ready", "All objects are ready"),
            }
        }
    }
}

/// Whether a kind's health says anything: configuration and access rules have none.
fn counts(resource: &AppliedResource) -> bool {
    let group = resource.group.as_deref().unwrap_or_default();
    !matches!(
        (group, resource.kind.as_str()),
        ("", "ConfigMap" | "Secret" | "ServiceAccount") | ("rbac.authorization.k8s.io", _)
    )
}

fn cron_job(primary: Option<&AppliedResource>) -> Verdict {
    let Some(primary) = primary else {
        return verdict(false, "ResourcesProgressing", "The CronJob is not there yet");
    };
    let name = &primary.name;
    match health(primary) {
        Health::Degraded => {
            verdict(false, "ResourcesDegraded", format!("CronJob {name} is degraded"))
        }
        Health::Unknown => verdict(
            false,
            "ResourcesUnknown",
            format!("The state of CronJob {name} is not known yet"),
        ),
        Health::Suspended => {
            verdict(true, "CronJobSuspended", format!("CronJob {name} is suspended"))
        }
        Health::Progressing | Health::Healthy => {
            verdict(true, "CronJobScheduled", format!("CronJob {name} is scheduled"))
        }
    }
}

fn job(primary: Option<&AppliedResource>) -> Verdict {
    let Some(primary) = primary else {
        return verdict(false, "ResourcesProgressing", "The Job is not there yet");
    };
    let name = &primary.name;
    match health(primary) {
        Health::Degraded => verdict(false, "JobFailed", format!("Job {name} failed")),
        Health::Unknown => {
            verdict(false, "ResourcesUnknown", format!("The state of Job {name} is not known yet"))
        }
        Health::Progressing | Health::Suspended => {
            verdict(false, "JobRunning", format!("Job {name} is running"))
        }
        Health::Healthy => verdict(true, "JobCompleted", format!("Job {name} is complete")),
    }
}

fn anything(status: &RenderedReleaseStatus) -> Verdict {
    let worst = [
        (Health::Degraded, "ResourcesDegraded", "is degraded"),
        (Health::Progressing, "ResourcesProgressing", "is progressing"),
        (Health::Unknown, "ResourcesUnknown", "is in a state that is not known yet"),
    ];
    for (level, reason, words) in worst {
        if let Some(bad) = status.resources.iter().find(|r| health(r) == level) {
            return verdict(false, reason, format!("{} {} {words}", bad.kind, bad.name));
        }
    }
    verdict(true, "Ready", "All objects are ready")
}

/// `Ready`: the first condition in this order that is not true; without such a one, whether those that must be there are.
pub(super) fn ready(conditions: &[Condition]) -> Verdict {
    let order =
        ["ReleaseSynced", "ConnectionsResolved", "ResourceDependenciesReady", "ResourcesReady"];
    let find = |name: &str| conditions.iter().find(|c| c.r#type == name);
    let failing =
        order.iter().filter_map(|name| find(name)).find(|c| c.status != ConditionStatus::True);
    if let Some(c) = failing {
        return verdict(false, known_reason(&c.reason), c.message.clone());
    }
    match ["ReleaseSynced", "ResourcesReady"].iter().find(|name| find(name).is_none()) {
        Some(name) => verdict(false, "ResourcesProgressing", format!("{name} is not known yet")),
        None => verdict(true, "Ready", "The component is deployed and ready"),
    }
}

/// Reasons are a closed set, all of them ours.
fn known_reason(reason: &str) -> &'static str {
    const REASONS: [&str; 21] = [
        "ComponentReleaseNotFound",
        "InvalidReleaseConfiguration",
        "EnvironmentNotFound",
        "DataPlaneNotFound",
        "ComponentNotFound",
        "ProjectNotFound",
        "RenderingFailed",
        "ReleaseOwnershipConflict",
        "ReleaseUpdateFailed",
        "ReleaseDeletionFailed",
        "ResourcesUndeployed",
        "ConnectionsPending",
        "ResourceDependenciesPending",
        "ResourcesProgressing",
        "ResourcesDegraded",
        "ResourcesUnknown",
        "ResourceApplyFailed",
        "JobRunning",
        "JobFailed",
        "ReleaseCreated",
        "ReleaseSynced",
    ];
    REASONS.into_iter().find(|r| *r == reason).unwrap_or("ResourcesUnknown")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn status(resources: Value, applied: (&str, i64)) -> RenderedReleaseStatus {
        let conditions = json!([{
            "type": "ResourcesApplied", "status": applied.0, "reason": "Applied", "message": "m",
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": applied.1,
        }]);
        serde_json::from_value(json!({ "conditions": conditions, "resources": resources })).unwrap()
    }

    fn resource(group: &str, kind: &str, health: &str) -> Value {
        json!({ "id": kind, "group": group, "version": "v1", "kind": kind, "name": "x", "healthStatus": health })
    }

    fn reason(workload_type: WorkloadType, resources: Value) -> (bool, &'static str) {
        let verdict =
            resources_ready(Some(workload_type), &status(resources, ("True", 1)), Some(1));
        (verdict.ready, verdict.reason)
    }

    #[test]
    fn a_deployment_decides_for_its_component() {
        use WorkloadType::Deployment;
        let of = |health| reason(Deployment, json!([resource("apps", "Deployment", health)]));
        assert_eq!(of("Healthy"), (true, "Ready"));
        assert_eq!(of("Suspended"), (true, "ReadyWithSuspendedResources"));
        assert_eq!(of("Degraded"), (false, "ResourcesDegraded"));
        assert_eq!(of("Progressing"), (false, "ResourcesProgressing"));
        assert_eq!(of("Unknown"), (false, "ResourcesUnknown"));
        assert_eq!(reason(Deployment, json!([])), (false, "ResourcesProgressing"));
        assert_eq!(
            reason(Deployment, json!([resource("", "Service", "Healthy")])),
            (false, "ResourcesProgressing")
        );
        let pod =
            json!([resource("apps", "Deployment", "Healthy"), resource("", "Pod", "Degraded")]);
        assert_eq!(reason(Deployment, pod), (false, "ResourcesDegraded"));
        let config = json!([
            resource("apps", "Deployment", "Healthy"),
            resource("", "ConfigMap", "Degraded")
        ]);
        assert_eq!(reason(Deployment, config), (true, "Ready"));
    }

    #[test]
    fn other_workload_types() {
        let cron =
            |health| reason(WorkloadType::CronJob, json!([resource("batch", "CronJob", health)]));
        assert_eq!(cron("Progressing"), (true, "CronJobScheduled"));
        assert_eq!(cron("Suspended"), (true, "CronJobSuspended"));
        let job = |health| reason(WorkloadType::Job, json!([resource("batch", "Job", health)]));
        assert_eq!(job("Healthy"), (true, "JobCompleted"));
        assert_eq!(job("Degraded"), (false, "JobFailed"));
        assert_eq!(
            reason(WorkloadType::Proxy, json!([resource("", "Service", "Healthy")])),
            (true, "Ready")
        );
        let two = json!([resource("", "Service", "Progressing"), resource("", "Pod", "Degraded")]);
        assert_eq!(reason(WorkloadType::Proxy, two), (false, "ResourcesDegraded"));
    }

    #[test]
    fn a_failed_apply_counts_for_its_own_generation() {
        let healthy = json!([resource("apps", "Deployment", "Healthy")]);
        let failed = status(healthy.clone(), ("False", 2));
        let of = |generation| {
            resources_ready(Some(WorkloadType::Deployment), &failed, Some(generation)).reason
        };
        assert_eq!(of(2), "ResourceApplyFailed");
        assert_eq!(of(3), "ResourcesProgressing");
        let applied = status(healthy, ("True", 3));
        assert_eq!(
            resources_ready(Some(WorkloadType::Deployment), &applied, Some(3)).reason,
            "Ready"
        );
    }

    #[test]
    fn ready_tells_the_first_obstacle() {
        let condition = |r#type: &str, status: &str, reason: &str| -> Condition {
            serde_json::from_value(json!({
                "type": r#type, "status": status, "reason": reason, "message": "m",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }))
            .unwrap()
        };
        let synced = condition("ReleaseSynced", "True", "ReleaseSynced");
        let up = condition("ResourcesReady", "True", "Ready");
        assert!(ready(&[synced.clone(), up.clone()]).ready);
        let pending = condition("ConnectionsResolved", "False", "ConnectionsPending");
        assert_eq!(ready(&[synced.clone(), pending, up]).reason, "ConnectionsPending");
        assert!(!ready(&[synced]).ready);
    }
}
