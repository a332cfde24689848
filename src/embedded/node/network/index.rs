//! What the cluster's Services and EndpointSlices say, small and without a
//! client: watches feed it, the proxy and the name server ask it.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::object::{Endpoint, Port, Service, Slice};

/// Namespace and name of an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The object's namespace.
    pub namespace: Box<str>,
    /// The object's name.
    pub name: Box<str>,
}

impl Key {
    /// A key from borrowed parts.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Transport of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

/// Services and their endpoints, by every key the data path needs.
#[derive(Debug, Default)]
pub(super) struct Index {
    services: HashMap<Key, Service>,
    by_address: HashMap<Ipv4Addr, Key>,
    slices: HashMap<Key, Slice>,
    by_service: HashMap<Key, BTreeSet<Key>>,
}

impl Index {
    /// Add or replace a Service.
    pub(super) fn put_service(&mut self, key: Key, service: Service) {
        self.remove_service(&key);
        if let Some(address) = service.cluster_ip {
            self.by_address.insert(address, key.clone());
        }
        self.services.insert(key, service);
    }

    /// Forget a Service; its slices stay until they go themselves.
    pub(super) fn remove_service(&mut self, key: &Key) {
        let address = self.services.remove(key).and_then(|service| service.cluster_ip);
        if let Some(address) = address
            && self.by_address.get(&address) == Some(key)
        {
            self.by_address.remove(&address);
        }
    }

    /// Add or replace an EndpointSlice.
    pub(super) fn put_slice(&mut self, key: Key, slice: Slice) {
        self.remove_slice(&key);
        self.by_service.entry(slice.service.clone()).or_default().insert(key.clone());
        self.slices.insert(key, slice);
    }

    /// Forget an EndpointSlice.
    pub(super) fn remove_slice(&mut self, key: &Key) {
        let Some(slice) = self.slices.remove(key) else { return };
        if let Some(of_service) = self.by_service.get_mut(&slice.service) {
            of_service.remove(key);
            if of_service.is_empty() {
                self.by_service.remove(&slice.service);
            }
        }
    }

    /// Forget every Service whose key `keep` rejects: the end of a new listing.
    pub(super) fn retain_services(&mut self, keep: impl Fn(&Key) -> bool) {
        let gone: Vec<Key> = self.services.keys().filter(|key| !keep(key)).cloned().collect();
        gone.iter().for_each(|key| self.remove_service(key));
    }

    /// Forget every EndpointSlice whose key `keep` rejects.
    pub(super) fn retain_slices(&mut self, keep: impl Fn(&Key) -> bool) {
        let gone: Vec<Key> = self.slices.keys().filter(|key| !keep(key)).cloned().collect();
        gone.iter().for_each(|key| self.remove_slice(key));
    }

    /// The Service called `key`.
    pub(super) fn service(&self, key: &Key) -> Option<&Service> {
        self.services.get(key)
    }

    /// The Service that owns a virtual address.
    pub(super) fn owner(&self, address: Ipv4Addr) -> Option<(&Key, &Service)> {
        self.services.get_key_value(self.by_address.get(&address)?)
    }

    /// Whether any Service lives in `namespace`.
    pub(super) fn has_namespace(&self, namespace: &str) -> bool {
        self.services.keys().any(|key| &*key.namespace == namespace)
    }

    /// Every TCP node port with the Service and the port it leads to.
    pub(super) fn node_ports(&self) -> HashMap<u16, (Key, u16)> {
        let of = |(key, service): (&Key, &Service)| -> Vec<(u16, (Key, u16))> {
            let ports = service.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
            ports.filter_map(|port| Some((port.node_port?, (key.clone(), port.port)))).collect()
        };
        self.services.iter().flat_map(of).collect()
    }

    /// The Service and port behind a node port.
    pub(super) fn node_port(&self, number: u16, protocol: Protocol) -> Option<(&Key, &Port)> {
        self.services.iter().find_map(|(key, service)| {
            let matches =
                |port: &&Port| port.node_port == Some(number) && port.protocol == protocol;
            Some((key, service.ports.iter().find(matches)?))
        })
    }

    /// Every endpoint of a Service with the ports of its slice.
    pub(super) fn endpoints(&self, key: &Key) -> impl Iterator<Item = (&Slice, &Endpoint)> {
        let slices = self.by_service.get(key).into_iter().flatten();
        slices
            .filter_map(|slice| self.slices.get(slice))
            .flat_map(|slice| slice.endpoints.iter().map(move |endpoint| (slice, endpoint)))
    }

