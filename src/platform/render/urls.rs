//! Where a component's endpoints answer, read off the rendered objects.

use super::objects::text;
use crate::types::{
    EndpointStatus, EndpointType, EndpointUrl, EndpointUrls, GatewayEndpoint, GatewaySpec,
    WorkloadEndpoint, WorkloadTemplate, labels,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The addresses of every endpoint that has a route or a Service: those with a route first, each
/// part by name.
///
/// `environment` is the Environment's own gateway; it replaces the data plane's as a whole if it
/// has an ingress.
pub fn endpoint_urls(
    manifests: &[Value],
    workload: &WorkloadTemplate,
    environment: Option<&GatewaySpec>,
    data_plane: Option<&GatewaySpec>,
) -> Vec<EndpointStatus> {
    let gateway = environment.filter(|gateway| gateway.ingress.is_some()).or(data_plane);
    let service = service(manifests, workload);
    let mut routed: BTreeMap<&str, EndpointStatus> = BTreeMap::new();
    for manifest in manifests {
        let Some(route) = Route::of(manifest) else { continue };
        let Some((name, endpoint)) = workload.endpoints.get_key_value(route.endpoint) else {
            continue;
        };
        if !route.serves(endpoint.r#type) {
            continue;
        }
        let status = routed.entry(name).or_insert_with(|| entry(name, endpoint));
        let ingress = gateway.and_then(|gateway| gateway.ingress.as_ref());
        let (level, bucket) = if route.external {
            (ingress.and_then(|i| i.external.as_ref()), &mut status.external_urls)
        } else {
            (ingress.and_then(|i| i.internal.as_ref()), &mut status.internal_urls)
        };
        if let Some(urls) = level.and_then(|level| route.urls(level, endpoint.r#type)) {
            *bucket = Some(urls);
        }
    }
    let mut entries = Vec::new();
    let names: BTreeSet<&str> = routed.keys().copied().collect();
    for (name, mut status) in routed {
        status.service_url = service_url(service, &workload.endpoints[name]);
        entries.push(status);
    }
    for (name, endpoint) in &workload.endpoints {
        if names.contains(name.as_str()) {
            continue;
        }
        if let Some(url) = service_url(service, endpoint) {
            entries.push(EndpointStatus { service_url: Some(url), ..entry(name, endpoint) });
        }
    }
    entries
}

fn entry(name: &str, endpoint: &WorkloadEndpoint) -> EndpointStatus {
    EndpointStatus {
        name: name.to_owned(),
        r#type: Some(endpoint.r#type.as_str().to_owned()),
        ..EndpointStatus::default()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum RouteKind {
    Http,
    Grpc,
    Tls,
}

/// A rendered route that names the endpoint it serves.
struct Route<'m> {
    kind: RouteKind,
    endpoint: &'m str,
    external: bool,
    host: &'m str,
    path: Option<&'m str>,
}

impl<'m> Route<'m> {
    fn of(manifest: &'m Value) -> Option<Route<'m>> {
        text(manifest, "/apiVersion").strip_prefix("gateway.networking.k8s.io/")?;
        let kind = match text(manifest, "/kind") {
            "HTTPRoute" => RouteKind::Http,
            "GRPCRoute" => RouteKind::Grpc,
            "TLSRoute" => RouteKind::Tls,
            _ => return None,
        };
        let label = |name: &str| manifest["metadata"]["labels"][name].as_str();
        let annotated = manifest["metadata"]["annotations"][labels::ENDPOINT_BASE_PATH].as_str();
        let first_path = match kind {
            RouteKind::Http => {
                manifest.pointer("/spec/rules/0/matches/0/path/value").and_then(Value::as_str)
            }
            RouteKind::Grpc | RouteKind::Tls => None,
        };
        Some(Route {
            kind,
            endpoint: label(labels::ENDPOINT_NAME)?,
            external: label(labels::ENDPOINT_VISIBILITY) == Some("external"),
            host: text(manifest, "/spec/hostnames/0"),
            path: annotated.or(first_path),
        })
    }

    fn serves(&self, endpoint: EndpointType) -> bool {
        use EndpointType as E;
        match self.kind {
            RouteKind::Http => matches!(endpoint, E::Http | E::GraphQl | E::Websocket | E::Grpc),
            RouteKind::Grpc => endpoint == E::Grpc,
            RouteKind::Tls => endpoint != E::Udp,
        }
    }

    fn urls(&self, gateway: &GatewayEndpoint, endpoint: EndpointType) -> Option<EndpointUrls> {
        if self.host.is_empty() {
            return None;
        }
        let url = |scheme: &str, port: i32| EndpointUrl {
            scheme: (!scheme.is_empty()).then(|| scheme.to_owned()),
            host: self.host.to_owned(),
            port: Some(port),
            path: self.path.map(str::to_owned),
        };
        let (plain, secure) = match endpoint {
            EndpointType::Http | EndpointType::GraphQl => ("http", "https"),
            EndpointType::Websocket => ("ws", "wss"),
            EndpointType::Grpc => ("grpc", "grpcs"),
            EndpointType::Tcp | EndpointType::Udp => ("", "tls"),
        };
        let listener = |listener: &Option<crate::types::GatewayListener>, scheme: &str| {
            listener.as_ref().map(|listener| url(scheme, listener.port))
        };
        Some(match self.kind {
            RouteKind::Tls => {
                EndpointUrls { tls: listener(&gateway.tls, secure), ..EndpointUrls::default() }
            }
            RouteKind::Http | RouteKind::Grpc => EndpointUrls {
                http: listener(&gateway.http, plain),
                https: listener(&gateway.https, secure),
                tls: None,
            },
        })
    }
}

/// The rendered Service that exposes the most of the endpoints' ports; the first of equals.
fn service<'m>(manifests: &'m [Value], workload: &WorkloadTemplate) -> Option<&'m Value> {
    let wanted: BTreeSet<i64> =
        workload.endpoints.values().map(|endpoint| i64::from(endpoint.port)).collect();
    let exposed = |service: &Value| ports(service).filter(|port| wanted.contains(port)).count();
    let mut best: Option<(&Value, usize)> = None;
    for manifest in manifests {
        if text(manifest, "/apiVersion") == "v1" && text(manifest, "/kind") == "Service" {
            let count = exposed(manifest);
            if best.is_none_or(|(_, most)| count > most) {
                best = Some((manifest, count));
            }
        }
    }
    best.map(|(service, _)| service)
}

fn ports(service: &Value) -> impl Iterator<Item = i64> {
    service["spec"]["ports"].as_array().into_iter().flatten().filter_map(|p| p["port"].as_i64())
}

fn service_url(service: Option<&Value>, endpoint: &WorkloadEndpoint) -> Option<EndpointUrl> {
    let service = service?;
    ports(service).find(|port| *port == i64::from(endpoint.port))?;
    let scheme = match endpoint.r#type {
        EndpointType::Http | EndpointType::GraphQl => "http",
        EndpointType::Websocket => "ws",
        EndpointType::Grpc => "grpc",
        EndpointType::Tcp => "tcp",
        EndpointType::Udp => "udp",
    };
    let (name, namespace) = (text(service, "/metadata/name"), text(service, "/metadata/namespace"));
    Some(EndpointUrl {
        scheme: Some(scheme.to_owned()),
        host: format!("{name}.{namespace}.svc.cluster.local"),
        port: Some(endpoint.port),
        path: endpoint.base_path.clone().filter(|path| !path.is_empty()),
    })
}
