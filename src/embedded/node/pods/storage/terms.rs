//! What a pod has on the disk, and how much of the disk it may take. Pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, PodSpec};

use crate::node::images::Reference;
use crate::node::pods::ephemeral;
use crate::node::pods::resources::Which;
use crate::node::pods::runtime::is_sidecar;
use crate::quantity::Quantity;

/// What disks are called among resources.
pub(in crate::node::pods) const EPHEMERAL_STORAGE: &str = "ephemeral-storage";

/// The terms of one pod.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::node::pods) struct Terms {
    /// Its `emptyDir` volumes on the disk, by name, with their limits.
    pub(super) volumes: BTreeMap<String, Option<Quantity>>,
    /// Limits of its containers that have one, by name.
    pub(super) containers: BTreeMap<String, Quantity>,
    /// The limit of all of it together.
    pub(super) limit: Option<Quantity>,
    pub(super) priority: i32,
    /// What its containers that ask for any ask for, by name.
    pub(super) requests: BTreeMap<String, Quantity>,
    /// All of that together.
    pub(super) request: Option<Quantity>,
    /// What it runs from, by full reference.
    pub(in crate::node::pods) images: BTreeSet<String>,
}

/// The priority from which on nobody is evicted for what it takes: that of `system-cluster-critical`.
pub(super) const CRITICAL: i32 = 2_000_000_000;

impl Terms {
    pub(in crate::node::pods) fn of(spec: &PodSpec) -> Self {
        let volumes = spec.volumes.iter().flatten().filter_map(|volume| {
            // What is in memory is the memory's.
            let empty = volume.empty_dir.as_ref();
            let empty = empty.filter(|empty| empty.medium.as_deref() != Some("Memory"))?;
            let limit = empty.size_limit.as_ref().and_then(|limit| Quantity::parse(&limit.0));
            let limit = limit.filter(|limit| *limit > Quantity::ZERO);
            Some((volume.name.clone(), limit))
        });
        let limit = |one: &Container| value(one, Which::Limits);
        let containers = spec.containers.iter().filter_map(|one| {
            let limit = limit(one).filter(|limit| !limit.is_zero())?;
            Some((one.name.clone(), limit))
        });
        let request = |one: &Container| value(one, Which::Requests);
        let all = spec.containers.iter().chain(spec.init_containers.iter().flatten());
        Self {
            volumes: volumes.collect(),
            containers: containers.collect(),
            limit: most(spec, limit),
            priority: spec.priority.unwrap_or(0),
            requests: all.filter_map(|one| Some((one.name.clone(), request(one)?))).collect(),
            request: most(spec, request),
            images: images(spec),
        }
    }

    /// Whether it stays, whatever it takes.
    pub(super) fn is_critical(&self) -> bool {
        self.priority >= CRITICAL
    }

    /// Whether somebody has to look that it takes no more than it may.
    pub(super) fn is_limited(&self) -> bool {
        let volume = self.volumes.values().any(Option::is_some);
        volume || self.limit.is_some() || !self.containers.is_empty()
    }
}

fn images(spec: &PodSpec) -> BTreeSet<String> {
    let all = spec.containers.iter().chain(spec.init_containers.iter().flatten()).cloned();
    let own = all.chain(ephemeral::containers(spec)).filter_map(|container| container.image);
    let volumes = spec.volumes.iter().flatten().filter_map(|volume| volume.image.clone());
    let named = own.chain(volumes.filter_map(|image| image.reference));
    named.filter_map(|name| Some(name.parse::<Reference>().ok()?.to_string())).collect()
}

fn value(container: &Container, which: Which) -> Option<Quantity> {
    let resources = container.resources.as_ref()?;
    let map = match which {
        Which::Limits => resources.limits.as_ref(),
        Which::Requests => resources.requests.as_ref(),
    };
    Quantity::parse(&map?.get(EPHEMERAL_STORAGE)?.0)
}

/// The most that the containers of a pod say together at a time: all of its own with the sidecars, or one that comes first
/// with the sidecars before it. `None` if none says anything.
fn most(spec: &PodSpec, said: impl Fn(&Container) -> Option<Quantity>) -> Option<Quantity> {
    let plus = |sum: Option<Quantity>, one: Option<Quantity>| match (sum, one) {
        (Some(sum), Some(one)) => Some(sum + one),
        (sum, one) => sum.or(one),
    };
    let (mut sidecars, mut first) = (None, None);
    for container in spec.init_containers.iter().flatten() {
        let one = said(container);
        if is_sidecar(container) {
            sidecars = plus(sidecars, one);
        } else if one.is_some() {
            first = larger(first, plus(sidecars, one));
        }
    }
    let together = spec.containers.iter().map(said).fold(None, plus);
    larger(plus(together, sidecars), first)
}

fn larger(one: Option<Quantity>, other: Option<Quantity>) -> Option<Quantity> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if one >= other { one } else { other }),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn terms(spec: Value) -> Terms {
        Terms::of(&serde_json::from_value(spec).unwrap())
    }

    fn container(limit: &str) -> Value {
        match limit {
            "" => json!({"name": "none"}),
            limit => json!({"name": limit, "resources": {"limits": {"ephemeral-storage": limit}}}),
        }
    }

    #[test]
    fn only_what_is_on_the_disk_and_has_a_limit_is_limited() {
        let empty = |volume: Value| {
            terms(json!({"containers": [], "volumes": [{"name": "v", "emptyDir": volume}]}))
        };
        for (volume, limit) in [
            (json!({}), Some(None)),
            (json!({"sizeLimit": "1Mi"}), Some(Some("1Mi"))),
            (json!({"sizeLimit": "0"}), Some(None)),
            (json!({"medium": "Memory", "sizeLimit": "1Mi"}), None),
        ] {
            let terms = empty(volume.clone());
            let found = terms.volumes.get("v").map(|limit| limit.map(|limit| limit.to_string()));
            assert_eq!(found, limit.map(|limit| limit.map(str::to_owned)), "{volume}");
            assert_eq!(terms.is_limited(), limit.flatten().is_some(), "{volume}");
        }
        let terms = terms(json!({"containers": [container("1Gi"), container("")],
            "volumes": [{"name": "v", "configMap": {"name": "x"}}]}));
        assert!(terms.is_limited() && terms.volumes.is_empty());
        assert_eq!(terms.containers.keys().collect::<Vec<_>>(), ["1Gi"]);
    }

    #[test]
    fn a_pod_may_take_what_its_containers_may_at_a_time() {
        let sidecar = |limit: &str| {
            let mut sidecar = container(limit);
            sidecar["restartPolicy"] = "Always".into();
            sidecar
        };
        let all = |limits: &[&str]| limits.iter().map(|limit| container(limit)).collect::<Vec<_>>();
        for (own, init, limit) in [
            (all(&[""]), vec![], None),
            (all(&["1Gi", ""]), vec![], Some("1Gi")),
            (all(&["1Gi", "1Gi"]), all(&["1536Mi"]), Some("2Gi")),
            (all(&["1Gi"]), all(&["3Gi"]), Some("3Gi")),
            (all(&[""]), all(&["3Gi"]), Some("3Gi")),
            (all(&["1Gi"]), vec![sidecar("1Gi"), container("2Gi")], Some("3Gi")),
            (all(&["1Gi"]), vec![container("2Gi"), sidecar("2Gi")], Some("3Gi")),
        ] {
            let terms = terms(json!({"containers": own, "initContainers": init}));
            let found = terms.limit.map(|limit| limit.to_string());
            assert_eq!(found.as_deref(), limit, "{own:?} {init:?}");
        }
    }
}
