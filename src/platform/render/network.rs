//! Cell isolation: who may reach a component's pods.

use super::input::Metadata;
use crate::types::{EndpointType, Visibility, WorkloadEndpoint, WorkloadTemplate, labels};
use curtain_template::{MAX_NAME, name_gen};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The NetworkPolicy of a component, for ingress only: the pods of the cell reach every endpoint,
/// the cells of the same namespace and environment those of `namespace` visibility, gateways
/// those of `internal` or `external`. Without endpoints nobody reaches it.
///
/// Ports are those the pods listen on, which is what a NetworkPolicy is about.
pub fn network_policies(metadata: &Metadata, workload: &WorkloadTemplate) -> Vec<Value> {
    let mut rules = Vec::new();
    let everyone = ports(workload, |_| true);
    if !everyone.is_empty() {
        rules.push(json!({"from": [{"podSelector": {}}], "ports": everyone}));
    }
    let namespace = ports(workload, |endpoint| allows(endpoint, &[Visibility::Namespace]));
    if !namespace.is_empty() {
        let selector = json!({
            labels::NAMESPACE: metadata.namespace,
            labels::ENVIRONMENT: metadata.environment.name,
        });
        rules.push(json!({
            "from": [{"namespaceSelector": {"matchLabels": selector}}],
            "ports": namespace,
        }));
    }
    let gateways =
        ports(workload, |endpoint| allows(endpoint, &[Visibility::Internal, Visibility::External]));
    if !gateways.is_empty() {
        let system = json!([{"key": labels::SYSTEM_COMPONENT, "operator": "Exists"}]);
        rules.push(json!({
            "from": [{"namespaceSelector": {}, "podSelector": {"matchExpressions": system}}],
            "ports": gateways,
        }));
    }
    let mut spec = json!({
        "podSelector": {"matchLabels": metadata.labels()},
        "policyTypes": ["Ingress"],
    });
    if !rules.is_empty() {
        spec["ingress"] = Value::Array(rules);
    }
    vec![json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name(&metadata.component.name), "namespace": metadata.cell()},
        "spec": spec,
    })]
}

fn name(component: &str) -> String {
    let name = format!("openchoreo-{component}");
    if name.len() <= MAX_NAME { name } else { name_gen(MAX_NAME, &["openchoreo", component]) }
}

fn allows(endpoint: &WorkloadEndpoint, levels: &[Visibility]) -> bool {
    endpoint.visibility.iter().any(|visibility| levels.contains(visibility))
}

/// The ports of some endpoints, in the order of their names, each once.
fn ports(workload: &WorkloadTemplate, of: impl Fn(&WorkloadEndpoint) -> bool) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    workload
        .endpoints
        .values()
        .filter(|endpoint| of(endpoint))
        .filter_map(|endpoint| {
            let protocol = if endpoint.r#type == EndpointType::Udp { "UDP" } else { "TCP" };
            let port = endpoint.container_port();
            seen.insert((port, protocol)).then(|| json!({"port": port, "protocol": protocol}))
        })
        .collect()
}
