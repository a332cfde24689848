//! What a Service's endpoints are: pure functions of the Service and its pods.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    EndpointAddress, EndpointPort as CorePort, EndpointSubset, ObjectReference, Pod, Service,
    ServicePort,
};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use crate::controllers::pods::{is_finished, is_ready};

/// At most this many endpoints in one slice.
const SLICE: usize = 100;
/// More addresses than this are not listed in the older Endpoints.
const MAX_ADDRESSES: usize = 1000;

/// One slice as it should be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slice {
    pub(super) ports: Vec<EndpointPort>,
    pub(super) endpoints: Vec<Endpoint>,
}

/// The slices of a Service: one port set each, sorted, at least one (maybe empty).
pub(super) fn slices(service: &Service, pods: &[Arc<Pod>]) -> Vec<Slice> {
    let mut groups: BTreeMap<String, Slice> = BTreeMap::new();
    for pod in sorted(pods) {
        let Some(address) = address(pod) else { continue };
        let ports: Vec<EndpointPort> =
            resolved(service, pod).map(|(port, number)| slice_port(port, number)).collect();
        let key =
            ports.iter().map(|p| format!("{:?}/{:?}/{:?};", p.name, p.protocol, p.port)).collect();
        let group = groups.entry(key).or_insert_with(|| Slice { ports, endpoints: Vec::new() });
        group.endpoints.push(endpoint(service, pod, address));
    }
    let mut slices = Vec::with_capacity(groups.len().max(1));
    for Slice { ports, endpoints } in groups.into_values() {
        slices.extend(
            endpoints
                .chunks(SLICE)
                .map(|part| Slice { ports: ports.clone(), endpoints: part.to_vec() }),
        );
    }
    if slices.is_empty() {
        slices.push(Slice { ports: Vec::new(), endpoints: Vec::new() });
    }
    slices
}

/// The subsets of the older Endpoints object. Pods on their way out are not in it.
pub(super) fn subsets(service: &Service, pods: &[Arc<Pod>]) -> Vec<EndpointSubset> {
    let publish = publishes_unready(service);
    let mut groups: BTreeMap<String, EndpointSubset> = BTreeMap::new();
    for pod in
        sorted(pods).filter(|pod| pod.metadata.deletion_timestamp.is_none()).take(MAX_ADDRESSES)
    {
        let Some(ip) = address(pod) else { continue };
        let ports: Vec<CorePort> = resolved(service, pod)
            .map(|(port, number)| CorePort {
                name: port.name.clone(),
                port: number,
                protocol: Some(protocol(port)),
                app_protocol: port.app_protocol.clone(),
            })
            .collect();
        if ports.is_empty() && !is_headless(service) {
            continue;
        }
        let address = EndpointAddress {
            ip: ip.to_owned(),
            node_name: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            hostname: hostname(service, pod),
            target_ref: Some(reference(pod)),
        };
        let key =
            ports.iter().map(|p| format!("{:?}/{:?}/{};", p.name, p.protocol, p.port)).collect();
        let subset = groups.entry(key).or_default();
        if !ports.is_empty() {
            subset.ports = Some(ports);
        }
        let list = if is_ready(pod) || publish {
            &mut subset.addresses
        } else {
            &mut subset.not_ready_addresses
        };
        list.get_or_insert_default().push(address);
    }
    groups.into_values().collect()
}

fn sorted(pods: &[Arc<Pod>]) -> impl Iterator<Item = &Arc<Pod>> {
    let mut sorted: Vec<&Arc<Pod>> = pods.iter().collect();
    sorted.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    sorted.into_iter()
}

/// The pod's address; `None` while it has none, and once it has finished.
fn address(pod: &Pod) -> Option<&str> {
    let ip = pod.status.as_ref()?.pod_ip.as_deref().filter(|ip| !ip.is_empty())?;
    (!is_finished(pod)).then_some(ip)
}

/// The Service's ports with the numbers they have in this pod; names the pod does not have are left out.
fn resolved<'a>(
    service: &'a Service,
    pod: &'a Pod,
) -> impl Iterator<Item = (&'a ServicePort, i32)> {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_ref()).into_iter().flatten();
    ports.filter_map(move |port| {
        let number = match &port.target_port {
            None => port.port,
            Some(IntOrString::Int(0)) => port.port,
            Some(IntOrString::Int(number)) => *number,
            Some(IntOrString::String(name)) => named(pod, name, &protocol(port))?,
        };
        Some((port, number))
    })
}

fn named(pod: &Pod, name: &str, protocol: &str) -> Option<i32> {
    let spec = pod.spec.as_ref()?;
    let sidecars = spec
        .init_containers
        .iter()
        .flatten()
        .filter(|c| c.restart_policy.as_deref() == Some("Always"));
    let ports = spec.containers.iter().chain(sidecars).flat_map(|c| c.ports.iter().flatten());
    ports
        .filter(|port| port.name.as_deref() == Some(name))
        .find(|port| port.protocol.as_deref().unwrap_or("TCP") == protocol)
        .map(|port| port.container_port)
}

fn protocol(port: &ServicePort) -> String {
    port.protocol.clone().unwrap_or_else(|| "TCP".into())
}

fn slice_port(port: &ServicePort, number: i32) -> EndpointPort {
    EndpointPort {
        name: Some(port.name.clone().unwrap_or_default()),
        port: Some(number),
        protocol: Some(protocol(port)),
        app_protocol: port.app_protocol.clone(),
    }
}

