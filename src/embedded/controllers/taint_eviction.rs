//! Deletes pods from nodes whose taints of the effect `NoExecute` they do not tolerate: at once, or when the time is over for
//! which they tolerate them.
//!
//! The time runs for each taint from when both were there: from when the taint is said to have come, else from when it was
//! seen first on the pod's node, and not before the pod came there. After a start of the controllers a taint that does not
//! say is seen first again. Of several tolerations of a taint the first one counts, as in real clusters.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, Pod, PodSpec, Taint};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::cache::{Cache, Change};
use super::events::{Recorder, Severity};
use super::key::Key;
use super::node_fit::tolerations_of;
use super::pods;
use super::queue::Queue;
use super::registry::Registry;

const NAME: &str = "taint-eviction-controller";
const EFFECT: &str = "NoExecute";
const EVENT: &str = "TaintManagerEviction";

struct Controller {
    client: Client,
    pods: Arc<Cache<Pod>>,
    nodes: Arc<Cache<Node>>,
    recorder: Recorder,
    /// Pods that are to go later, by their uids, and since when for each taint.
    leaving: Mutex<HashMap<Key, (String, Seen)>>,
    queue: Queue<Key>,
}

/// Makes the controller.
pub(super) fn register(registry: &mut Registry) {
    let controller = Arc::new(Controller {
        client: registry.client.clone(),
        pods: registry.cache(),
        nodes: registry.cache(),
        recorder: Recorder::new(registry.client.clone(), NAME),
        leaving: Mutex::default(),
        queue: Queue::new(),
    });
    registry.tell(&controller, Controller::pod_changed);
    registry.tell(&controller, Controller::node_changed);
    registry.work(async move { controller.work().await });
}

/// How long a pod may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stay {
    /// As long as it likes.
    Always,
    /// It is to go at this time.
    Until(Timestamp),
}

/// When the taints of a pod's node were seen first, by key and value.
type Seen = HashMap<(String, Option<String>), Timestamp>;

fn id(taint: &Taint) -> (String, Option<String>) {
    (taint.key.clone(), taint.value.clone())
}

/// How long a pod may stay with these taints, each of which has an effect on it since `start`.
fn stay(spec: &PodSpec, taints: &[Taint], start: impl Fn(&Taint) -> Timestamp) -> Stay {
    let mut ends = None::<Timestamp>;
    for taint in taints {
        let Some(toleration) = tolerations_of(spec, taint).next() else {
            return Stay::Until(Timestamp::MIN);
        };
        if let Some(seconds) = toleration.toleration_seconds {
            let end = start(taint).saturating_add(SignedDuration::from_secs(seconds.max(0)));
            let end = end.unwrap_or(Timestamp::MAX);
            ends = Some(ends.map_or(end, |known| known.min(end)));
        }
    }
    ends.map_or(Stay::Always, Stay::Until)
}

/// Since when both were there, the taint and the pod.
fn start(taint: &Taint, pod: &Pod, seen: Timestamp) -> Timestamp {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    let bound = conditions.find(|it| it.type_ == "PodScheduled" && it.status == "True");
    // One that came by name has been there from the first.
    let came = bound
        .and_then(|it| it.last_transition_time.as_ref())
        .or(pod.metadata.creation_timestamp.as_ref())
        .map_or(Timestamp::MIN, |time| time.0);
    taint.time_added.as_ref().map_or(seen, |time| time.0).max(came)
}

fn taints(node: &Node) -> Vec<Taint> {
    let all = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    all.into_iter().flatten().filter(|taint| taint.effect == EFFECT).cloned().collect()
}

