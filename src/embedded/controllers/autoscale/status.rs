//! The status that an autoscaler gets.

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscaler, HorizontalPodAutoscalerCondition, HorizontalPodAutoscalerStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// A status in the making.
pub(super) struct Draft {
    pub(super) status: HorizontalPodAutoscalerStatus,
    /// The time of a change, in whole seconds, as it is stored.
    now: Time,
    generation: Option<i64>,
}

impl Draft {
    /// Begins with what was said last.
    pub(super) fn new(scaler: &HorizontalPodAutoscaler) -> Self {
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
        let mut status = scaler.status.clone().unwrap_or_default();
        let generation = scaler.metadata.generation;
        status.observed_generation = generation;
        Self { status, now: Time(now), generation }
    }

    /// Sets a condition; its time is when it turned.
    pub(super) fn say(&mut self, kind: &str, is: bool, reason: &str, text: &str) {
        let told = if is { "True" } else { "False" };
        let all = self.status.conditions.get_or_insert_default();
        let known = all.iter().position(|condition| condition.type_ == kind);
        let since = known
            .filter(|at| all[*at].status == told)
            .and_then(|at| all[at].last_transition_time.clone());
        let condition = HorizontalPodAutoscalerCondition {
            type_: kind.into(),
            status: told.into(),
            reason: Some(reason.into()),
            message: Some(text.into()),
            last_transition_time: Some(since.unwrap_or_else(|| self.now.clone())),
            observed_generation: self.generation,
        };
        match known {
            Some(at) => all[at] = condition,
            None => all.push(condition),
        }
    }

    /// The target has been scaled.
    pub(super) fn scaled(&mut self) {
        self.status.last_scale_time = Some(self.now.clone());
    }

    /// Lists that are empty are not stored.
    pub(super) fn finish(self) -> HorizontalPodAutoscalerStatus {
        let mut status = self.status;
        status.current_metrics = status.current_metrics.filter(|all| !all.is_empty());
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_as_old_as_its_last_turn() {
        let mut draft = Draft::new(&HorizontalPodAutoscaler::default());
        draft.say("AbleToScale", true, "A", "a");
        let mut scaler =
            HorizontalPodAutoscaler { status: Some(draft.finish()), ..Default::default() };
        let conditions =
            scaler.status.as_mut().and_then(|it| it.conditions.as_mut()).expect("some");
        let before = Time(Timestamp::UNIX_EPOCH);
        conditions[0].last_transition_time = Some(before.clone());
        let mut draft = Draft::new(&scaler);
        draft.say("AbleToScale", true, "B", "b");
        draft.say("ScalingActive", false, "C", "c");
        let said = |draft: &Draft| draft.status.conditions.clone().expect("some");
        assert_eq!(said(&draft)[0].last_transition_time, Some(before.clone()));
        assert_eq!(said(&draft)[0].reason.as_deref(), Some("B"));
        assert_ne!(said(&draft)[1].last_transition_time, Some(before.clone()));
        draft.say("AbleToScale", false, "D", "d");
        assert_ne!(said(&draft)[0].last_transition_time, Some(before));
    }
}
