//! The pods of components and gateways, by name, uid and address: what is measured, and where spans and events are at
//! home.

mod pod;

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tokio::sync::watch;

pub(super) use pod::{Known, Part, SYSTEM};

use crate::owner::Owner;
use pod::known;

/// Pods that are gone, of which nodes and events may still tell something.
const FORMER: usize = 256;

/// All of them. Cloning shares them.
#[derive(Clone)]
pub(super) struct Pods {
    known: Arc<Mutex<Inner>>,
    listed: Arc<watch::Sender<bool>>,
}

#[derive(Default)]
struct Inner {
    /// By namespace and name.
    pods: HashMap<(String, String), Arc<Known>>,
    /// Those of components. An address is the one of the pod that had it last.
    addresses: HashMap<IpAddr, Arc<Known>>,
    former: VecDeque<Arc<Known>>,
}

impl Default for Pods {
    fn default() -> Self {
        Pods { known: Arc::default(), listed: Arc::new(watch::channel(false).0) }
    }
}

impl Pods {
    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn apply(&self, pod: &Pod) {
        let Some(known) = known(pod) else { return };
        let key = (known.namespace.clone(), known.name.clone());
        self.with(|inner| {
            let known = Arc::new(known);
            if let Some(before) = inner.pods.insert(key, known.clone()) {
                inner.forget_addresses(&before);
                if before.uid != known.uid {
                    inner.retire(before);
                }
            }
            if known.owner().is_some() {
                for address in &known.addresses {
                    inner.addresses.insert(*address, known.clone());
                }
            }
        });
    }

    pub(super) fn remove(&self, pod: &Pod) {
        let key = (pod.namespace().unwrap_or_default(), pod.name_any());
        self.with(|inner| {
            // Not one of the same name that has come meanwhile.
            let uid = pod.uid().unwrap_or_default();
            if inner.pods.get(&key).is_some_and(|known| known.uid == uid)
                && let Some(gone) = inner.pods.remove(&key)
            {
                inner.retire(gone);
            }
        });
    }

    /// A list of components' pods (or of gateways' ones) is complete: others of the kind are gone.
    pub(super) fn keep(&self, uids: &[String], components: bool) {
        self.with(|inner| {
            let gone = inner.pods.extract_if(|_, known| {
                known.owner().is_some() == components && !uids.contains(&known.uid)
            });
            let gone: Vec<_> = gone.map(|(_, known)| known).collect();
            for known in gone {
                inner.retire(known);
            }
        });
        if components {
            self.listed.send_replace(true);
        }
    }

    /// Waits until the pods of components are known.
    pub(super) async fn listed(&self) {
        // The sender is our own: it does not go away before.
        let _ = self.listed.subscribe().wait_for(|listed| *listed).await;
    }

    /// Those that have not ended.
    pub(super) fn alive(&self) -> Vec<Arc<Known>> {
        self.with(|inner| inner.pods.values().filter(|known| known.alive).cloned().collect())
    }

    /// The pod of a component that has an address now.
    pub(super) fn at(&self, address: IpAddr) -> Option<Arc<Known>> {
        self.with(|inner| inner.addresses.get(&address).cloned())
    }

    /// The pod of a component with a uid, also for a while after it is gone.
    pub(super) fn of_uid(&self, uid: &str) -> Option<Arc<Known>> {
        self.with(|inner| {
            let mut all = inner.pods.values().chain(inner.former.iter().rev());
            all.find(|known| known.uid == uid && known.owner().is_some()).cloned()
        })
    }

    /// The pod of a component with a name. Without a namespace only a name that no two of them have.
    pub(super) fn home(&self, namespace: &str, name: &str) -> Option<Arc<Known>> {
        self.with(|inner| {
            let is = |known: &&Arc<Known>| {
                known.name == name
                    && (namespace.is_empty() || known.namespace == namespace)
                    && known.owner().is_some()
            };
            let mut found = inner.pods.values().filter(is);
            let first = found.next()?;
            found.next().is_none().then(|| first.clone())
        })
    }

    /// The pod of a name, also for a while after it is gone.
    pub(super) fn named(&self, namespace: &str, name: &str) -> Option<Arc<Known>> {
        self.with(|inner| {
            let is = |known: &&Arc<Known>| known.namespace == namespace && known.name == name;
            let key = (namespace.to_owned(), name.to_owned());
            inner.pods.get(&key).or_else(|| inner.former.iter().rev().find(is)).cloned()
        })
    }

    /// The component whose Service that is, where no pod of it was reached: the Service has the component's name.
    pub(super) fn behind(&self, namespace: &str, service: &str) -> Option<Owner> {
        self.with(|inner| {
            let mut all = inner.pods.values().chain(inner.former.iter().rev());
            all.find_map(|known| match &known.part {
                Part::Component(owner)
                    if known.namespace == namespace && owner.component == service =>
                {
                    Some(owner.clone())
                }
                _ => None,
            })
        })
    }
}

impl Inner {
    fn forget_addresses(&mut self, known: &Known) {
        for address in &known.addresses {
            if self.addresses.get(address).is_some_and(|one| one.uid == known.uid) {
                self.addresses.remove(address);
            }
        }
    }

    fn retire(&mut self, gone: Arc<Known>) {
        self.forget_addresses(&gone);
        if self.former.len() >= FORMER {
            self.former.pop_front();
        }
        self.former.push_back(gone);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(uid: &str, ip: &str, phase: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": format!("cart-{uid}"), "namespace": "dp", "uid": uid,
                "labels": {"openchoreo.dev/component": "cart"}},
            "status": {"phase": phase, "podIP": ip, "podIPs": [{"ip": ip}]}}))
        .expect("a Pod")
    }

    #[test]
    fn an_address_is_the_one_of_the_pod_that_has_it_now() {
        let pods = Pods::default();
        let at = |ip: &str| pods.at(ip.parse().expect("an address")).map(|home| home.name.clone());
        pods.apply(&pod("a", "10.0.0.1", "Running"));
        assert_eq!(at("10.0.0.1").as_deref(), Some("cart-a"));
        pods.apply(&pod("a", "10.0.0.1", "Succeeded"));
        assert_eq!(at("10.0.0.1"), None, "it has given it back");
        pods.apply(&pod("b", "10.0.0.1", "Running"));
        pods.remove(&pod("a", "10.0.0.1", "Succeeded"));
        assert_eq!(at("10.0.0.1").as_deref(), Some("cart-b"));
        pods.keep(&[], true);
        assert_eq!((at("10.0.0.1"), pods.home("dp", "cart-b")), (None, None));
        assert_eq!(pods.of_uid("b").map(|home| home.name.clone()).as_deref(), Some("cart-b"));
    }

    #[test]
    fn a_name_that_two_pods_have_says_nothing_without_its_namespace() {
        let pods = Pods::default();
        let mut other = pod("b", "10.0.0.2", "Running");
        other.metadata.name = Some("cart-a".into());
        other.metadata.namespace = Some("elsewhere".into());
        pods.apply(&pod("a", "10.0.0.1", "Running"));
        assert!(pods.home("", "cart-a").is_some());
        pods.apply(&other);
        assert!(pods.home("", "cart-a").is_none() && pods.home("dp", "cart-a").is_some());
    }
}
