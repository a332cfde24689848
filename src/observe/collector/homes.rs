//! Which pods there are, by address, uid and name: where spans and events are at home.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tokio::sync::watch;

use crate::owner::Owner;

/// Pods that are gone, whose last events may still come.
const REMEMBERED: usize = 256;

/// A pod of a component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) owner: Owner,
    pub(super) pod: String,
    pub(super) namespace: String,
}

/// The pods of components. Cloning shares them.
#[derive(Clone)]
pub(super) struct Homes {
    known: Arc<Mutex<Known>>,
    listed: Arc<watch::Sender<bool>>,
}

#[derive(Default)]
struct Known {
    pods: HashMap<String, (Arc<Home>, Vec<IpAddr>)>,
    /// An address is the one of the pod that had it last.
    addresses: HashMap<IpAddr, String>,
    former: VecDeque<(String, Arc<Home>)>,
}

impl Default for Homes {
    fn default() -> Self {
        Homes { known: Arc::default(), listed: Arc::new(watch::channel(false).0) }
    }
}

impl Homes {
    fn with<T>(&self, work: impl FnOnce(&mut Known) -> T) -> T {
        work(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn apply(&self, pod: &Pod) {
        let Some(uid) = pod.uid() else { return };
        let owner = Owner::of(pod.labels());
        let (name, namespace) = (pod.name_any(), pod.namespace().unwrap_or_default());
        let home = Arc::new(Home { owner, pod: name, namespace });
        let addresses = addresses(pod);
        self.with(|known| {
            known.forget_addresses(&uid);
            for address in &addresses {
                known.addresses.insert(*address, uid.clone());
            }
            known.pods.insert(uid, (home, addresses));
        });
    }

    pub(super) fn remove(&self, pod: &Pod) {
        if let Some(uid) = pod.uid() {
            self.with(|known| known.remove(&uid));
        }
    }

    /// A new list is complete: other pods are gone.
    pub(super) fn keep(&self, uids: &[String]) {
        self.with(|known| {
            let gone: Vec<String> =
                known.pods.keys().filter(|uid| !uids.contains(uid)).cloned().collect();
            for uid in gone {
                known.remove(&uid);
            }
        });
        self.listed.send_replace(true);
    }

    /// Waits until the pods are known.
    pub(super) async fn listed(&self) {
        // The sender is our own: it does not go away before.
        let _ = self.listed.subscribe().wait_for(|listed| *listed).await;
    }

    /// The pod that has an address now.
    pub(super) fn at(&self, address: IpAddr) -> Option<Arc<Home>> {
        self.with(|known| {
            let uid = known.addresses.get(&address)?;
            Some(known.pods.get(uid)?.0.clone())
        })
    }

    /// The pod with a uid, also for a while after it is gone.
    pub(super) fn of_uid(&self, uid: &str) -> Option<Arc<Home>> {
        self.with(|known| match known.pods.get(uid) {
            Some((home, _)) => Some(home.clone()),
            None => known.former.iter().find(|(one, _)| one == uid).map(|(_, home)| home.clone()),
        })
    }

    /// The pod with a name. Without a namespace only a name that no two pods have.
    pub(super) fn named(&self, namespace: &str, name: &str) -> Option<Arc<Home>> {
        self.with(|known| {
            let is = |home: &&Arc<Home>| {
                home.pod == name && (namespace.is_empty() || home.namespace == namespace)
            };
            let mut found = known.pods.values().map(|(home, _)| home).filter(is);
            let first = found.next()?;
            found.next().is_none().then(|| first.clone())
        })
    }
}

impl Known {
    fn forget_addresses(&mut self, uid: &str) {
        for address in
            self.pods.get(uid).map(|(_, addresses)| addresses.clone()).unwrap_or_default()
        {
            if self.addresses.get(&address).is_some_and(|owner| owner == uid) {
                self.addresses.remove(&address);
            }
        }
    }

    fn remove(&mut self, uid: &str) {
        self.forget_addresses(uid);
        if let Some((home, _)) = self.pods.remove(uid) {
            if self.former.len() >= REMEMBERED {
                self.former.pop_front();
            }
            self.former.push_back((uid.to_owned(), home));
        }
    }
}

/// The addresses that are the pod's alone. One that has ended has given them back already.
fn addresses(pod: &Pod) -> Vec<IpAddr> {
    let on_host = pod.spec.as_ref().and_then(|spec| spec.host_network) == Some(true);
    let Some(status) = pod.status.as_ref().filter(|_| !on_host) else { return Vec::new() };
    if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        return Vec::new();
    }
    let listed = status.pod_ips.iter().flatten().map(|address| address.ip.as_str());
    let mut found: Vec<IpAddr> =
        listed.chain(status.pod_ip.as_deref()).filter_map(|address| address.parse().ok()).collect();
    found.sort_unstable();
    found.dedup();
    found
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
        let homes = Homes::default();
        let at = |ip: &str| homes.at(ip.parse().expect("an address")).map(|home| home.pod.clone());
        homes.apply(&pod("a", "10.0.0.1", "Running"));
        assert_eq!(at("10.0.0.1").as_deref(), Some("cart-a"));
        homes.apply(&pod("a", "10.0.0.1", "Succeeded"));
        assert_eq!(at("10.0.0.1"), None, "it has given it back");
        homes.apply(&pod("b", "10.0.0.1", "Running"));
        homes.remove(&pod("a", "10.0.0.1", "Succeeded"));
        assert_eq!(at("10.0.0.1").as_deref(), Some("cart-b"));
        homes.keep(&[]);
        assert_eq!((at("10.0.0.1"), homes.named("dp", "cart-b")), (None, None));
        assert_eq!(homes.of_uid("b").map(|home| home.pod.clone()).as_deref(), Some("cart-b"));
    }

    #[test]
    fn a_name_that_two_pods_have_says_nothing_without_its_namespace() {
        let homes = Homes::default();
        let mut other = pod("b", "10.0.0.2", "Running");
        other.metadata.name = Some("cart-a".into());
        other.metadata.namespace = Some("elsewhere".into());
        homes.apply(&pod("a", "10.0.0.1", "Running"));
        assert!(homes.named("", "cart-a").is_some());
        homes.apply(&other);
        assert!(homes.named("", "cart-a").is_none() && homes.named("dp", "cart-a").is_some());
    }
}
