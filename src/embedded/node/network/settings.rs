//! Addresses the pod network is built on.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;

use crate::{Cidr, ClusterConfig};

/// What the network has to know of its cluster.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Range of the pods' addresses.
    pub pods: Cidr,
    /// Range of the Services' virtual addresses.
    pub services: Cidr,
    /// Address that the node itself has inside pods: the source of probes and
    /// of everything that comes in through the host.
    pub node: Ipv4Addr,
    /// Virtual address of the API server (`default/kubernetes`, HTTPS).
    pub api_service: SocketAddrV4,
    /// Where the API server really listens, on the host.
    pub api_server: SocketAddr,
    /// Virtual address of the cluster's name server.
    pub dns_service: SocketAddrV4,
    /// Ranges of the host's addresses that node ports are served on.
    pub node_port_addresses: Vec<Cidr>,
    /// File that names the host's resolvers; read anew for each query that
    /// leaves the cluster, so that a laptop may change its network.
    pub resolv_conf: PathBuf,
    /// Whether connections are looked at and counted.
    pub sight: bool,
    /// Whether nothing leaves the cluster.
    pub offline: bool,
}

impl From<&ClusterConfig> for Settings {
    fn from(config: &ClusterConfig) -> Self {
        Self {
            pods: config.pod_cidr,
            services: config.service_cidr,
            node: config.pod_cidr.host(1),
            api_service: SocketAddrV4::new(config.api_service_ip(), 443),
            api_server: config.api_address(),
            dns_service: SocketAddrV4::new(config.dns_service_ip(), 53),
            node_port_addresses: config.reach.node_port_addresses.clone(),
            resolv_conf: "/etc/resolv.conf".into(),
            sight: config.sight,
            offline: config.offline,
        }
    }
}