impl Controller {
    fn leaving(&self) -> MutexGuard<'_, HashMap<Key, (String, Seen)>> {
        // Each change is one insertion or removal.
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pod_changed(&self, change: &Change<Pod>) {
        let Some(pod) = &change.new else {
            if let Some(gone) = &change.old {
                self.leaving().remove(&Key::of(gone.as_ref()));
            }
            return;
        };
        let asks = |pod: &Pod| {
            let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.clone());
            (pod.uid(), pods::node(pod).to_owned(), tolerations)
        };
        if change.old.as_ref().is_none_or(|old| asks(old) != asks(pod)) {
            self.queue.add(Key::of(pod.as_ref()));
        }
    }

    fn node_changed(&self, change: &Change<Node>) {
        let of = |node: &Option<Arc<Node>>| node.as_deref().map(taints).unwrap_or_default();
        let Some(node) = change.new.as_ref().filter(|_| of(&change.old) != of(&change.new)) else {
            return;
        };
        let name = node.name_any();
        let there = self.pods.all().into_iter().filter(|pod| pods::node(pod) == name);
        self.queue.add_all(there.map(|pod| Key::of(pod.as_ref())));
    }

    /// Works for ever.
    async fn work(&self) {
        let what = "the pod that its node does not want";
        self.queue.work(what, |key| async move { self.reconcile(&key).await }).await;
    }

    async fn reconcile(&self, key: &Key) -> Result<(), kube::Error> {
        let pod = self.pods.get(key).filter(|pod| pod.metadata.deletion_timestamp.is_none());
        let Some(pod) = pod else { return Ok(()) };
        let node = self.nodes.get(&Key::new("", pods::node(&pod)));
        let taints = node.as_deref().map(taints).unwrap_or_default();
        let (uid, now) = (pod.uid().unwrap_or_default(), Timestamp::now());
        let known = self.leaving().get(key).filter(|(known, _)| *known == uid).cloned();
        let before = known.as_ref().map(|(_, seen)| seen);
        let first = |taint: &Taint| before.and_then(|seen| seen.get(&id(taint))).copied();
        let seen: Seen =
            taints.iter().map(|taint| (id(taint), first(taint).unwrap_or(now))).collect();
        let spec = pod.spec.clone().unwrap_or_default();
        let since = |taint: &Taint| start(taint, &pod, first(taint).unwrap_or(now));
        match stay(&spec, &taints, since) {
            Stay::Always => {
                if self.leaving().remove(key).is_some() && known.is_some() {
                    let message = format!("Cancelling deletion of Pod {key}");
                    self.recorder.record(pod.as_ref(), Severity::Normal, EVENT, &message).await;
                }
                Ok(())
            }
            Stay::Until(end) if end > now => {
                self.leaving().insert(key.clone(), (uid, seen));
                self.queue.add_at(key.clone(), end);
                Ok(())
            }
            Stay::Until(_) => self.delete(key, &pod).await,
        }
    }

    async fn delete(&self, key: &Key, pod: &Pod) -> Result<(), kube::Error> {
        let message = format!("Marking for deletion Pod {key}");
        self.recorder.record(pod, Severity::Normal, EVENT, &message).await;
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &key.namespace);
        let mark = json!({"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint", "lastTransitionTime": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()});
        let patch = json!({"metadata": {"uid": pod.uid()}, "status": {"conditions": [mark]}});
        let seen = Preconditions { uid: pod.uid(), resource_version: None };
        let params = DeleteParams { preconditions: Some(seen), ..DeleteParams::default() };
        let gone = async {
            let patch = Patch::Strategic(&patch);
            api.patch_status(&key.name, &PatchParams::default(), &patch).await?;
            api.delete(&key.name, &params).await.map(drop)
        };
        match gone.await {
            // Gone, or another of its name.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            outcome => outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn stays(tolerations: Value, taints: Value) -> Stay {
        let spec = json!({"containers": [], "tolerations": tolerations});
        let spec: PodSpec = serde_json::from_value(spec).expect("a PodSpec");
        let taints: Vec<Taint> = serde_json::from_value(taints).expect("taints");
        stay(&spec, &taints, |taint| start(taint, &Pod::default(), at(100)))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn a_pod_stays_as_long_as_it_tolerates_every_taint() {
        let a = || json!({"key": "a", "effect": "NoExecute"});
        let b = || json!({"key": "b", "effect": "NoExecute"});
        let since = json!({"key": "a", "effect": "NoExecute", "timeAdded": "1970-01-01T00:00:50Z"});
        let may = |key: &str, seconds: Option<i64>| json!({"key": key, "operator": "Exists", "tolerationSeconds": seconds});
        let until = |second: i64| Stay::Until(at(second));
        for (tolerations, taints, expected) in [
            (json!([]), json!([]), Stay::Always),
            (json!([]), json!([a()]), Stay::Until(Timestamp::MIN)),
            (json!([may("b", None)]), json!([a()]), Stay::Until(Timestamp::MIN)),
            (json!([may("a", None)]), json!([a()]), Stay::Always),
            (json!([may("a", Some(30))]), json!([a()]), until(130)),
            (json!([may("a", Some(30))]), json!([since]), until(80)),
            (json!([may("a", Some(-1))]), json!([a()]), until(100)),
            (json!([may("a", Some(i64::MAX))]), json!([a()]), Stay::Until(Timestamp::MAX)),
            (json!([may("a", Some(30)), may("a", Some(10))]), json!([a()]), until(130)),
            (json!([may("a", None), may("a", Some(10))]), json!([a()]), Stay::Always),
            (json!([may("a", Some(30)), may("b", Some(10))]), json!([a(), b()]), until(110)),
            (json!([may("a", Some(30))]), json!([a(), b()]), Stay::Until(Timestamp::MIN)),
            (json!([{"operator": "Exists"}]), json!([a(), b()]), Stay::Always),
        ] {
            assert_eq!(
                stays(tolerations.clone(), taints.clone()),
                expected,
                "{tolerations} {taints}"
            );
        }
    }

    #[test]
    fn the_time_runs_from_when_both_were_there() {
        let taint = |added: Option<&str>| -> Taint {
            let taint = json!({"key": "a", "effect": "NoExecute", "timeAdded": added});
            serde_json::from_value(taint).expect("a taint")
        };
        let pod = |created: &str, bound: Option<&str>| -> Pod {
            let conditions = bound.map(
                |at| json!([{"type": "PodScheduled", "status": "True", "lastTransitionTime": at}]),
            );
            let pod = json!({"metadata": {"creationTimestamp": created}, "status": {"conditions": conditions}});
            serde_json::from_value(pod).expect("a pod")
        };
        let (ten, fifty, ninety) =
            ("1970-01-01T00:00:10Z", "1970-01-01T00:00:50Z", "1970-01-01T00:01:30Z");
        for (added, created, bound, expected) in [
            (None, ten, Some(ten), 100),
            (Some(fifty), ten, Some(ten), 50),
            (Some(fifty), ten, Some(ninety), 90),
            (Some(fifty), ninety, None, 90),
            (Some(ten), fifty, None, 50),
        ] {
            let found = start(&taint(added), &pod(created, bound), at(100));
            assert_eq!(found, at(expected), "{added:?} {created} {bound:?}");
        }
    }
}
