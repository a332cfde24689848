//! The few fields of Services and EndpointSlices that the data path needs.

use std::net::Ipv4Addr;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Service as CoreService, ServicePort};
use k8s_openapi::api::discovery::v1::{Endpoint as CoreEndpoint, EndpointPort, EndpointSlice};

use super::index::{Key, Protocol};

/// A Service.
#[derive(Debug, Default)]
pub(super) struct Service {
    /// Its virtual address; headless Services and names for elsewhere have none.
    pub(super) cluster_ip: Option<Ipv4Addr>,
    /// The name it stands for (`type: ExternalName`).
    pub(super) external_name: Option<Box<str>>,
    pub(super) ports: Vec<Port>,
    /// How long a client keeps its endpoint, if it does.
    pub(super) affinity: Option<Duration>,
}

/// Three hours, as everywhere.
const AFFINITY_SECONDS: u32 = 10_800;

/// One port of a Service.
#[derive(Debug)]
pub(super) struct Port {
    /// Empty when the Service has one unnamed port.
    pub(super) name: Box<str>,
    pub(super) protocol: Protocol,
    pub(super) port: u16,
    pub(super) node_port: Option<u16>,
}

/// An EndpointSlice.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) service: Key,
    pub(super) ports: Vec<SlicePort>,
    pub(super) endpoints: Vec<Endpoint>,
}

/// One port of an EndpointSlice.
#[derive(Debug)]
pub(super) struct SlicePort {
    pub(super) name: Box<str>,
    pub(super) protocol: Protocol,
    pub(super) port: u16,
}

/// One address of an EndpointSlice.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) address: Ipv4Addr,
    pub(super) ready: bool,
    pub(super) serving: bool,
    pub(super) terminating: bool,
    /// Its own name below the Service's.
    pub(super) hostname: Option<Box<str>>,
}

impl Service {
    /// Whether names of this Service lead straight to its endpoints.
    pub(super) fn is_headless(&self) -> bool {
        self.cluster_ip.is_none() && self.external_name.is_none()
    }

    /// The port with this number.
    pub(super) fn port(&self, number: u16, protocol: Protocol) -> Option<&Port> {
        self.ports.iter().find(|port| port.port == number && port.protocol == protocol)
    }
}

impl Slice {
    /// Where this slice's endpoints serve a port of the Service.
    pub(super) fn port(&self, of_service: &Port) -> Option<u16> {
        let matches = |port: &&SlicePort| {
            port.name == of_service.name && port.protocol == of_service.protocol
        };
        self.ports.iter().find(matches).map(|port| port.port)
    }
}

impl From<&CoreService> for Service {
    fn from(service: &CoreService) -> Self {
        let Some(spec) = &service.spec else { return Self::default() };
        let external = spec.type_.as_deref() == Some("ExternalName");
        let keeps = spec.session_affinity.as_deref() == Some("ClientIP");
        let settings = spec.session_affinity_config.as_ref();
        let seconds = settings.and_then(|settings| settings.client_ip.as_ref()?.timeout_seconds);
        let seconds = seconds.and_then(|seconds| u32::try_from(seconds).ok());
        let lasts = Duration::from_secs(seconds.unwrap_or(AFFINITY_SECONDS).into());
        Self {
            cluster_ip: spec.cluster_ip.as_deref().and_then(|ip| ip.parse().ok()),
            external_name: spec.external_name.as_deref().filter(|_| external).map(Box::from),
            ports: spec.ports.iter().flatten().filter_map(port).collect(),
            affinity: keeps.then_some(lasts),
        }
    }
}

fn port(port: &ServicePort) -> Option<Port> {
    Some(Port {
        name: port.name.as_deref().unwrap_or_default().into(),
        protocol: protocol(port.protocol.as_deref())?,
        port: u16::try_from(port.port).ok()?,
        node_port: port
            .node_port
            .and_then(|port| u16::try_from(port).ok())
            .filter(|port| *port > 0),
    })
}

impl Slice {
    /// The slice of a Service; `None` when it belongs to none or is not IPv4.
    pub(super) fn of(slice: &EndpointSlice) -> Option<Self> {
        if slice.address_type != "IPv4" {
            return None;
        }
        let service = slice.metadata.labels.as_ref()?.get("kubernetes.io/service-name")?;
        let namespace = slice.metadata.namespace.as_deref()?;
        Some(Self {
            service: Key::new(namespace, service),
            ports: slice.ports.iter().flatten().filter_map(slice_port).collect(),
            endpoints: slice.endpoints.iter().flatten().filter_map(endpoint).collect(),
        })
    }
}

fn slice_port(port: &EndpointPort) -> Option<SlicePort> {
    Some(SlicePort {
        name: port.name.as_deref().unwrap_or_default().into(),
        protocol: protocol(port.protocol.as_deref())?,
        port: u16::try_from(port.port?).ok()?,
    })
}

/// A condition that is not there counts as good news: that is the API's rule.
fn endpoint(endpoint: &CoreEndpoint) -> Option<Endpoint> {
    let conditions = endpoint.conditions.as_ref();
    let ready = conditions.and_then(|conditions| conditions.ready).unwrap_or(true);
    Some(Endpoint {
        address: endpoint.addresses.first()?.parse().ok()?,
        ready,
        serving: conditions.and_then(|conditions| conditions.serving).unwrap_or(ready),
        terminating: conditions.and_then(|conditions| conditions.terminating).unwrap_or(false),
        hostname: endpoint.hostname.as_deref().map(Box::from),
    })
}

/// SCTP ports are not served.
fn protocol(name: Option<&str>) -> Option<Protocol> {
    match name {
        None | Some("TCP") => Some(Protocol::Tcp),
        Some("UDP") => Some(Protocol::Udp),
        Some(_) => None,
    }
}
