//! The variables that templates see.

use super::configurations::Configurations;
use super::connections;
use super::input::Input;
use super::operations;
use crate::types::{
    EndpointType, GatewayNetwork, GatewaySpec, Visibility, WorkloadEndpoint, WorkloadTemplate,
};
use curtain_template::{Engine, dialect};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// The engine of component types and traits: the template dialect with the context macros.
pub(super) fn engine() -> Engine {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
        let mut dialect = dialect();
        for (receiver, method, list) in MACROS {
            dialect = dialect.alias(receiver, method, &["derived", list]);
        }
        let list = &["derived", "endpointResources"];
        dialect = dialect.keyed_alias("workload", operations::METHOD, list);
        Engine::new(dialect.build())
    });
    ENGINE.clone()
}

const MACROS: &[(&str, &str, &str)] = &[
    ("configurations", "toConfigFileList", "configFiles"),
    ("configurations", "toSecretFileList", "secretFiles"),
    ("configurations", "toContainerEnvFrom", "envFrom"),
    ("configurations", "toConfigEnvsByContainer", "configEnvs"),
    ("configurations", "toSecretEnvsByContainer", "secretEnvs"),
    ("configurations", "toContainerVolumeMounts", "volumeMounts"),
    ("configurations", "toVolumes", "volumes"),
    ("workload", "toServicePorts", "servicePorts"),
    ("dependencies", "toContainerEnvs", "dependencyEnvs"),
    ("dependencies", "toContainerVolumeMounts", "dependencyVolumeMounts"),
    ("dependencies", "toVolumes", "dependencyVolumes"),
];

/// The variables that every template may use; `gateway` only exists when there is one.
pub(super) const DECLARED: &[&str] = &[
    "metadata",
    "dataplane",
    "environment",
    "gateway",
    "parameters",
    "environmentConfigs",
    "workload",
    "configurations",
    "dependencies",
    "derived",
];

/// The context of a component, without `parameters` and `environmentConfigs`.
pub(super) fn context(
    input: &Input<'_>,
    workload: &WorkloadTemplate,
    configurations: &Configurations,
) -> Map<String, Value> {
    let mut derived = Map::new();
    configurations.derive(&mut derived);
    derived.insert("servicePorts".to_owned(), service_ports(&workload.endpoints));
    derived.insert("endpointResources".to_owned(), operations::all(input.release, workload));
    let dependencies = dependencies(input, &mut derived);

    let gateway = merged_gateway(input.data_plane.gateway, input.environment.gateway);
    let mut context = Map::new();
    context.insert("metadata".to_owned(), metadata(input));
    context.insert("dataplane".to_owned(), data_plane(input));
    context.insert("environment".to_owned(), environment(input, gateway.as_ref()));
    if let Some(gateway) = gateway {
        context.insert("gateway".to_owned(), gateway);
    }
    context.insert("workload".to_owned(), self::workload(workload));
    context.insert("configurations".to_owned(), configurations.context());
    context.insert("dependencies".to_owned(), dependencies);
    context.insert("derived".to_owned(), Value::Object(derived));
    context
}

fn metadata(input: &Input<'_>) -> Value {
    let metadata = input.metadata;
    json!({
        "name": metadata.name(),
        "namespace": metadata.cell(),
        "componentNamespace": metadata.namespace,
        "componentName": metadata.component.name,
        "componentUID": metadata.component.uid,
        "projectName": metadata.project.name,
        "projectUID": metadata.project.uid,
        "environmentName": metadata.environment.name,
        "environmentUID": metadata.environment.uid,
        "dataPlaneName": metadata.data_plane.name,
        "dataPlaneUID": metadata.data_plane.uid,
        "labels": metadata.labels(),
        "annotations": {},
        "podSelectors": metadata.labels(),
    })
}

fn data_plane(input: &Input<'_>) -> Value {
    let plane = &input.data_plane;
    let mut map = Map::new();
    if let Some(store) = plane.secret_store {
        map.insert("secretStore".to_owned(), json!(store));
    }
    if let Some(gateway) = plane.gateway {
        map.insert("gateway".to_owned(), json!(gateway));
    }
    if let Some(plane) = &plane.observability_plane_ref {
        let reference = json!({"kind": plane.kind, "name": plane.name});
        map.insert("observabilityPlaneRef".to_owned(), reference);
    }
    if !plane.annotations.is_empty() {
        map.insert("annotations".to_owned(), json!(plane.annotations));
    }
    Value::Object(map)
}

fn environment(input: &Input<'_>, gateway: Option<&Value>) -> Value {
    let mut map = Map::new();
    if let Some(gateway) = gateway {
        map.insert("gateway".to_owned(), gateway.clone());
    }
    if let Some(channel) = input.environment.default_notification_channel {
        map.insert("defaultNotificationChannel".to_owned(), json!(channel));
    }
    Value::Object(map)
}

