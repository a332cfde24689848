//! What is to be done about a DaemonSet's pods.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use super::nodes::{Fit, by_node, fit};
use crate::controllers::history::HASH;
use crate::controllers::pods::{is_available, is_finished, is_ready, phase};
use crate::controllers::share::share;

/// Pods to make, by node, and pods to delete.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) create: Vec<String>,
    pub(super) delete: Vec<Arc<Pod>>,
    /// Deleted because they have ended.
    pub(super) ended: Vec<Arc<Pod>>,
    /// Some that have failed are deleted later.
    pub(super) later: bool,
}

impl Plan {
    pub(super) fn is_empty(&self) -> bool {
        self.create.is_empty() && self.delete.is_empty() && self.ended.is_empty()
    }
}

/// A pod that fails sooner than this is replaced only then: the next one may fail as fast.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What the decisions look at.
pub(super) struct View<'v> {
    pub(super) set: &'v DaemonSet,
    pub(super) nodes: &'v [Arc<Node>],
    /// All that the set controls.
    pub(super) pods: &'v [Arc<Pod>],
    /// Of the current template.
    pub(super) hash: &'v str,
    pub(super) now: Timestamp,
}

/// The pods of each node that stay, of the current template and of others.
type Pairs = BTreeMap<String, (Vec<Arc<Pod>>, Vec<Arc<Pod>>)>;

