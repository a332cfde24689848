//! Binds pods to a node. There is one node, so this decides whether it may run a pod, not which.
//!
//! A pod whose claims get their volumes with their first pod waits here until they have them.

mod claims;

use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    Binding, Node, ObjectReference, PersistentVolume, PersistentVolumeClaim, Pod,
};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::cache::{Cache, Change};
use super::events::{Recorder, Severity};
use super::key::Key;
use super::node_fit;
use super::pods::{is_active, is_finished};
use super::queue::Queue;
use super::registry::Registry;
use super::volume::{NODE, claims_of};
use crate::host_port::{self, HostPort};
use claims::{Storage, Volumes};

const NAME: &str = "default-scheduler";

struct Controller {
    client: Client,
    pods: Arc<Cache<Pod>>,
    nodes: Arc<Cache<Node>>,
    claims: Arc<Cache<PersistentVolumeClaim>>,
    volumes: Arc<Cache<PersistentVolume>>,
    classes: Arc<Cache<StorageClass>>,
    recorder: Recorder,
    queue: Queue<Key>,
}

/// Makes the controller.
pub(super) fn register(registry: &mut Registry) {
    let controller = Arc::new(Controller {
        client: registry.scheduler.clone(),
        pods: registry.cache(),
        nodes: registry.cache(),
        claims: registry.cache(),
        volumes: registry.cache(),
        classes: registry.cache(),
        recorder: Recorder::new(registry.scheduler.clone(), NAME),
        queue: Queue::new(),
    });
    registry.tell(&controller, Controller::pod_changed);
    registry.tell(&controller, Controller::node_changed);
    registry.tell(&controller, Controller::claim_changed);
    registry.tell(&controller, Controller::volume_changed);
    registry.tell(&controller, Controller::class_changed);
    registry.work(async move { controller.work().await });
}

impl Controller {
    fn pod_changed(&self, change: &Change<Pod>) {
        if let Some(pod) = change.new.as_ref().filter(|pod| is_waiting(pod)) {
            self.queue.add(Key::of(pod.as_ref()));
        }
        let ended = change.new.as_ref().is_none_or(|pod| is_finished(pod));
        if ended && change.old.as_ref().is_some_and(|pod| !ports(pod).is_empty()) {
            self.look_again(&self.pods.all(), |pod| !ports(pod).is_empty());
        }
    }

    /// A node that came or changed may fit whoever waits.
    fn node_changed(&self, change: &Change<Node>) {
        let fit = |node: &Option<Arc<Node>>| {
            node.as_ref().map(|n| (n.spec.clone(), n.metadata.labels.clone()))
        };
        if change.new.is_some() && fit(&change.old) != fit(&change.new) {
            self.look_again(&self.pods.all(), |_| true);
        }
    }

    fn claim_changed(&self, change: &Change<PersistentVolumeClaim>) {
        if let Some(claim) = change.latest() {
            let name = claim.name_any();
            let pods = self.pods.in_namespace(&claim.namespace().unwrap_or_default());
            self.look_again(&pods, |pod| pod.spec.iter().flat_map(claims_of).any(|c| c == name));
        }
    }

    fn volume_changed(&self, _: &Change<PersistentVolume>) {
        self.look_again(&self.pods.all(), claims::has_some);
    }

    fn class_changed(&self, _: &Change<StorageClass>) {
        self.look_again(&self.pods.all(), claims::has_some);
    }

    fn look_again(&self, pods: &[Arc<Pod>], concerned: impl Fn(&Pod) -> bool) {
        pods.iter()
            .filter(|pod| is_waiting(pod) && concerned(pod))
            .for_each(|pod| self.queue.add(Key::of(pod.as_ref())));
    }

    /// Works for ever.
    async fn work(&self) {
        self.queue.work("binding the pod", |key| async move { self.schedule(&key).await }).await;
    }

