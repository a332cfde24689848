//! What a NetworkPolicy says, without its object.

use std::net::Ipv4Addr;

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::Cidr;
use crate::node::network::index::Protocol;

/// A policy of a namespace.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::node::network) struct Policy {
    /// The pods of the namespace that it is about.
    pub(super) pods: LabelSelector,
    /// What may come in; `None` where it says nothing on that.
    pub(super) ingress: Option<Vec<Rule>>,
    /// What may go out.
    pub(super) egress: Option<Vec<Rule>>,
}

/// Lets through what matches both of its parts; `None` is everything.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    pub(super) peers: Option<Vec<Peer>>,
    pub(super) ports: Option<Vec<Ports>>,
}

/// The other end.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Peer {
    /// Pods with these labels; in the policy's own namespace unless namespaces are selected.
    Pods { pods: LabelSelector, namespaces: Option<LabelSelector> },
    /// Addresses in a range.
    Block { range: Cidr, except: Vec<Cidr> },
    /// Nobody that there can be here: IPv6.
    Nobody,
}

/// Ports of the destination.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ports {
    /// From the first to the last.
    Numbers(Protocol, u16, u16),
    /// The one that the destination's containers call so.
    Named(Protocol, Box<str>),
    /// None that there can be here: SCTP.
    Nothing,
}

impl Policy {
    pub(in crate::node::network) fn of(policy: &NetworkPolicy) -> Self {
        let spec = policy.spec.clone().unwrap_or_default();
        let types = spec.policy_types.unwrap_or_default();
        // The server fills types in; what it has from before is read as it does.
        let has = |direction: &str, unsaid: bool| {
            if types.is_empty() { unsaid } else { types.iter().any(|one| one == direction) }
        };
        let goes_out = has("Egress", spec.egress.as_ref().is_some_and(|rules| !rules.is_empty()));
        let ingress = spec.ingress.unwrap_or_default().into_iter();
        let egress = spec.egress.unwrap_or_default().into_iter();
        Self {
            pods: spec.pod_selector.unwrap_or_default(),
            ingress: has("Ingress", true)
                .then(|| ingress.map(|rule| Rule::of(rule.from, rule.ports)).collect()),
            egress: goes_out.then(|| egress.map(|rule| Rule::of(rule.to, rule.ports)).collect()),
        }
    }
}

impl Rule {
    fn of(peers: Option<Vec<NetworkPolicyPeer>>, ports: Option<Vec<NetworkPolicyPort>>) -> Self {
        let peers = peers.filter(|peers| !peers.is_empty());
        let ports = ports.filter(|ports| !ports.is_empty());
        Self {
            peers: peers.map(|peers| peers.into_iter().map(Peer::of).collect()),
            ports: ports.map(|ports| ports.into_iter().map(Ports::of).collect()),
        }
    }
}

impl Peer {
    fn of(peer: NetworkPolicyPeer) -> Self {
        match (peer.ip_block, peer.pod_selector, peer.namespace_selector) {
            (Some(block), _, _) => Self::block(&block),
            (None, None, None) => Self::Nobody,
            (None, pods, namespaces) => Self::Pods { pods: pods.unwrap_or_default(), namespaces },
        }
    }

    fn block(block: &IPBlock) -> Self {
        let Some(range) = range(&block.cidr) else { return Self::Nobody };
        let except = block.except.iter().flatten();
        Self::Block { range, except: except.filter_map(|text| self::range(text)).collect() }
    }
}

impl Ports {
    fn of(port: NetworkPolicyPort) -> Self {
        let protocol = match port.protocol.as_deref() {
            None | Some("TCP") => Protocol::Tcp,
            Some("UDP") => Protocol::Udp,
            Some(_) => return Self::Nothing,
        };
        let number = |number: i32| u16::try_from(number).ok();
        match port.port {
            None => Self::Numbers(protocol, 0, u16::MAX),
            Some(IntOrString::String(name)) => Self::Named(protocol, name.into()),
            Some(IntOrString::Int(first)) => {
                match (number(first), number(port.end_port.unwrap_or(first))) {
                    (Some(first), Some(last)) => Self::Numbers(protocol, first, last),
                    _ => Self::Nothing,
                }
            }
        }
    }
}

/// A range of IPv4. As the server does not insist on it, bits of the host may be set.
fn range(text: &str) -> Option<Cidr> {
    let (address, prefix) = text.split_once('/')?;
    let address: Ipv4Addr = address.parse().ok()?;
    let prefix: u8 = prefix.parse().ok()?;
    (prefix <= 32).then(|| Cidr::new(address, prefix))
}