fn goes(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

impl View<'_> {
    pub(super) fn is_updated(&self, pod: &Pod) -> bool {
        pod.labels().get(HASH).is_some_and(|hash| hash == self.hash)
    }

    pub(super) fn is_available(&self, pod: &Pod) -> bool {
        is_available(pod, self.set.spec.min_ready_seconds.unwrap_or_default(), self.now)
    }

    fn is_rolling(&self) -> bool {
        let strategy = self.set.spec.update_strategy.as_ref().and_then(|s| s.type_.as_deref());
        strategy.is_none_or(|kind| kind == "RollingUpdate")
    }

    fn is_young(&self, pod: &Pod) -> bool {
        let created = pod.metadata.creation_timestamp.as_ref();
        let age = created.and_then(|at| Duration::try_from(self.now.duration_since(at.0)).ok());
        phase(pod) == "Failed" && age.is_some_and(|age| age < PATIENCE)
    }

    fn wanted(&self) -> i32 {
        self.nodes.iter().filter(|node| fit(self.set, node) == Fit::Wanted).count() as i32
    }

    /// How many nodes may have two pods during an update, and how many none.
    fn limits(&self) -> (i32, i32) {
        let rolling =
            self.set.spec.update_strategy.as_ref().and_then(|s| s.rolling_update.as_ref());
        let of = |value: Option<&IntOrString>, otherwise: i32| {
            value.map_or(otherwise, |value| share(value, self.wanted(), true))
        };
        let surge = of(rolling.and_then(|rolling| rolling.max_surge.as_ref()), 0);
        let missing = of(rolling.and_then(|rolling| rolling.max_unavailable.as_ref()), 1);
        if surge == 0 && missing == 0 { (0, 1) } else { (surge, missing) }
    }

    fn surges(&self) -> bool {
        self.is_rolling() && self.limits().0 > 0
    }

    /// Brings one pod to every node that wants one, and takes away all others.
    pub(super) fn manage(&self) -> Plan {
        let mut plan = Plan::default();
        let mut by_node = by_node(self.pods);
        for node in self.nodes {
            let pods = by_node.remove(&node.name_any()).unwrap_or_default();
            let fit = fit(self.set, node);
            if fit == Fit::Unfit {
                plan.delete.extend(pods.into_iter().filter(|pod| !goes(pod)));
                continue;
            }
            // Without surge, a pod that goes has to be gone before the next one comes.
            let absent = pods.iter().all(|pod| goes(pod) && (self.surges() || is_finished(pod)));
            let stay = pods.into_iter().filter(|pod| !goes(pod));
            let (ended, stay): (Vec<_>, Vec<_>) = stay.partition(|pod| is_finished(pod));
            let (young, ended): (Vec<_>, Vec<_>) =
                ended.into_iter().partition(|p| self.is_young(p));
            plan.later |= !young.is_empty();
            plan.ended.extend(ended);
            if absent && fit == Fit::Wanted {
                plan.create.push(node.name_any());
            }
            plan.delete.extend(self.surplus(stay));
        }
        // Their nodes are gone.
        plan.delete.extend(by_node.into_values().flatten().filter(|pod| !goes(pod)));
        plan
    }

    /// Of the pods of one node, oldest first, those that are too many.
    fn surplus(&self, pods: Vec<Arc<Pod>>) -> Vec<Arc<Pod>> {
        if !self.surges() || pods.len() <= 1 {
            return pods.into_iter().skip(1).collect();
        }
        let new = pods.iter().find(|pod| self.is_updated(pod)).cloned();
        let old = pods.iter().find(|pod| !self.is_updated(pod)).cloned();
        // Two may stay while the new one is not up and the old one still is.
        let keep_old = old.as_ref().is_some_and(|old| is_ready(old))
            && !new.as_ref().is_some_and(|new| self.is_available(new));
        let mut kept: Vec<_> = new.into_iter().collect();
        let alone = kept.is_empty();
        kept.extend(old.filter(|_| keep_old || alone));
        pods.into_iter().filter(|pod| !kept.iter().any(|kept| Arc::ptr_eq(kept, pod))).collect()
    }

    /// Replaces pods of old templates, as many at a time as the strategy says.
    pub(super) fn roll(&self) -> Plan {
        if !self.is_rolling() {
            return Plan::default();
        }
        let mut stay = by_node(self.pods);
        stay.retain(|name, _| {
            self.nodes.iter().any(|n| n.name_any() == *name && fit(self.set, n) != Fit::Unfit)
        });
        let mut pairs = Pairs::new();
        for (node, pods) in stay {
            let stay = pods.into_iter().filter(|pod| !goes(pod));
            pairs.insert(node, stay.partition(|pod| self.is_updated(pod)));
        }
        if self.surges() { self.surge(pairs) } else { self.replace(pairs) }
    }

    /// The old pod goes, and its node is without one until the new pod is up.
    fn replace(&self, pairs: Pairs) -> Plan {
        let (mut missing, mut plan, mut candidates) = (0, Plan::default(), Vec::new());
        for (new, old) in pairs.into_values() {
            match (new.as_slice(), old.as_slice()) {
                ([new], []) if self.is_available(new) => {}
                ([], [old]) if self.is_available(old) => candidates.push(old.clone()),
                ([], [old]) => {
                    missing += 1;
                    plan.delete.push(old.clone());
                }
                // On its way, or to be put in order first.
                _ => missing += 1,
            }
        }
        let budget = usize::try_from(self.limits().1 - missing).unwrap_or_default();
        plan.delete.extend(candidates.into_iter().take(budget));
        plan
    }

    /// The new pod comes beside the old one, which goes when the new one is up.
    fn surge(&self, pairs: Pairs) -> Plan {
        let (mut doubled, mut plan, mut candidates) = (0, Plan::default(), Vec::new());
        for (node, (new, old)) in pairs {
            match (new.as_slice(), old.as_slice()) {
                (_, []) => {}
                ([], [old]) if self.is_available(old) => candidates.push(node),
                ([], [_]) => plan.create.push(node),
                ([new], [old]) if self.is_available(new) => plan.delete.push(old.clone()),
                _ => doubled += 1,
            }
        }
        let budget = usize::try_from(self.limits().0 - doubled).unwrap_or_default();
        plan.create.extend(candidates.into_iter().take(budget));
        plan
    }
}

#[cfg(test)]
mod tests;
