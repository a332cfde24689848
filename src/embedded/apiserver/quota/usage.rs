//! What an object counts for in quotas.

use serde_json::Value;

use super::super::amounts::{Amounts, add, amounts, of_pod};
use super::super::kinds::ValueExt;
use crate::quantity::Quantity;

const PODS: &str = "/pods";
const SERVICES: &str = "/services";
const CLAIMS: &str = "/persistentvolumeclaims";
/// Kinds that are counted by their plural, too.
const COUNTED: [&str; 7] = [
    CLAIMS,
    "/configmaps",
    "/replicationcontrollers",
    "/resourcequotas",
    "/secrets",
    SERVICES,
    PODS,
];
/// Resources that every container must say something about where a quota has them.
const SAID: [&str; 6] =
    ["cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory"];

/// The table whose objects count for a resource of a quota.
pub(super) fn table(resource: &str) -> String {
    if let Some(counted) = resource.strip_prefix("count/") {
        let (plural, group) = counted.split_once('.').unwrap_or((counted, ""));
        return format!("{group}/{plural}");
    }
    if resource.starts_with("services.") {
        return SERVICES.into();
    }
    if resource == "requests.storage" || resource.contains(".storageclass.storage.k8s.io/") {
        return CLAIMS.into();
    }
    let plural = format!("/{resource}");
    if COUNTED.contains(&plural.as_str()) { plural } else { PODS.into() }
}

/// What an object of a table counts for.
pub(super) fn usage(table: &str, object: &Value) -> Amounts {
    let (group, plural) = table.split_once('/').unwrap_or(("", table));
    let counted = if group.is_empty() {
        format!("count/{plural}")
    } else {
        format!("count/{plural}.{group}")
    };
    let one = Quantity::count(1);
    let mut all = Amounts::from([(counted, one)]);
    if table == PODS {
        add(&mut all, &of_running(object));
    } else if COUNTED.contains(&table) {
        all.insert(plural.into(), one);
    }
    match table {
        SERVICES => add(&mut all, &of_service(object)),
        CLAIMS => add(&mut all, &of_claim(object)),
        _ => {}
    }
    all
}

/// Pods that have ended use nothing.
fn of_running(pod: &Value) -> Amounts {
    if matches!(pod.text(&["status", "phase"]), "Succeeded" | "Failed") {
        return Amounts::new();
    }
    let mut all = Amounts::from([("pods".to_owned(), Quantity::count(1))]);
    for (name, amount) in of_pod(pod, "requests") {
        let plain = matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage")
            || name.starts_with("hugepages-");
        all.insert(format!("requests.{name}"), amount);
        if plain {
            all.insert(name, amount);
        }
    }
    for (name, amount) in of_pod(pod, "limits") {
        all.insert(format!("limits.{name}"), amount);
    }
    all
}

fn of_service(service: &Value) -> Amounts {
    let ports = service.list(&["spec", "ports"]);
    let of_nodes = |port: &&Value| port.int(&["nodePort"]).is_some_and(|port| port != 0);
    let (balancers, node_ports) = match service.text(&["spec", "type"]) {
        "NodePort" => (0, ports.len()),
        "LoadBalancer" if service["spec"]["allocateLoadBalancerNodePorts"] == false => {
            (1, ports.iter().filter(of_nodes).count())
        }
        "LoadBalancer" => (1, ports.len()),
        _ => (0, 0),
    };
    Amounts::from([
        ("services.loadbalancers".to_owned(), Quantity::count(balancers)),
        ("services.nodeports".to_owned(), Quantity::count(node_ports)),
    ])
}

fn of_claim(claim: &Value) -> Amounts {
    let mut all = Amounts::new();
    let storage = amounts(claim.at(&["spec", "resources", "requests"])).get("storage").copied();
    let class = claim.text(&["spec", "storageClassName"]);
    let of_class = |what: &str| format!("{class}.storageclass.storage.k8s.io/{what}");
    if !class.is_empty() {
        all.insert(of_class("persistentvolumeclaims"), Quantity::count(1));
    }
    if let Some(storage) = storage {
        all.insert("requests.storage".into(), storage);
        if !class.is_empty() {
            all.insert(of_class("requests.storage"), storage);
        }
    }
    all
}

