//! Who is on a node, and what is left of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};

use super::needs::{self, Amounts, Needs};
use crate::controllers::key::Key;
use crate::quantity::Quantity;

/// What a node that does not tell it is not taken to be short of.
const UNTOLD: &str = "ephemeral-storage";

/// A pod that is on a node, or is to be.
#[derive(Clone, Debug)]
pub(super) struct Tenant {
    pub(super) pod: Arc<Pod>,
    pub(super) needs: Arc<Needs>,
}

impl Tenant {
    pub(super) fn new(pod: Arc<Pod>) -> Self {
        let needs = pod.spec.as_ref().map(Needs::of).unwrap_or_default();
        Self { pod, needs: Arc::new(needs) }
    }
}

/// The pods of one node, and the sum of what they asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Load {
    tenants: BTreeMap<Key, Tenant>,
    taken: Amounts,
}

/// What a node has too little of.
#[derive(Debug, PartialEq)]
pub(super) struct Lack {
    pub(super) reasons: Vec<String>,
    /// It would be too little without any other pod.
    pub(super) hopeless: bool,
}

impl Load {
    pub(super) fn add(&mut self, key: Key, tenant: Tenant) {
        self.remove(&key);
        needs::add(&mut self.taken, &tenant.needs.amounts);
        self.tenants.insert(key, tenant);
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Tenant> {
        let tenant = self.tenants.remove(key)?;
        needs::subtract(&mut self.taken, &tenant.needs.amounts);
        Some(tenant)
    }

    pub(super) fn tenants(&self) -> impl Iterator<Item = (&Key, &Tenant)> {
        self.tenants.iter()
    }

    pub(super) fn pods(&self) -> impl Iterator<Item = &Pod> {
        self.tenants.values().map(|tenant| tenant.pod.as_ref())
    }

    /// Has somebody here a port that is asked for?
    pub(super) fn clashes(&self, needs: &Needs) -> bool {
        let taken = || self.tenants.values().flat_map(|tenant| &tenant.needs.ports);
        needs.ports.iter().any(|port| taken().any(|other| port.conflicts(other)))
    }

    /// What of `room`, the node's allocatable amounts, is too little for one more pod.
    pub(super) fn lack(&self, needs: &Needs, room: &Amounts) -> Option<Lack> {
        let has = |name: &str| room.get(name).copied().unwrap_or(Quantity::ZERO);
        let mut lack = Lack { reasons: Vec::new(), hopeless: false };
        if Quantity::count(self.tenants.len() + 1) > has("pods") {
            lack.reasons.push("Too many pods".into());
            lack.hopeless |= Quantity::count(1) > has("pods");
        }
        let asked = needs.amounts.iter().filter(|(_, amount)| **amount > Quantity::ZERO);
        for (name, amount) in asked.filter(|(name, _)| *name != UNTOLD || room.contains_key(UNTOLD))
        {
            let taken = self.taken.get(name).copied().unwrap_or(Quantity::ZERO);
            if *amount > has(name).less(taken) {
                lack.reasons.push(format!("Insufficient {name}"));
                lack.hopeless |= *amount > has(name);
            }
        }
        (!lack.reasons.is_empty()).then_some(lack)
    }
}

/// What a node has for pods: nothing, if it has not told it yet.
pub(super) fn room(node: &Node) -> Amounts {
    needs::read(node.status.as_ref().and_then(|status| status.allocatable.as_ref()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn tenant(requests: Value) -> Tenant {
        let pod =
            json!({"spec": {"containers": [{"name": "c", "resources": {"requests": requests}}]}});
        Tenant::new(Arc::new(serde_json::from_value(pod).expect("a Pod")))
    }

    #[test]
    fn a_node_is_short_of_what_others_have_left() {
        let node = |allocatable: Value| {
            let node = json!({"metadata": {"name": "n"}, "status": {"allocatable": allocatable}});
            room(&serde_json::from_value(node).expect("a Node"))
        };
        let has = node(json!({"cpu": "2", "memory": "1Gi", "pods": "3", "example.com/gpu": "1"}));
        let mut load = Load::default();
        load.add(Key::new("a", "one"), tenant(json!({"cpu": "1500m", "memory": "512Mi"})));
        load.add(Key::new("a", "two"), tenant(json!({"example.com/gpu": "1"})));
        for (asked, reasons, hopeless) in [
            (json!({"cpu": "500m", "memory": "512Mi"}), vec![], false),
            (json!({"cpu": "501m"}), vec!["Insufficient cpu"], false),
            (json!({"cpu": "2001m"}), vec!["Insufficient cpu"], true),
            (
                json!({"cpu": "1", "memory": "600Mi"}),
                vec!["Insufficient cpu", "Insufficient memory"],
                false,
            ),
            (json!({"example.com/gpu": "1"}), vec!["Insufficient example.com/gpu"], false),
            (json!({"example.com/fpga": "1"}), vec!["Insufficient example.com/fpga"], true),
            (json!({"example.com/fpga": "0", "ephemeral-storage": "1Ti"}), vec![], false),
        ] {
            let lack = load.lack(&tenant(asked.clone()).needs, &has);
            let (found, hope) = lack.map_or((vec![], false), |it| (it.reasons, it.hopeless));
            assert_eq!(
                (found, hope),
                (reasons.iter().map(|it| it.to_string()).collect(), hopeless),
                "{asked}"
            );
        }
        let small = node(json!({"pods": "9", "ephemeral-storage": "1Gi"}));
        let lack = load.lack(&tenant(json!({"ephemeral-storage": "2Gi"})).needs, &small);
        assert_eq!(lack.expect("too little").reasons, ["Insufficient ephemeral-storage"]);
        load.add(Key::new("b", "one"), tenant(json!({})));
        let lack = load.lack(&tenant(json!({})).needs, &has).expect("it is full");
        assert_eq!((lack.reasons, lack.hopeless), (vec!["Too many pods".to_owned()], false));
        let gone = load.remove(&Key::new("a", "one")).expect("it was there");
        assert_eq!(gone.needs.amounts.len(), 2);
        assert_eq!(load.lack(&tenant(json!({"cpu": "2", "memory": "1Gi"})).needs, &has), None);
        // What asks for nothing comes onto a node that is full of it.
        load.add(Key::new("a", "one"), tenant(json!({"cpu": "7"})));
        load.remove(&Key::new("b", "one"));
        assert_eq!(load.lack(&tenant(json!({})).needs, &has), None);
    }

    #[test]
    fn a_node_that_tells_nothing_is_not_known() {
        let untold = Load::default().lack(&Needs::default(), &room(&Node::default()));
        let untold = untold.expect("there is no room");
        assert_eq!((untold.reasons, untold.hopeless), (vec!["Too many pods".to_owned()], true));
    }
}