fn endpoint(service: &Service, pod: &Pod, address: &str) -> Endpoint {
    let serving = is_ready(pod);
    let terminating = pod.metadata.deletion_timestamp.is_some();
    let ready = publishes_unready(service) || (serving && !terminating);
    Endpoint {
        addresses: vec![address.to_owned()],
        conditions: Some(EndpointConditions {
            ready: Some(ready),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hostname: hostname(service, pod),
        node_name: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        target_ref: Some(reference(pod)),
        ..Endpoint::default()
    }
}

fn reference(pod: &Pod) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".into()),
        namespace: pod.namespace(),
        name: Some(pod.name_any()),
        uid: pod.uid(),
        ..ObjectReference::default()
    }
}

/// The name that DNS gives the pod below a headless Service that it names as its subdomain.
fn hostname(service: &Service, pod: &Pod) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let belongs = spec.subdomain.as_deref() == service.metadata.name.as_deref();
    spec.hostname.clone().filter(|name| !name.is_empty() && belongs)
}

fn publishes_unready(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.publish_not_ready_addresses) == Some(true)
}

pub(super) fn is_headless(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref()) == Some("None")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn service(ports: Value) -> Service {
        serde_json::from_value(json!({"metadata":{"name":"web","namespace":"ns"},"spec":{"ports":ports,"selector":{"a":"b"}}}))
            .expect("a Service")
    }

    fn pod(name: &str, ip: &str, ready: bool, http: i32) -> Arc<Pod> {
        Arc::new(
            serde_json::from_value(json!({"metadata":{"name":name,"namespace":"ns","uid":format!("u-{name}")},
                "spec":{"nodeName":"n","containers":[{"name":"c","ports":[{"name":"http","containerPort":http}]}]},
                "status":{"phase":"Running","podIP":ip,"conditions":[{"type":"Ready","status":if ready {"True"} else {"False"}}]}}))
            .expect("a Pod"),
        )
    }

    fn changed(pod: &Arc<Pod>, change: impl FnOnce(&mut Pod)) -> Arc<Pod> {
        let mut pod = (**pod).clone();
        change(&mut pod);
        Arc::new(pod)
    }

    #[test]
    fn readiness_and_ports_make_a_slice() {
        let service = service(json!([{"name":"web","port":80,"targetPort":"http"}]));
        let got = slices(
            &service,
            &[pod("b", "10.0.0.2", false, 8080), pod("a", "10.0.0.1", true, 8080)],
        );
        assert_eq!(got.len(), 1);
        assert_eq!(
            (got[0].ports[0].name.as_deref(), got[0].ports[0].port),
            (Some("web"), Some(8080))
        );
        let ready: Vec<_> = got[0]
            .endpoints
            .iter()
            .map(|e| (e.addresses[0].as_str(), e.conditions.as_ref().and_then(|c| c.ready)))
            .collect();
        assert_eq!(ready, [("10.0.0.1", Some(true)), ("10.0.0.2", Some(false))]);
    }

    #[test]
    fn pods_with_different_named_ports_get_different_slices() {
        let service = service(json!([{"port":80,"targetPort":"http"}]));
        let got =
            slices(&service, &[pod("a", "10.0.0.1", true, 8080), pod("b", "10.0.0.2", true, 9090)]);
        assert_eq!(
            got.iter().map(|s| s.ports[0].port).collect::<Vec<_>>(),
            [Some(8080), Some(9090)]
        );
    }

    #[test]
    fn terminating_pods_serve_but_are_not_ready_and_finished_ones_are_gone() {
        let service = service(json!([{"port":80}]));
        let a = pod("a", "10.0.0.1", true, 1);
        let terminating = changed(&a, |pod| {
            pod.metadata.deletion_timestamp =
                serde_json::from_value(json!("2026-01-01T00:00:00Z")).ok();
        });
        let conditions =
            slices(&service, std::slice::from_ref(&terminating))[0].endpoints[0].conditions.clone();
        assert_eq!(
            serde_json::to_value(conditions).expect("JSON"),
            json!({"ready":false,"serving":true,"terminating":true})
        );
        assert_eq!(subsets(&service, &[terminating]), []);
        let finished = changed(&a, |pod| {
            pod.status.get_or_insert_default().phase = Some("Succeeded".into());
        });
        assert_eq!(slices(&service, &[finished])[0].endpoints, []);
    }

    #[test]
    fn a_hundred_endpoints_fill_a_slice_and_none_still_make_one() {
        let service = service(json!([{"port":80}]));
        let pods: Vec<_> =
            (0..150).map(|n| pod(&format!("p{n:03}"), &format!("10.0.1.{n}"), true, 1)).collect();
        assert_eq!(
            slices(&service, &pods).iter().map(|s| s.endpoints.len()).collect::<Vec<_>>(),
            [100, 50]
        );
        assert_eq!(slices(&service, &[]), [Slice { ports: vec![], endpoints: vec![] }]);
    }

    #[test]
    fn endpoints_separate_ready_from_unready() {
        let mut service = service(json!([{"port":80,"targetPort":8080}]));
        let pods = [pod("a", "10.0.0.1", true, 1), pod("b", "10.0.0.2", false, 1)];
        let got = subsets(&service, &pods);
        let ips = |list: &Option<Vec<EndpointAddress>>| {
            list.iter().flatten().map(|a| a.ip.clone()).collect::<Vec<_>>()
        };
        assert_eq!(
            (ips(&got[0].addresses), ips(&got[0].not_ready_addresses)),
            (vec!["10.0.0.1".into()], vec!["10.0.0.2".into()])
        );
        service.spec.get_or_insert_default().publish_not_ready_addresses = Some(true);
        assert_eq!(ips(&subsets(&service, &pods)[0].addresses).len(), 2);
    }
}
