//! Tells a pod why it waits, and makes others go for it.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::decide::{Nomination, Verdict};
use super::preempt::{self, Plan};
use super::{Controller, NAME};
use crate::controllers::events::Severity;
use crate::controllers::key::Key;

const SCHEDULED: &str = "PodScheduled";

impl Controller {
    /// Room is kept for the pod before others leave it, so that nobody less important comes in between.
    pub(super) async fn refuse(&self, pod: &Pod, verdict: Verdict) -> Result<(), kube::Error> {
        let nominated = match &verdict.nomination {
            Nomination::Keep => None,
            Nomination::Clear => Some(""),
            Nomination::Make(plan) => Some(plan.node.as_str()),
        };
        if let Some(status) = news(pod, &verdict.message, nominated, Timestamp::now()) {
            if !self.write(pod, status).await? {
                return Ok(());
            }
            let (reason, message) = ("FailedScheduling", &verdict.message);
            if condition(pod, SCHEDULED).is_none_or(|it| it.message.as_ref() != Some(message)) {
                self.recorder.record(pod, Severity::Warning, reason, message).await;
            }
        }
        match &verdict.nomination {
            Nomination::Make(plan) => self.make_room(pod, plan).await,
            Nomination::Keep | Nomination::Clear => Ok(()),
        }
    }

    /// Lets all victims go, and those look elsewhere who waited for the same room. One that does not go does not keep
    /// the others; the pod is looked at again.
    async fn make_room(&self, pod: &Pod, plan: &Plan) -> Result<(), kube::Error> {
        let mut outcome = Ok(());
        for victim in &plan.victims {
            outcome = outcome.and(self.evict(pod, victim, &plan.node).await);
        }
        let rivals = self.board().rivals(&plan.node, pod);
        for rival in rivals {
            let written = self.write(&rival, json!({"nominatedNodeName": null})).await;
            outcome = outcome.and(written.map(|_| ()));
        }
        outcome
    }

    async fn evict(&self, pod: &Pod, victim: &Pod, node: &str) -> Result<(), kube::Error> {
        if victim.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        let message = format!("{NAME}: preempting to accommodate a higher priority pod");
        let mark = PodCondition {
            type_: preempt::CONDITION.into(),
            status: "True".into(),
            reason: Some(preempt::REASON.into()),
            message: Some(message),
            last_transition_time: Some(Time(Timestamp::now())),
            ..PodCondition::default()
        };
        if !self.write(victim, json!({"conditions": [mark]})).await? {
            return Ok(());
        }
        let key = Key::of(victim);
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &key.namespace);
        let it = Preconditions { uid: victim.uid(), resource_version: None };
        let params = DeleteParams { preconditions: Some(it), ..DeleteParams::default() };
        match api.delete(&key.name, &params).await {
            Ok(answer) => {
                if let Some(leaving) = answer.left() {
                    self.pods.put(leaving);
                    self.look_up(&key);
                }
            }
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            Err(error) => return Err(error),
        }
        let message = format!("Preempted by pod {} on node {node}", pod.uid().unwrap_or_default());
        self.recorder.record(victim, Severity::Normal, "Preempted", &message).await;
        Ok(())
    }

    /// Writes a part of a pod's status; `false` if the pod is gone. That another has its name is an error: the next try
    /// knows it.
    async fn write(&self, pod: &Pod, status: Value) -> Result<bool, kube::Error> {
        let key = Key::of(pod);
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &key.namespace);
        let patch = json!({"metadata": {"uid": pod.uid()}, "status": status});
        let params = PatchParams::default();
        match api.patch_status(&key.name, &params, &Patch::Strategic(&patch)).await {
            Ok(answer) => {
                self.pods.put(answer);
                self.look_up(&key);
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// What of the pod's status is to change, if anything.
fn news(pod: &Pod, message: &str, nominated: Option<&str>, now: Timestamp) -> Option<Value> {
    let known = condition(pod, SCHEDULED).filter(|it| it.status == "False");
    let mut status = serde_json::Map::new();
    if known.is_none_or(|it| it.message.as_deref() != Some(message)) {
        let since = known.and_then(|it| it.last_transition_time.clone()).unwrap_or(Time(now));
        let said = json!({"type": SCHEDULED, "status": "False", "reason": "Unschedulable",
            "message": message, "lastTransitionTime": since});
        status.insert("conditions".into(), json!([said]));
    }
    let before = preempt::nominated(pod).unwrap_or_default();
    if let Some(name) = nominated.filter(|name| *name != before) {
        let name = if name.is_empty() { Value::Null } else { name.into() };
        status.insert("nominatedNodeName".into(), name);
    }
    (!status.is_empty()).then_some(Value::Object(status))
}

#[cfg(test)]
mod tests {
    use super::super::case::tests::pod;
    use super::*;

    #[test]
    fn only_what_is_news_is_written() {
        let waits = |message: &str, node: &str| {
            json!({"status": {"nominatedNodeName": node, "conditions": [{"type": SCHEDULED, "status": "False",
                "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}})
        };
        let said = |since: &str| {
            json!([{"type": SCHEDULED, "status": "False", "reason": "Unschedulable", "message": "why",
                "lastTransitionTime": since}])
        };
        let (new, old) = ("1970-01-01T00:00:00Z", "2026-01-01T00:00:00Z");
        for (known, nominated, expected) in [
            (json!({}), None, Some(json!({"conditions": said(new)}))),
            (waits("other", ""), None, Some(json!({"conditions": said(old)}))),
            (waits("why", ""), None, None),
            (waits("why", ""), Some(""), None),
            (waits("why", ""), Some("n"), Some(json!({"nominatedNodeName": "n"}))),
            (waits("why", "n"), Some("n"), None),
            (waits("why", "n"), None, None),
            (waits("why", "n"), Some(""), Some(json!({"nominatedNodeName": null}))),
        ] {
            let found = news(&pod(known.clone()), "why", nominated, Timestamp::UNIX_EPOCH);
            assert_eq!(found, expected, "{known} {nominated:?}");
        }
    }
}
