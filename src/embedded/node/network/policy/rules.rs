//! What is known of policies, pods and namespaces, with the policies of each pod at hand.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod as CorePod;
use kube::ResourceExt as _;

use super::compile::Policy;
use crate::controllers::selects;
use crate::node::network::index::{Key, Protocol};
use crate::node::network::pods::PodIdentity;

pub(super) type Labels = BTreeMap<String, String>;

/// A port that a container has given a name.
#[derive(Debug, PartialEq)]
pub(super) struct Named {
    pub(super) name: Box<str>,
    pub(super) protocol: Protocol,
    pub(super) number: u16,
}

/// A pod, and the policies that select it.
#[derive(Debug, Default)]
pub(super) struct Pod {
    pub(super) namespace: Box<str>,
    pub(super) labels: Labels,
    pub(super) ports: Vec<Named>,
    /// What isolates it in one direction: if there is none, it is free in it.
    pub(super) ingress: Vec<Arc<Policy>>,
    pub(super) egress: Vec<Arc<Policy>>,
    /// Its address while it is attached.
    ip: Option<Ipv4Addr>,
    /// Its object is there.
    listed: bool,
}

/// Everything that verdicts depend on. Methods that change it say whether a verdict may be another one then.
#[derive(Debug)]
pub(in crate::node::network) struct Rules {
    policies: HashMap<Key, Arc<Policy>>,
    namespaces: HashMap<Box<str>, Labels>,
    /// By uid.
    pods: HashMap<Box<str>, Pod>,
    /// Uids of the pods that are attached.
    by_ip: HashMap<Ipv4Addr, Box<str>>,
    /// What the name server looks like.
    pub(super) name_server: Pod,
}

impl Default for Rules {
    fn default() -> Self {
        let port = |name: &str, protocol| Named { name: name.into(), protocol, number: 53 };
        let name_server = Pod {
            namespace: "kube-system".into(),
            labels: Labels::from([("k8s-app".to_owned(), "kube-dns".to_owned())]),
            ports: vec![port("dns", Protocol::Udp), port("dns-tcp", Protocol::Tcp)],
            ..Pod::default()
        };
        Self {
            policies: HashMap::new(),
            namespaces: HashMap::new(),
            pods: HashMap::new(),
            by_ip: HashMap::new(),
            name_server,
        }
    }
}

impl Rules {
    /// Whether nothing is forbidden.
    pub(super) fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// The pod that is attached with this address.
    pub(super) fn pod(&self, ip: Ipv4Addr) -> Option<&Pod> {
        self.pods.get(self.by_ip.get(&ip)?)
    }

    /// The labels of a namespace; of one that has not been seen yet, the one that each has.
    pub(super) fn with_namespace<T>(&self, name: &str, look: impl FnOnce(&Labels) -> T) -> T {
        match self.namespaces.get(name) {
            Some(labels) => look(labels),
            None => look(&Labels::from([("kubernetes.io/metadata.name".into(), name.into())])),
        }
    }

    /// Add or replace a policy.
    pub(in crate::node::network) fn put_policy(&mut self, key: Key, policy: Policy) -> bool {
        if self.policies.get(&key).is_some_and(|before| **before == policy) {
            return false;
        }
        self.remove_policy(&key);
        let policy = Arc::new(policy);
        for pod in self.pods.values_mut().filter(|pod| pod.namespace == key.namespace) {
            pod.take(&policy);
        }
        self.policies.insert(key, policy);
        true
    }

    /// Forget a policy.
    pub(in crate::node::network) fn remove_policy(&mut self, key: &Key) -> bool {
        let Some(policy) = self.policies.remove(key) else { return false };
        for pod in self.pods.values_mut().filter(|pod| pod.namespace == key.namespace) {
            pod.ingress.retain(|one| !Arc::ptr_eq(one, &policy));
            pod.egress.retain(|one| !Arc::ptr_eq(one, &policy));
        }
        true
    }

    /// Forget every policy that is not among these: the end of a new listing.
    pub(in crate::node::network) fn retain_policies(&mut self, keep: &HashSet<Key>) -> bool {
        let gone: Vec<Key> =
            self.policies.keys().filter(|key| !keep.contains(key)).cloned().collect();
        for key in &gone {
            self.remove_policy(key);
        }
        !gone.is_empty()
    }