/// The plane's gateways with the environment's in place of those it sets, level by level.
fn merged_gateway(plane: Option<&GatewaySpec>, environment: Option<&GatewaySpec>) -> Option<Value> {
    let level = |plane: Option<&GatewayNetwork>, own: Option<&GatewayNetwork>| {
        let merged = GatewayNetwork {
            external: own
                .and_then(|own| own.external.clone())
                .or_else(|| plane.and_then(|plane| plane.external.clone())),
            internal: own
                .and_then(|own| own.internal.clone())
                .or_else(|| plane.and_then(|plane| plane.internal.clone())),
        };
        (merged != GatewayNetwork::default()).then_some(merged)
    };
    let merged = GatewaySpec {
        ingress: level(
            plane.and_then(|gateway| gateway.ingress.as_ref()),
            environment.and_then(|gateway| gateway.ingress.as_ref()),
        ),
        egress: level(
            plane.and_then(|gateway| gateway.egress.as_ref()),
            environment.and_then(|gateway| gateway.egress.as_ref()),
        ),
    };
    (merged != GatewaySpec::default()).then(|| json!(merged))
}

fn workload(workload: &WorkloadTemplate) -> Value {
    let container = &workload.container;
    let mut map = Map::new();
    if !container.image.is_empty() {
        map.insert("image".to_owned(), json!(container.image));
    }
    for (name, list) in [("command", &container.command), ("args", &container.args)] {
        if !list.is_empty() {
            map.insert(name.to_owned(), json!(list));
        }
    }
    let endpoints: Map<String, Value> = workload
        .endpoints
        .iter()
        .map(|(name, endpoint)| (name.clone(), self::endpoint(endpoint)))
        .collect();
    json!({"container": map, "endpoints": endpoints})
}

fn endpoint(endpoint: &WorkloadEndpoint) -> Value {
    let mut visibility = vec![Visibility::Project];
    for level in &endpoint.visibility {
        if !visibility.contains(level) {
            visibility.push(*level);
        }
    }
    let mut map = Map::new();
    for (name, text) in [("displayName", &endpoint.display_name), ("basePath", &endpoint.base_path)]
    {
        if let Some(text) = text.as_deref().filter(|text| !text.is_empty()) {
            map.insert(name.to_owned(), json!(text));
        }
    }
    map.insert("port".to_owned(), json!(endpoint.port));
    map.insert("targetPort".to_owned(), json!(endpoint.container_port()));
    map.insert("type".to_owned(), json!(endpoint.r#type));
    map.insert("visibility".to_owned(), json!(visibility));
    Value::Object(map)
}

/// `workload.toServicePorts()`: one per port and protocol, with a valid and unique name.
fn service_ports(endpoints: &BTreeMap<String, WorkloadEndpoint>) -> Value {
    let mut ports = Vec::new();
    let mut seen = BTreeSet::new();
    let mut names = BTreeSet::new();
    for (name, endpoint) in endpoints {
        let protocol = if endpoint.r#type == EndpointType::Udp { "UDP" } else { "TCP" };
        if !seen.insert((endpoint.port, protocol)) {
            continue;
        }
        let name = port_name(name, ports.len() + 1, &mut names);
        ports.push(json!({
            "name": name,
            "port": endpoint.port,
            "targetPort": endpoint.container_port(),
            "protocol": protocol,
        }));
    }
    Value::Array(ports)
}

const MAX_PORT_NAME: usize = 15;

fn port_name(endpoint: &str, number: usize, taken: &mut BTreeSet<String>) -> String {
    let kept: String = endpoint
        .to_lowercase()
        .replace('_', "-")
        .chars()
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-')
        .collect();
    let cut = |name: &str, length: usize| -> String {
        name.chars().take(length).collect::<String>().trim_matches('-').to_owned()
    };
    let mut name = cut(kept.trim_matches('-'), MAX_PORT_NAME);
    if name.is_empty() {
        name = format!("port-{number}");
    }
    let mut unique = name.clone();
    let mut count = 2;
    while !taken.insert(unique.clone()) {
        let suffix = format!("-{count}");
        unique = cut(&name, MAX_PORT_NAME - suffix.len()) + &suffix;
        count += 1;
    }
    unique
}

fn dependencies(input: &Input<'_>, derived: &mut Map<String, Value>) -> Value {
    let items: Vec<Value> = input.connections.iter().map(connections::item).collect();
    let mut envs: Vec<Value> =
        items.iter().filter_map(|item| item["envVars"].as_array()).flatten().cloned().collect();
    let (mut mounts, mut volumes) = (Vec::new(), Vec::new());
    let mut resources = Vec::new();
    let mut volume_names = BTreeSet::new();
    for resource in input.resources {
        envs.extend(resource.env_vars.iter().cloned());
        mounts.extend(resource.volume_mounts.iter().cloned());
        let new = |volume: &&Value| volume_names.insert(volume["name"].to_string());
        volumes.extend(resource.volumes.iter().filter(new).cloned());
        resources.push(json!({
            "ref": resource.reference,
            "envVars": resource.env_vars,
            "volumeMounts": resource.volume_mounts,
            "volumes": resource.volumes,
        }));
    }
    for (name, list) in [
        ("dependencyEnvs", &envs),
        ("dependencyVolumeMounts", &mounts),
        ("dependencyVolumes", &volumes),
    ] {
        derived.insert(name.to_owned(), json!(list));
    }
    json!({
        "items": items,
        "resources": resources,
        "envVars": envs,
        "volumeMounts": mounts,
        "volumes": volumes,
    })
}
