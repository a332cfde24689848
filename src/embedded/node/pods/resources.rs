//! What a container may use, and who goes first when memory is short.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::quantity;
use crate::node::sandbox::Limits;

/// Processes a container may have: no pod field says it, and none at all would let one pod end the node.
const PIDS: u64 = 16 * 1024;

/// The limits of a container's control group.
pub(super) fn limits(container: &Container) -> Limits {
    let limit = |name| value(container, Which::Limits, name);
    let request = |name| value(container, Which::Requests, name).or_else(|| limit(name));
    Limits {
        memory: limit("memory").map(|bytes| bytes / 1000),
        cpu_millis: limit("cpu"),
        cpu_shares: Some(request("cpu").map_or(2, |cpu| (cpu * 1024 / 1000).clamp(2, 262_144))),
        pids: Some(PIDS),
    }
}

#[derive(Clone, Copy)]
pub(super) enum Which {
    Limits,
    Requests,
}

/// A resource of a container in thousandths.
pub(super) fn value(container: &Container, which: Which, name: &str) -> Option<u64> {
    let resources = container.resources.as_ref()?;
    let map = match which {
        Which::Limits => resources.limits.as_ref(),
        Which::Requests => resources.requests.as_ref(),
    };
    quantity::millis(&map?.get(name)?.0)
}

/// `Guaranteed`, `Burstable` or `BestEffort`.
pub(super) fn qos_class(spec: &PodSpec) -> &'static str {
    let known = |map: Option<&BTreeMap<String, Quantity>>, name: &str| {
        map.and_then(|map| map.get(name))
            .and_then(|quantity| quantity::millis(&quantity.0))
            .filter(|value| *value > 0)
    };
    let mut any = false;
    let mut guaranteed = true;
    for container in spec.containers.iter().chain(spec.init_containers.iter().flatten()) {
        let resources = container.resources.as_ref();
        let limits = resources.and_then(|resources| resources.limits.as_ref());
        let requests = resources.and_then(|resources| resources.requests.as_ref());
        for name in ["cpu", "memory"] {
            let limit = known(limits, name);
            let request = known(requests, name).or(limit);
            any |= limit.is_some() || request.is_some();
            guaranteed &= limit.is_some() && limit == request;
        }
    }
    match (any, guaranteed) {
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
        (false, _) => "BestEffort",
    }
}

/// `oom_score_adj` as a kubelet sets it: by class, and within Burstable by how much was asked for.
pub(super) fn oom_score_adj(pod: &Pod, container: &Container, machine_memory: u64) -> i32 {
    let Some(spec) = &pod.spec else {
        return 1000;
    };
    match qos_class(spec) {
        "Guaranteed" => -997,
        "BestEffort" => 1000,
        _ => {
            let request = value(container, Which::Requests, "memory")
                .or_else(|| value(container, Which::Limits, "memory"))
                .map_or(0, |bytes| bytes / 1000);
            let share = request.saturating_mul(1000) / machine_memory.max(1);
            i32::try_from(1000_u64.saturating_sub(share).clamp(3, 999)).unwrap_or(999)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(resources: serde_json::Value) -> PodSpec {
        serde_json::from_value(json!({"containers": [{"name": "a", "resources": resources}]}))
            .unwrap()
    }

    #[test]
    fn classes_follow_requests_and_limits() {
        let both = json!({"cpu": "1", "memory": "1Gi"});
        assert_eq!(qos_class(&spec(json!({}))), "BestEffort");
        assert_eq!(qos_class(&spec(json!({"limits": both}))), "Guaranteed");
        assert_eq!(qos_class(&spec(json!({"requests": both}))), "Burstable");
        let same = json!({"limits": both, "requests": {"cpu": "1000m", "memory": "1024Mi"}});
        assert_eq!(qos_class(&spec(same)), "Guaranteed");
        assert_eq!(qos_class(&spec(json!({"limits": {"cpu": "1"}}))), "Burstable");
    }

    #[test]
    fn limits_become_numbers() {
        let spec = spec(json!({"limits": {"memory": "64Mi", "cpu": "250m"}}));
        let limits = limits(&spec.containers[0]);
        assert_eq!(limits.memory, Some(64 << 20));
        assert_eq!(limits.cpu_millis, Some(250));
        assert_eq!(limits.cpu_shares, Some(256));
    }
}
