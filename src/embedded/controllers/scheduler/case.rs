//! One pod that looks for a node, the nodes that there are, and whether one of them takes it.

use std::borrow::Cow;

use k8s_openapi::api::core::v1::{Namespace, Node, Pod, PodSpec};
use kube::ResourceExt;

use super::claims::{Storage, Volumes};
use super::load::{Load, Tenant};
use super::needs::{Amounts, Needs};
use super::{company, spread};
use crate::controllers::cache::Cache;
use crate::controllers::key::Key;
use crate::controllers::node_fit;
use crate::controllers::volume::claims_of;

/// A pod that looks for a node.
pub(super) struct Case<'a> {
    pub(super) pod: &'a Pod,
    pub(super) spec: &'a PodSpec,
    pub(super) needs: &'a Needs,
    pub(super) storage: &'a Storage,
}

/// A node with who is on it.
#[derive(Clone)]
pub(super) struct Place<'a> {
    pub(super) node: &'a Node,
    pub(super) room: Amounts,
    pub(super) load: Cow<'a, Load>,
    /// Pods that others make way for here, and that the one that looks for a node may not overtake.
    pub(super) guests: Vec<(Key, Tenant)>,
}

/// All nodes.
#[derive(Clone)]
pub(super) struct View<'a> {
    pub(super) places: Vec<Place<'a>>,
    pub(super) namespaces: &'a Cache<Namespace>,
}

/// Why a pod may not run on a node.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Refusal {
    /// In the words of real schedulers.
    pub(super) reasons: Vec<String>,
    /// It would be no other if any other pod made way.
    pub(super) hopeless: bool,
    pub(super) waits: Waits,
}

/// Which changes of other pods may change the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Waits {
    /// One leaves a node, or takes less of it.
    pub(super) room: bool,
    /// One comes, goes, or has other labels.
    pub(super) company: bool,
}

impl Waits {
    const ROOM: Self = Self { room: true, company: false };
    const COMPANY: Self = Self { room: false, company: true };

    pub(super) fn and(self, other: Self) -> Self {
        Self { room: self.room || other.room, company: self.company || other.company }
    }

    pub(super) fn meets(self, other: Self) -> bool {
        (self.room && other.room) || (self.company && other.company)
    }
}

/// Of a pod that says no priority it is 0.
pub(super) fn priority(pod: &Pod) -> i32 {
    pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or_default()
}

impl<'a> View<'a> {
    /// Whether a node takes the pod, with those that others made way for and without them.
    ///
    /// # Errors
    /// Why it does not.
    pub(super) fn admits(&self, case: &Case<'_>, at: usize) -> Result<Volumes, Refusal> {
        let guests = &self.places[at].guests;
        if !guests.is_empty() {
            let mut full = self.clone();
            let load = full.places[at].load.to_mut();
            guests.iter().for_each(|(key, tenant)| load.add(key.clone(), tenant.clone()));
            full.takes(case, at)?;
        }
        self.takes(case, at)
    }

    /// Asks in the order of real schedulers: the first that refuses is the one that is told.
    fn takes(&self, case: &Case<'_>, at: usize) -> Result<Volumes, Refusal> {
        let place = &self.places[at];
        let hopeless = |reason: String| Refusal {
            reasons: vec![reason],
            hopeless: true,
            waits: Waits::default(),
        };
        let in_the_way = |reason: &str, waits| Refusal {
            reasons: vec![reason.to_owned()],
            hopeless: false,
            waits,
        };
        if let Some(reason) = of_node(case.spec, place.node) {
            return Err(hopeless(reason));
        }
        if place.load.clashes(case.needs) {
            let why = "node(s) didn't have free ports for the requested pod ports";
            return Err(in_the_way(why, Waits::ROOM));
        }
        if let Some(lack) = place.load.lack(case.needs, &place.room) {
            let (reasons, hopeless) = (lack.reasons, lack.hopeless);
            return Err(Refusal { reasons, hopeless, waits: Waits::ROOM });
        }
        if self.is_used(case) {
            let why = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";
            return Err(in_the_way(why, Waits::ROOM));
        }
        let volumes = case.storage.on(place.node).map_err(hopeless)?;
        let company = spread::refusal(case, self, at).or_else(|| company::refusal(case, self, at));
        match company {
            None => Ok(volumes),
            Some((reason, hopeless)) => {
                Err(Refusal { hopeless, ..in_the_way(reason, Waits::COMPANY) })
            }
        }
    }