    /// The headless Service that names `address`, with the label it gives it.
    pub(super) fn headless_name(&self, address: Ipv4Addr) -> Option<(&Key, String)> {
        self.slices.values().find_map(|slice| {
            let (key, service) = self.services.get_key_value(&slice.service)?;
            let endpoint = slice.endpoints.iter().find(|endpoint| endpoint.address == address)?;
            let label = match &endpoint.hostname {
                Some(hostname) => hostname.to_string(),
                None => address.to_string().replace('.', "-"),
            };
            service.is_headless().then_some((key, label))
        })
    }

    /// The endpoint whose turn it is among those that serve `port` of `key`
    /// and are `usable`: the ready ones, else those that are leaving but still serve.
    pub(super) fn pick(
        &self,
        key: &Key,
        port: &Port,
        turn: usize,
        usable: impl Fn(Ipv4Addr) -> bool,
    ) -> Option<SocketAddrV4> {
        let nth = |wanted: &dyn Fn(&Endpoint) -> bool| {
            let all = || {
                self.endpoints(key).filter_map(|(slice, endpoint)| {
                    if !wanted(endpoint) || !usable(endpoint.address) {
                        return None;
                    }
                    Some(SocketAddrV4::new(endpoint.address, slice.port(port)?))
                })
            };
            match all().count() {
                0 => None,
                count => all().nth(turn % count),
            }
        };
        nth(&|endpoint| endpoint.ready)
            .or_else(|| nth(&|endpoint| endpoint.serving && endpoint.terminating))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::network::samples::{service, slice};

    fn web() -> Key {
        Key::new("shop", "web")
    }

    fn index() -> Index {
        let mut index = Index::default();
        index.put_service(web(), service(r#"{"clusterIP":"10.96.0.20","type":"NodePort","ports":[
            {"name":"http","port":80,"nodePort":30080},{"name":"dns","port":53,"protocol":"UDP"}]}"#));
        let slice = slice(
            "web",
            r#"[{"name":"http","port":8080}]"#,
            r#"[
            {"addresses":["10.244.0.5"],"conditions":{"ready":true}},
            {"addresses":["10.244.0.6"]},
            {"addresses":["10.244.0.7"],"conditions":{"ready":false,"serving":true,"terminating":true}},
            {"addresses":["10.244.0.8"],"conditions":{"ready":false}}]"#,
        );
        index.put_slice(Key::new("shop", "web-x"), slice);
        index
    }

    fn picks(index: &Index, usable: impl Fn(Ipv4Addr) -> bool + Copy) -> Vec<String> {
        let port = &index.service(&web()).unwrap().ports[0];
        (0..3)
            .filter_map(|turn| index.pick(&web(), port, turn, usable))
            .map(|a| a.to_string())
            .collect()
    }

    #[test]
    fn ready_endpoints_take_turns() {
        let all = picks(&index(), |_| true);
        assert_eq!(all, ["10.244.0.5:8080", "10.244.0.6:8080", "10.244.0.5:8080"]);
    }

    #[test]
    fn an_endpoint_without_a_pod_is_passed_over() {
        assert_eq!(picks(&index(), |ip| ip.octets()[3] == 6), vec!["10.244.0.6:8080"; 3]);
    }

    #[test]
    fn leaving_endpoints_serve_when_nothing_else_does() {
        assert_eq!(picks(&index(), |ip| ip.octets()[3] > 6), vec!["10.244.0.7:8080"; 3]);
        assert!(picks(&index(), |ip| ip.octets()[3] == 8).is_empty());
    }

    #[test]
    fn a_port_without_a_counterpart_has_no_endpoints() {
        let index = index();
        let port = &index.service(&web()).unwrap().ports[1];
        assert_eq!(index.pick(&web(), port, 0, |_| true), None);
    }

    #[test]
    fn node_ports_lead_to_their_service() {
        let index = index();
        assert_eq!(index.node_ports(), HashMap::from([(30080, (web(), 80))]));
        assert_eq!(index.node_port(30080, Protocol::Tcp).unwrap().1.port, 80);
        assert!(index.node_port(30080, Protocol::Udp).is_none());
    }

    #[test]
    fn a_replaced_or_removed_object_leaves_nothing_behind() {
        let mut index = index();
        index.put_service(web(), service(r#"{"clusterIP":"10.96.0.21","ports":[{"port":80}]}"#));
        assert!(index.owner(Ipv4Addr::new(10, 96, 0, 20)).is_none());
        assert!(index.owner(Ipv4Addr::new(10, 96, 0, 21)).is_some());
        index.retain_slices(|_| false);
        index.retain_services(|_| false);
        assert!(index.by_address.is_empty() && index.by_service.is_empty());
        assert!(!index.has_namespace("shop"));
    }
}