    /// Know the labels of a namespace.
    pub(in crate::node::network) fn put_namespace(&mut self, name: &str, labels: Labels) -> bool {
        let before = self.namespaces.insert(name.into(), labels);
        before.as_ref() != self.namespaces.get(name) && !self.is_empty()
    }

    /// Forget a namespace; its pods and policies go themselves.
    pub(in crate::node::network) fn remove_namespace(&mut self, name: &str) {
        self.namespaces.remove(name);
    }

    /// Forget every namespace that is not among these.
    pub(in crate::node::network) fn retain_namespaces(&mut self, keep: &HashSet<Box<str>>) {
        self.namespaces.retain(|name, _| keep.contains(name));
    }

    /// Know a pod's labels and ports, whether it is attached yet or not.
    pub(in crate::node::network) fn put_pod(&mut self, object: &CorePod) -> bool {
        let uid = object.uid().unwrap_or_default();
        let pod = self.pods.entry(uid.into()).or_default();
        let (labels, ports) = (object.labels().clone(), named(object));
        if pod.listed && pod.labels == labels && pod.ports == ports {
            return false;
        }
        pod.namespace = object.namespace().unwrap_or_default().into();
        (pod.labels, pod.ports, pod.listed) = (labels, ports, true);
        select(&self.policies, pod);
        !self.is_empty()
    }

    /// A pod's object is gone. While it is attached, it stays what it was.
    pub(in crate::node::network) fn remove_pod(&mut self, uid: &str) {
        if let Some(pod) = self.pods.get_mut(uid) {
            pod.listed = false;
            if pod.ip.is_none() {
                self.pods.remove(uid);
            }
        }
    }

    /// A pod has this address from now on.
    pub(in crate::node::network) fn attach(&mut self, identity: &PodIdentity) {
        self.detach_address(&identity.uid);
        let pod = self.pods.entry(identity.uid.as_str().into()).or_default();
        pod.ip = Some(identity.ip);
        if !pod.listed {
            pod.namespace = identity.namespace.as_str().into();
            select(&self.policies, pod);
        }
        self.by_ip.insert(identity.ip, identity.uid.as_str().into());
    }

    /// A pod has no address any more.
    pub(in crate::node::network) fn detach(&mut self, uid: &str) {
        self.detach_address(uid);
        self.pods.retain(|one, pod| &**one != uid || pod.listed);
    }

    #[cfg(test)]
    pub(super) fn known_pods(&self) -> usize {
        self.pods.len()
    }

    fn detach_address(&mut self, uid: &str) {
        if let Some(ip) = self.pods.get_mut(uid).and_then(|pod| pod.ip.take())
            && self.by_ip.get(&ip).is_some_and(|owner| &**owner == uid)
        {
            self.by_ip.remove(&ip);
        }
    }
}

impl Pod {
    /// Keep a policy of its namespace at hand, if it is about this pod.
    fn take(&mut self, policy: &Arc<Policy>) {
        if selects(&policy.pods, Some(&self.labels)) {
            let directions =
                [(&policy.ingress, &mut self.ingress), (&policy.egress, &mut self.egress)];
            for (rules, kept) in directions {
                kept.extend(rules.is_some().then(|| policy.clone()));
            }
        }
    }
}

/// Find the policies of a pod anew.
fn select(policies: &HashMap<Key, Arc<Policy>>, pod: &mut Pod) {
    (pod.ingress, pod.egress) = (Vec::new(), Vec::new());
    for (key, policy) in policies {
        if key.namespace == pod.namespace {
            pod.take(policy);
        }
    }
}

/// The ports of all containers that can serve them.
fn named(pod: &CorePod) -> Vec<Named> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    let ports = containers.flat_map(|container| container.ports.iter().flatten());
    ports
        .filter_map(|port| {
            let protocol = match port.protocol.as_deref() {
                None | Some("TCP") => Protocol::Tcp,
                Some("UDP") => Protocol::Udp,
                Some(_) => return None,
            };
            let number = u16::try_from(port.container_port).ok()?;
            Some(Named { name: port.name.as_deref()?.into(), protocol, number })
        })
        .collect()
}
