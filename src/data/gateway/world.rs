//! What the watches have brought so far.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::api::core::v1::Service as CoreService;

use super::types::{Gateway, GatewayClass, HttpRoute, ReferenceGrantSpec};

/// Namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) namespace: Box<str>,
    pub(super) name: Box<str>,
}

impl Key {
    pub(super) fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

/// Everything the table is compiled from.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) classes: BTreeMap<Key, GatewayClass>,
    /// Gateways of our namespace; one of them is ours.
    pub(super) gateways: BTreeMap<Key, Gateway>,
    pub(super) routes: BTreeMap<Key, HttpRoute>,
    pub(super) services: HashMap<Key, Service>,
    /// Labels by namespace (the key's name).
    pub(super) namespaces: HashMap<Key, BTreeMap<String, String>>,
    pub(super) grants: BTreeMap<Key, ReferenceGrantSpec>,
    /// How many of the watches have listed everything once.
    pub(super) listed: usize,
}

/// What matters of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    /// Its virtual address; `None` for headless ones and names for elsewhere.
    pub(super) cluster_ip: Option<String>,
    pub(super) ports: Vec<ServicePort>,
}

/// What matters of a Service's port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServicePort {
    pub(super) port: u16,
    pub(super) h2c: bool,
}

impl From<&CoreService> for Service {
    fn from(service: &CoreService) -> Self {
        let spec = service.spec.as_ref();
        let ip = spec.and_then(|spec| spec.cluster_ip.clone());
        let ports = spec.and_then(|spec| spec.ports.as_ref()).into_iter().flatten();
        let ports = ports.filter_map(|port| {
            let h2c = port.app_protocol.as_deref() == Some("kubernetes.io/h2c");
            Some(ServicePort { port: u16::try_from(port.port).ok()?, h2c })
        });
        Self { cluster_ip: ip.filter(|ip| !ip.is_empty() && ip != "None"), ports: ports.collect() }
    }
}