    /// Has any pod a claim that this one wants for itself alone?
    fn is_used(&self, case: &Case<'_>) -> bool {
        let alone = case.storage.alone();
        let namespace = case.pod.namespace();
        let mut pods = self.places.iter().flat_map(|place| place.load.pods());
        !alone.is_empty()
            && pods.any(|pod| {
                let mut claims = pod.spec.iter().flat_map(claims_of);
                pod.namespace() == namespace && claims.any(|name| alone.iter().any(|it| it == name))
            })
    }
}

/// What of the node itself keeps a pod away.
fn of_node(spec: &PodSpec, node: &Node) -> Option<String> {
    if node_fit::named(spec).is_some_and(|names| !names.contains(node.name_any().as_str())) {
        return Some("node(s) didn't satisfy plugin(s) [NodeAffinity]".into());
    }
    if node_fit::is_cordoned(spec, node) {
        return Some("node(s) were unschedulable".into());
    }
    if let Some(taint) = node_fit::untolerated(spec, node, &["NoSchedule", "NoExecute"]) {
        let value = taint.value.as_deref().unwrap_or_default();
        return Some(format!("node(s) had untolerated taint {{{}: {value}}}", taint.key));
    }
    (!node_fit::selects(spec, node))
        .then(|| "node(s) didn't match Pod's node affinity/selector".into())
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::super::load;
    use super::*;

    type Guests = Vec<(Key, Tenant)>;

    /// Nodes with pods on them, as tables name them.
    #[derive(Default)]
    pub(in super::super) struct World {
        nodes: Vec<(Node, Load, Guests)>,
        pub(in super::super) namespaces: Option<Arc<Cache<Namespace>>>,
        pub(in super::super) storage: Storage,
    }

    pub(in super::super) fn pod(pod: Value) -> Pod {
        let mut whole = json!({"metadata": {"namespace": "default", "name": "p", "uid": "u"}, "spec": {"containers": []}});
        merge(&mut whole, pod);
        serde_json::from_value(whole).expect("a Pod")
    }

    fn merge(into: &mut Value, from: Value) {
        match (into, from) {
            (Value::Object(into), Value::Object(from)) => {
                for (name, value) in from {
                    merge(into.entry(name).or_insert(Value::Null), value);
                }
            }
            (into, from) => *into = from,
        }
    }

    impl World {
        /// With nodes that have room for everything.
        pub(in super::super) fn with(nodes: Value) -> Self {
            let mut world = Self { namespaces: Some(Cache::new()), ..Self::default() };
            for (name, labels) in nodes.as_object().expect("labels by name") {
                let node = json!({"metadata": {"name": name, "labels": labels},
                    "status": {"allocatable": {"cpu": "2", "memory": "2Gi", "pods": "10"}}});
                let node = serde_json::from_value(node).expect("a Node");
                world.nodes.push((node, Load::default(), Vec::new()));
            }
            world
        }

        pub(in super::super) fn node(&mut self, at: usize) -> &mut Node {
            &mut self.nodes[at].0
        }

        /// Puts a pod of this name onto a node.
        pub(in super::super) fn put(&mut self, at: usize, name: &str, value: Value) {
            let (key, tenant) = tenant(name, value);
            self.nodes[at].1.add(key, tenant);
        }

        /// Lets a pod of this name be waited for on a node.
        pub(in super::super) fn invite(&mut self, at: usize, name: &str, value: Value) {
            self.nodes[at].2.push(tenant(name, value));
        }

        pub(in super::super) fn view(&self) -> View<'_> {
            let places = self.nodes.iter().map(|(node, load, guests)| Place {
                node,
                room: load::room(node),
                load: Cow::Borrowed(load),
                guests: guests.clone(),
            });
            let namespaces = self.namespaces.as_deref().expect("there are namespaces");
            View { places: places.collect(), namespaces }
        }

        /// What each node says.
        pub(in super::super) fn asked(&self, pod: &Pod) -> Vec<Result<(), Refusal>> {
            let (spec, view) = (pod.spec.as_ref().expect("a spec"), self.view());
            let needs = Needs::of(spec);
            let case = Case { pod, spec, needs: &needs, storage: &self.storage };
            (0..self.nodes.len()).map(|at| view.admits(&case, at).map(|_| ())).collect()
        }

        /// The one reason of the first node.
        pub(in super::super) fn says(&self, pod: &Pod) -> (String, bool) {
            let refusal = self.asked(pod).remove(0).err().unwrap_or_default();
            (refusal.reasons.join(", "), refusal.hopeless)
        }
    }

    fn tenant(name: &str, value: Value) -> (Key, Tenant) {
        let mut pod = pod(value);
        pod.metadata.name = Some(name.into());
        (Key::of(&pod), Tenant::new(Arc::new(pod)))
    }

    fn refused(spec: Value, node: Value) -> String {
        let mut world = World::with(json!({"n": {"a": "b"}}));
        world.node(0).spec = serde_json::from_value(node).expect("a NodeSpec");
        world.says(&pod(json!({"spec": spec}))).0
    }

    #[test]
    fn selectors_taints_and_cordons_are_respected() {
        let taint = json!({"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]});
        let term = |term: Value| json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}});
        let tolerates = |toleration: Value| json!({"tolerations": [toleration]});
        let (tainted, selector) = (
            "node(s) had untolerated taint {k: v}",
            "node(s) didn't match Pod's node affinity/selector",
        );
        for (spec, node, expected) in [
            (json!({}), json!({}), ""),
            (json!({"nodeSelector": {"a": "b"}}), json!({}), ""),
            (json!({"nodeSelector": {"a": "c"}}), json!({}), selector),
            (
                term(json!({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]})),
                json!({}),
                selector,
            ),
            (
                term(
                    json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["other"]}]}),
                ),
                json!({}),
                "node(s) didn't satisfy plugin(s) [NodeAffinity]",
            ),
            (json!({}), taint.clone(), tainted),
            // Taints are asked before selectors.
            (json!({"nodeSelector": {"a": "c"}}), taint.clone(), tainted),
            (tolerates(json!({"key": "k", "value": "v"})), taint.clone(), ""),
            (tolerates(json!({"operator": "Exists"})), taint.clone(), ""),
            (tolerates(json!({"key": "k", "value": "x"})), taint, tainted),
            (json!({}), json!({"unschedulable": true}), "node(s) were unschedulable"),
            (tolerates(json!({"operator": "Exists"})), json!({"unschedulable": true}), ""),
        ] {
            assert_eq!(refused(spec.clone(), node.clone()), expected, "{spec} {node}");
        }
    }

    #[test]
    fn ports_and_room_are_in_use_by_others() {
        let mut world = World::with(json!({"n": {}}));
        let asks = |cpu: &str, port: i32| {
            json!({"spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": port}],
                "resources": {"requests": {"cpu": cpu}}}]}})
        };
        world.put(0, "one", asks("1500m", 80));
        let ports = "node(s) didn't have free ports for the requested pod ports";
        for (cpu, port, expected, hopeless) in [
            ("500m", 81, "", false),
            ("500m", 80, ports, false),
            // Ports are asked before room.
            ("1", 80, ports, false),
            ("1", 81, "Insufficient cpu", false),
            ("3", 81, "Insufficient cpu", true),
        ] {
            let says = world.says(&pod(asks(cpu, port)));
            assert_eq!(says, (expected.to_owned(), hopeless), "{cpu} {port}");
        }
    }

    #[test]
    fn who_is_waited_for_is_there_already() {
        let mut world = World::with(json!({"n": {}}));
        let asks = |cpu: &str| json!({"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}});
        world.invite(0, "soon", asks("1500m"));
        assert_eq!(world.says(&pod(asks("500m"))).0, "");
        assert_eq!(world.says(&pod(asks("1"))).0, "Insufficient cpu");
        // It is not there yet for those that want to be with it.
        let mut near = pod(
            json!({"spec": {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            [{"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "soon"}}}]}}}}),
        );
        world.node(0).metadata.labels =
            Some([("kubernetes.io/hostname".into(), "n".into())].into());
        world.invite(0, "friend", json!({"metadata": {"labels": {"app": "soon"}}}));
        assert_eq!(world.says(&near).0, "node(s) didn't match pod affinity rules");
        near.spec.as_mut().expect("a spec").affinity = None;
        assert_eq!(world.says(&near).0, "");
    }

    #[test]
    fn a_claim_for_one_pod_is_of_one_pod() {
        let mut world = World::with(json!({"n": {}, "m": {}}));
        let user = json!({"spec": {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}});
        world.put(1, "user", user.clone());
        assert_eq!(world.says(&pod(user.clone())).0, "");
        world.storage = Storage::for_one("data");
        let why = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";
        assert_eq!(world.says(&pod(user.clone())), (why.to_owned(), false));
        let mut elsewhere = pod(user);
        elsewhere.metadata.namespace = Some("other".into());
        assert_eq!(world.says(&elsewhere).0, "");
    }
}