    async fn schedule(&self, key: &Key) -> Result<(), kube::Error> {
        let Some(pod) = self.pods.get(key).filter(|pod| is_waiting(pod)) else { return Ok(()) };
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &key.namespace);
        let nodes = self.nodes.all();
        let mut refusals = Vec::new();
        match Storage::of(&pod, &self.claims, &self.volumes, &self.classes) {
            Err(reason) => refusals.extend((!nodes.is_empty()).then_some(reason)),
            Ok(storage) => {
                for node in &nodes {
                    let refused =
                        refusal(&pod, node).or_else(|| taken(&pod, node, || self.pods.all()));
                    match refused.map_or_else(|| storage.on(node), Err) {
                        Ok(Volumes::Ready) => return self.bind(&api, &pod, node).await,
                        Ok(Volumes::Wanted(claims)) => {
                            return self.want_volumes(&claims, node).await;
                        }
                        Err(reason) => refusals.push(format!("1 {reason}")),
                    }
                }
            }
        }
        let reasons = if refusals.is_empty() {
            "no nodes available to schedule pods".into()
        } else {
            refusals.join(", ")
        };
        let message = match nodes.len() {
            0 => reasons,
            count => format!("0/{count} nodes are available: {reasons}."),
        };
        let known = pod.status.as_ref().and_then(|s| s.conditions.as_ref()).into_iter().flatten();
        if known
            .clone()
            .any(|c| c.type_ == "PodScheduled" && c.message.as_deref() == Some(&message))
        {
            return Ok(());
        }
        let condition = json!({"type":"PodScheduled","status":"False","reason":"Unschedulable","message":message,
            "lastTransitionTime": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()});
        let patch = json!({"status":{"conditions":[condition]}});
        let answer =
            api.patch_status(&key.name, &PatchParams::default(), &Patch::Strategic(&patch)).await?;
        self.pods.put(answer);
        self.recorder.record(pod.as_ref(), Severity::Warning, "FailedScheduling", &message).await;
        Ok(())
    }

    /// Says on which node the pod's claims are to have their volumes. They come back here once they have them.
    async fn want_volumes(
        &self,
        claims: &[Arc<PersistentVolumeClaim>],
        node: &Node,
    ) -> Result<(), kube::Error> {
        let name = node.name_any();
        for claim in claims.iter().filter(|claim| claim.annotations().get(NODE) != Some(&name)) {
            let namespace = claim.namespace().unwrap_or_default();
            let api: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), &namespace);
            let patch = json!({"metadata": {"uid": claim.uid(), "annotations": {NODE: name}}});
            let params = PatchParams::default();
            match api.patch(&claim.name_any(), &params, &Patch::Merge(&patch)).await {
                Ok(answer) => self.claims.put(answer),
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn bind(&self, api: &Api<Pod>, pod: &Pod, node: &Node) -> Result<(), kube::Error> {
        let (name, node) = (pod.name_any(), node.name_any());
        let binding = Binding {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                namespace: pod.namespace(),
                uid: pod.uid(),
                ..ObjectMeta::default()
            },
            target: ObjectReference {
                api_version: Some("v1".into()),
                kind: Some("Node".into()),
                name: Some(node.clone()),
                ..ObjectReference::default()
            },
        };
        let answer: Result<serde_json::Value, _> =
            api.create_subresource("binding", &name, &PostParams::default(), &binding).await;
        match answer {
            Ok(_) => {
                let place = format!("{}/{name}", pod.namespace().unwrap_or_default());
                let message = format!("Successfully assigned {place} to {node}");
                self.recorder.record(pod, Severity::Normal, "Scheduled", &message).await;
                if !ports(pod).is_empty() {
                    // The next pod may want the same: it must not be decided by what was before.
                    self.pods.put(api.get(&name).await?);
                }
                Ok(())
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Without a node, and ours to place.
fn is_waiting(pod: &Pod) -> bool {
    let spec = pod.spec.as_ref();
    is_active(pod)
        && spec.is_some_and(|spec| {
            spec.node_name.is_none()
                && spec.scheduler_name.as_deref().is_none_or(|name| name == NAME)
                && spec.scheduling_gates.as_ref().is_none_or(Vec::is_empty)
        })
}

/// Why a pod may not run on a node.
fn refusal(pod: &Pod, node: &Node) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    if !node_fit::selects(spec, node) {
        return Some("node(s) didn't match Pod's node affinity/selector".into());
    }
    if node_fit::is_cordoned(spec, node) {
        return Some("node(s) were unschedulable".into());
    }
    let refused = node_fit::untolerated(spec, node, &["NoSchedule", "NoExecute"]);
    refused.map(|taint| {
        let value = taint.value.as_deref().unwrap_or_default();
        format!("node(s) had untolerated taint {{{}: {value}}}", taint.key)
    })
}

fn ports(pod: &Pod) -> Vec<HostPort> {
    pod.spec.as_ref().map(host_port::of).unwrap_or_default()
}

/// Why a pod may not run on a node where others are.
fn taken(pod: &Pod, node: &Node, pods: impl FnOnce() -> Vec<Arc<Pod>>) -> Option<String> {
    let wanted = ports(pod);
    if wanted.is_empty() {
        return None;
    }
    let name = node.name_any();
    let here = |other: &&Arc<Pod>| {
        let at = other.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
        at == Some(&name) && !is_finished(other)
    };
    let pods = pods();
    let mut there = pods.iter().filter(here).flat_map(|other| ports(other));
    let clash = there.any(|other| wanted.iter().any(|port| port.conflicts(&other)));
    clash.then(|| "node(s) didn't have free ports for the requested pod ports".into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(pod: serde_json::Value, node: serde_json::Value) -> Option<String> {
        let mut spec = json!({"containers":[]});
        spec.as_object_mut()
            .expect("an object")
            .extend(pod.as_object().cloned().expect("an object"));
        let pod: Pod = serde_json::from_value(json!({"spec": spec})).expect("a Pod");
        let node: Node =
            serde_json::from_value(json!({"metadata":{"labels":{"a":"b"}},"spec": node}))
                .expect("a Node");
        refusal(&pod, &node)
    }

    #[test]
    fn selectors_taints_and_cordons_are_respected() {
        let taint = json!({"taints":[{"key":"k","value":"v","effect":"NoSchedule"}]});
        assert_eq!(refused(json!({}), json!({})), None);
        assert_eq!(refused(json!({"nodeSelector":{"a":"b"}}), json!({})), None);
        assert!(refused(json!({"nodeSelector":{"a":"c"}}), json!({})).is_some());
        let pinned = json!({"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":
            {"nodeSelectorTerms":[{"matchFields":[{"key":"metadata.name","operator":"In","values":["other"]}]}]}}}});
        assert_eq!(
            refused(pinned, json!({})).as_deref(),
            Some("node(s) didn't match Pod's node affinity/selector")
        );
        assert_eq!(
            refused(json!({}), taint.clone()).as_deref(),
            Some("node(s) had untolerated taint {k: v}")
        );
        assert_eq!(refused(json!({"tolerations":[{"key":"k","value":"v"}]}), taint.clone()), None);
        assert_eq!(refused(json!({"tolerations":[{"operator":"Exists"}]}), taint.clone()), None);
        assert!(refused(json!({"tolerations":[{"key":"k","value":"x"}]}), taint).is_some());
        let cordoned = json!({"unschedulable":true});
        assert_eq!(
            refused(json!({}), cordoned.clone()).as_deref(),
            Some("node(s) were unschedulable")
        );
        assert_eq!(refused(json!({"tolerations":[{"operator":"Exists"}]}), cordoned), None);
    }

    #[test]
    fn a_port_of_the_host_is_one_pods_until_that_has_ended() {
        let pod = |node: &str, phase: &str, port: u16| -> Pod {
            let ports = json!([{"containerPort": 80, "hostPort": port, "protocol": "TCP"}]);
            let containers = json!([{"name": "c", "ports": ports}]);
            let spec = json!({"nodeName": node, "containers": containers});
            serde_json::from_value(json!({"spec": spec, "status": {"phase": phase}}))
                .expect("a Pod")
        };
        let node: Node =
            serde_json::from_value(json!({"metadata": {"name": "n"}})).expect("a Node");
        let wanted = pod("", "Pending", 8080);
        let free = |others: Vec<Pod>| {
            let others: Vec<Arc<Pod>> = others.into_iter().map(Arc::new).collect();
            taken(&wanted, &node, || others.to_vec()).is_none()
        };
        assert!(free(vec![]));
        assert!(!free(vec![pod("n", "Running", 8080)]));
        let others = [("m", "Running", 8080), ("n", "Succeeded", 8080), ("n", "Running", 8081)];
        assert!(free(others.map(|(node, phase, port)| pod(node, phase, port)).into()));
    }
}
