//! Taints of a node that follow from its conditions, and from its being closed (`kubectl cordon`): nothing new comes onto a
//! node that is not well.
//!
//! Nobody is evicted for what a node says of itself. Real clusters let pods go from a node that is silent for minutes while
//! others are there to take them; here node, controllers and API server are one process, and are silent together.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Taint};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::cache::{Cache, Change};
use super::key::Key;
use super::node_fit::UNSCHEDULABLE;
use super::queue::Queue;
use super::registry::Registry;

/// What a condition in this state puts onto the node.
const BY_CONDITION: [(&str, &str, &str); 6] = [
    ("Ready", "False", "node.kubernetes.io/not-ready"),
    ("Ready", "Unknown", "node.kubernetes.io/unreachable"),
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
];
const EFFECT: &str = "NoSchedule";

struct Controller {
    client: Client,
    nodes: Arc<Cache<Node>>,
    queue: Queue<Arc<str>>,
}

/// Makes the controller.
pub(super) fn register(registry: &mut Registry) {
    let controller = Arc::new(Controller {
        client: registry.client.clone(),
        nodes: registry.cache(),
        queue: Queue::new(),
    });
    registry.tell(&controller, Controller::changed);
    registry.work(async move { controller.work().await });
}

impl Controller {
    fn changed(&self, change: &Change<Node>) {
        if let Some(node) = change.new.as_ref().filter(|node| wanted(node).is_some()) {
            self.queue.add(node.name_any().into());
        }
    }

    /// Works for ever.
    async fn work(&self) {
        self.queue
            .work("the node's taints", |name| async move { self.reconcile(&name).await })
            .await;
    }

    async fn reconcile(&self, name: &str) -> Result<(), kube::Error> {
        let Some(node) = self.nodes.get(&Key::new("", name)) else { return Ok(()) };
        let Some(taints) = wanted(&node) else { return Ok(()) };
        // The list is replaced: whoever changed it meanwhile is read first.
        let patch = json!({
            "metadata": {"resourceVersion": node.resource_version()},
            "spec": {"taints": taints},
        });
        let api: Api<Node> = Api::all(self.client.clone());
        match api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
            Ok(answer) => {
                self.nodes.put(answer);
                Ok(())
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// All taints that the node is to have, if it has others; those that somebody else has put there stay.
fn wanted(node: &Node) -> Option<Vec<Taint>> {
    let spec = node.spec.clone().unwrap_or_default();
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let is = |kind: &str, state: &str| {
        let mut all = conditions.into_iter().flatten();
        all.any(|condition| condition.type_ == kind && condition.status == state)
    };
    let by_condition = BY_CONDITION.map(|(kind, state, key)| (key, is(kind, state)));
    let closed = (UNSCHEDULABLE, spec.unschedulable == Some(true));
    let before = spec.taints.unwrap_or_default();
    let mut after = before.clone();
    for (key, applies) in by_condition.into_iter().chain([closed]) {
        let ours = |taint: &Taint| taint.key == key && taint.effect == EFFECT;
        if !applies {
            after.retain(|taint| !ours(taint));
        } else if !after.iter().any(ours) {
            after.push(Taint { key: key.into(), effect: EFFECT.into(), ..Taint::default() });
        }
    }
    (after != before).then_some(after)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn taints_say_what_is_wrong_with_a_node_and_others_stay() {
        let own = json!({"key": "mine", "value": "v", "effect": "NoSchedule"});
        let of =
            |key: &str| json!({"key": format!("node.kubernetes.io/{key}"), "effect": "NoSchedule"});
        let lasting = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"});
        let ready = |state: &str| json!([{"type": "Ready", "status": state}]);
        for (closed, conditions, before, after) in [
            (false, ready("True"), json!([]), None),
            (false, ready("True"), json!([own, lasting]), None),
            (false, ready("False"), json!([own]), Some(json!([own, of("not-ready")]))),
            (false, ready("Unknown"), json!([of("not-ready")]), Some(json!([of("unreachable")]))),
            (false, ready("True"), json!([of("not-ready"), own]), Some(json!([own]))),
            (true, ready("True"), json!([]), Some(json!([of("unschedulable")]))),
            (true, ready("True"), json!([of("unschedulable")]), None),
            (false, ready("True"), json!([of("unschedulable")]), Some(json!([]))),
            (
                false,
                json!([{"type": "DiskPressure", "status": "True"}, {"type": "MemoryPressure", "status": "False"},
                    {"type": "PIDPressure", "status": "True"}]),
                json!([]),
                Some(json!([of("disk-pressure"), of("pid-pressure")])),
            ),
        ] {
            let node = json!({"metadata": {"name": "n"}, "status": {"conditions": conditions},
                "spec": {"unschedulable": closed, "taints": before}});
            let found = wanted(&serde_json::from_value(node.clone()).expect("a Node"));
            let found: Option<Value> = found.map(|taints| json!(taints));
            assert_eq!(found, after, "{node}");
        }
    }
}