/// What containers of a new pod leave unsaid although the quota has it; in words.
pub(super) fn unsaid(pod: &Value, hard: &Amounts) -> Option<String> {
    let mut missing = Vec::new();
    for resource in SAID.iter().filter(|resource| hard.contains_key(**resource)) {
        let (side, name) = resource.split_once('.').unwrap_or(("requests", resource));
        let mut without: Vec<_> = ["containers", "initContainers"]
            .iter()
            .flat_map(|field| pod.list(&["spec", field]))
            .filter(|container| container.at(&["resources", side, name]).is_none())
            .map(|container| container.text(&["name"]))
            .collect();
        without.sort_unstable();
        if !without.is_empty() {
            missing.push(format!("{resource} for: {}", without.join(",")));
        }
    }
    (!missing.is_empty()).then(|| format!("must specify {}", missing.join("; ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(table: &str, object: Value) -> String {
        let all = usage(table, &object).into_iter();
        all.map(|(name, amount)| format!("{name}={amount}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn objects_count_for_what_they_are_and_what_they_ask_for() {
        let resources = json!({"requests": {"cpu": "100m", "memory": "1Mi", "a.com/gpu": "2"}, "limits": {"cpu": "1"}});
        let pod = |phase: &str| json!({"spec": {"containers": [{"resources": resources}]}, "status": {"phase": phase}});
        assert_eq!(
            told(PODS, pod("Running")),
            "count/pods=1 cpu=100m limits.cpu=1 memory=1Mi pods=1 requests.a.com/gpu=2 requests.cpu=100m requests.memory=1Mi"
        );
        assert_eq!(told(PODS, pod("Failed")), "count/pods=1");
        assert_eq!(told("/configmaps", json!({})), "configmaps=1 count/configmaps=1");
        assert_eq!(told("apps/deployments", json!({})), "count/deployments.apps=1");
        let service = json!({"spec": {"type": "NodePort", "ports": [{}, {}]}});
        assert_eq!(
            told(SERVICES, service),
            "count/services=1 services=1 services.loadbalancers=0 services.nodeports=2"
        );
        let claim = json!({"spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "1Gi"}}}});
        assert_eq!(
            told(CLAIMS, claim),
            "count/persistentvolumeclaims=1 fast.storageclass.storage.k8s.io/persistentvolumeclaims=1 fast.storageclass.storage.k8s.io/requests.storage=1Gi persistentvolumeclaims=1 requests.storage=1Gi"
        );
    }

    #[test]
    fn resources_are_counted_where_they_come_from() {
        for (resource, expected) in [
            ("pods", PODS),
            ("requests.cpu", PODS),
            ("requests.a.com/gpu", PODS),
            ("secrets", "/secrets"),
            ("services.nodeports", SERVICES),
            ("requests.storage", CLAIMS),
            ("fast.storageclass.storage.k8s.io/requests.storage", CLAIMS),
            ("count/deployments.apps", "apps/deployments"),
            ("count/widgets.a.com", "a.com/widgets"),
            ("count/pods", PODS),
        ] {
            assert_eq!(table(resource), expected, "{resource}");
        }
    }

    #[test]
    fn every_container_must_say_what_the_quota_has() {
        let hard =
            amounts(Some(&json!({"limits.memory": "1Gi", "requests.cpu": "1", "pods": "3"})));
        let pod = json!({"spec": {"containers": [{"name": "b"},
            {"name": "a", "resources": {"limits": {"memory": "1"}}}]}});
        assert_eq!(
            unsaid(&pod, &hard).as_deref(),
            Some("must specify limits.memory for: b; requests.cpu for: a,b")
        );
        assert_eq!(unsaid(&pod, &Amounts::new()), None);
    }
}
