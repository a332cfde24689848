//! What is known of a pod: what it is part of, what it may use, and where it is.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt;

use crate::owner::Owner;

/// Tells what part of the platform a pod is.
pub(in super::super) const SYSTEM: &str = "openchoreo.dev/system-component";

/// What a pod is part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Part {
    Component(Owner),
    /// A gateway, by its name.
    Gateway(String),
}

/// Where a pod tells what it measures itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Page {
    pub(in super::super) url: String,
}

/// A pod.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Known {
    pub(in super::super) part: Part,
    pub(in super::super) namespace: String,
    pub(in super::super) name: String,
    pub(in super::super) uid: String,
    pub(in super::super) node: String,
    /// It has not ended.
    pub(in super::super) alive: bool,
    pub(in super::super) ready: bool,
    pub(in super::super) restarts: i32,
    /// Cores.
    pub(in super::super) cpu: Bounds,
    /// Bytes.
    pub(in super::super) memory: Bounds,
    pub(in super::super) page: Option<Page>,
    /// Those that are its alone.
    pub(super) addresses: Vec<IpAddr>,
}

impl Known {
    /// The component that it is of, if it is of one.
    pub(in super::super) fn owner(&self) -> Option<&Owner> {
        match &self.part {
            Part::Component(owner) => Some(owner),
            Part::Gateway(_) => None,
        }
    }
}

/// What is requested, and the limit, where every container has one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in super::super) struct Bounds {
    pub(in super::super) request: Option<f64>,
    pub(in super::super) limit: Option<f64>,
}

/// What is known of a pod of a component or a gateway; `None` for others.
pub(super) fn known(pod: &Pod) -> Option<Known> {
    let owner = Owner::of(pod.labels());
    let part = if !owner.component.is_empty() {
        Part::Component(owner)
    } else if pod.labels().get(SYSTEM).is_some_and(|part| part == "gateway") {
        let name = pod.labels().get("app.kubernetes.io/name").cloned();
        Part::Gateway(name.unwrap_or_else(|| pod.name_any()))
    } else {
        return None;
    };
    let empty = PodSpec::default();
    let (spec, status) =
        (pod.spec.as_ref().unwrap_or(&empty), pod.status.clone().unwrap_or_default());
    let sidecar = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
    let sidecars = spec.init_containers.iter().flatten().filter(sidecar);
    let containers: Vec<&Container> = spec.containers.iter().chain(sidecars).collect();
    let statuses = || status.container_statuses.iter().flatten();
    let conditions = status.conditions.iter().flatten();
    let mut ready = conditions.filter(|one| one.type_ == "Ready").map(|one| one.status == "True");
    let alive = !matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    Some(Known {
        part,
        namespace: pod.namespace().unwrap_or_default(),
        name: pod.name_any(),
        uid: pod.uid().unwrap_or_default(),
        node: spec.node_name.clone().unwrap_or_default(),
        alive: alive && pod.metadata.deletion_timestamp.is_none(),
        ready: ready.next().unwrap_or_else(|| statuses().all(|status| status.ready)),
        restarts: statuses().map(|status| status.restart_count).sum(),
        cpu: bounds(&containers, "cpu"),
        memory: bounds(&containers, "memory"),
        page: page(pod, status.pod_ip.as_deref()),
        addresses: addresses(pod),
    })
}

fn bounds(containers: &[&Container], resource: &str) -> Bounds {
    let of = |container: &&Container| container.resources.clone().unwrap_or_default();
    let amount = |found: Option<&Quantity>| found.and_then(|found| quantity(&found.0));
    let limit =
        |all: &ResourceRequirements| amount(all.limits.as_ref().and_then(|all| all.get(resource)));
    // What is limited and not requested is requested as far as its limit.
    let request = |all: &ResourceRequirements| {
        amount(all.requests.as_ref().and_then(|all| all.get(resource))).or_else(|| limit(all))
    };
    let all: Vec<ResourceRequirements> = containers.iter().map(of).collect();
    let requests: Vec<f64> = all.iter().filter_map(request).collect();
    Bounds {
        request: (!requests.is_empty()).then(|| requests.iter().sum()),
        limit: all.iter().map(limit).sum(),
    }
}

/// `250m`, `1.5`, `64Mi`, `1e3`. `None` for what is none.
fn quantity(text: &str) -> Option<f64> {
    let end =
        text.find(|c: char| c.is_ascii_alphabetic() && !matches!(c, 'e')).unwrap_or(text.len());
    let (number, suffix) = match text.find('E') {
        Some(at) if at + 1 < text.len() && !text.ends_with("Ei") => (text, ""),
        _ => text.split_at(end),
    };
    let scale = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * scale)
}

/// As the annotations of Prometheus say. Only of the pod itself, wherever they point.
fn page(pod: &Pod, ip: Option<&str>) -> Option<Page> {
    let annotation = |name: &str| pod.annotations().get(&format!("prometheus.io/{name}"));
    if annotation("scrape").map(String::as_str) != Some("true") {
        return None;
    }
    let ip: IpAddr = ip?.parse().ok()?;
    let ports = pod
        .spec
        .iter()
        .flat_map(|spec| &spec.containers)
        .flat_map(|one| one.ports.iter().flatten());
    let port = match annotation("port") {
        Some(port) => port.parse().ok()?,
        None => u16::try_from(ports.map(|port| port.container_port).next()?).ok()?,
    };
    let path = annotation("path").map_or("/metrics", String::as_str);
    let slash = if path.starts_with('/') { "" } else { "/" };
    Some(Page { url: format!("http://{}{slash}{path}", std::net::SocketAddr::new(ip, port)) })
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

    #[test]
    fn quantities_of_all_kinds() {
        let cases = [
            ("250m", 0.25),
            ("1.5", 1.5),
            ("64Mi", 67_108_864.0),
            ("1e3", 1000.0),
            ("1E3", 1000.0),
            ("2k", 2000.0),
            ("1Ei", 1024f64.powi(6)),
            ("1E", 1e18),
            ("100n", 1e-7),
        ];
        for (text, wanted) in cases {
            let found = quantity(text).expect(text);
            assert!((found / wanted - 1.0).abs() < 1e-12, "{text}: {found}");
        }
        assert_eq!((quantity("much"), quantity("1mm"), quantity("")), (None, None, None));
    }

    #[test]
    fn a_pod_is_bounded_where_all_its_containers_are() {
        let pod = |second: serde_json::Value| {
            let first = json!({"name": "a", "ports": [{"containerPort": 8080}],
                "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m"}}});
            let pod = json!({"metadata": {"name": "cart-1", "namespace": "dp", "labels": {"openchoreo.dev/component": "cart"},
                    "annotations": {"prometheus.io/scrape": "true", "prometheus.io/path": "stats"}},
                "spec": {"containers": [first, second]}, "status": {"podIP": "10.0.0.1"}});
            known(&serde_json::from_value(pod).expect("a Pod")).expect("known")
        };
        let limits = json!({"name": "b", "resources": {"limits": {"cpu": "500m"}}});
        let found = pod(limits);
        assert_eq!(found.cpu, Bounds { request: Some(0.6), limit: Some(1.5) });
        assert_eq!(found.memory, Bounds { request: Some(1024f64.powi(3)), limit: None });
        assert_eq!(found.page.expect("a page").url, "http://10.0.0.1:8080/stats");
        assert_eq!(pod(json!({"name": "b"})).cpu, Bounds { request: Some(0.1), limit: None });
    }
}
