//! What a rule's object says of its evaluation.

use curtain_platform::types::{
    Condition, ConditionStatus, Conditions, ObservabilityAlertRule, ObservabilityAlertRuleStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

/// The status of a rule that was taken in, or could not be; `None` when it already says so.
pub(super) fn of(
    object: &ObservabilityAlertRule,
    taken: &Result<(), String>,
    now: Time,
) -> Option<ObservabilityAlertRuleStatus> {
    let (phase, holds, reason, message) = match taken {
        Ok(()) => ("Ready", true, "SyncSucceeded", "The rule is evaluated"),
        Err(why) => ("Error", false, "SyncFailed", why.as_str()),
    };
    let generation = object.metadata.generation;
    let before = object.status.clone().unwrap_or_default();
    let says = |condition: &Condition| {
        condition.status == ConditionStatus::from(holds)
            && condition.reason == reason
            && condition.message == message
    };
    if before.phase.as_deref() == Some(phase)
        && before.observed_generation == generation
        && before.conditions.condition("Synced").is_some_and(says)
    {
        return None;
    }
    let mut conditions = before.conditions;
    conditions.set_condition("Synced", holds.into(), reason, message, generation, &now);
    let name = format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any());
    Some(ObservabilityAlertRuleStatus {
        phase: Some(phase.to_owned()),
        backend_monitor_id: if holds { Some(name) } else { before.backend_monitor_id },
        last_sync_time: if holds { Some(now.clone()) } else { before.last_sync_time },
        last_reconcile_time: Some(now),
        observed_generation: generation,
        conditions,
    })
}
