//! Where a connection goes, or why it does not.
//!
//! Every connection and every UDP session passes [`decide`] once, with its
//! true source: this is the one place where a policy can speak.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use super::index::{Index, Key, Protocol};
use super::object::Port;
use super::settings::Settings;

/// Who connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The pod with this address; it is known by the listener that accepted.
    Pod(Ipv4Addr),
    /// A process on the host, through a front door or a node port.
    Host,
}

/// What it connects to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// An address and port, as a pod names it.
    Address(SocketAddrV4),
    /// A Service and its port, as a host listener knows it.
    Service(Key, u16),
}

/// Where the connection goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// To the cluster's name server.
    Dns,
    /// To a port of a pod.
    Pod(SocketAddrV4),
    /// To the API server, on the host.
    Api(SocketAddr),
    /// Out of the cluster, through the host's network.
    Outside(SocketAddrV4),
}

/// Why a connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An address of the cluster that nobody has.
    #[error("no pod or Service has this address")]
    NoOwner,
    /// The Service exists and has no such port.
    #[error("the Service has no such port")]
    NoSuchPort,
    /// The port exists and nothing behind it is ready.
    #[error("the Service has no ready endpoint")]
    NoEndpoint,
    /// Loopback, multicast and reserved ranges.
    #[error("this address cannot be routed")]
    NotRoutable,
}

impl Refusal {
    /// Whether the node said no, where there might have been somebody.
    pub(super) fn denies(self) -> bool {
        matches!(self, Self::NotRoutable)
    }
}

/// Decide where `source` gets when it asks for `destination`.
///
/// `turn` spreads the connections to a Service over its endpoints; `lives`
/// says whether a pod with that address is attached to this node.
///
/// # Errors
/// The [`Refusal`]; the connection is then reset, never tried.
pub fn decide(
    settings: &Settings,
    index: &Index,
    source: Source,
    destination: &Destination,
    protocol: Protocol,
    turn: usize,
    lives: impl Fn(Ipv4Addr) -> bool,
) -> Result<Route, Refusal> {
    let address = match destination {
        Destination::Service(key, number) => {
            let service = index.service(key).ok_or(Refusal::NoOwner)?;
            let port = service.port(*number, protocol).ok_or(Refusal::NoSuchPort)?;
            return endpoint(settings, index, key, port, turn, lives);
        }
        Destination::Address(address) => *address,
    };
    if address == settings.dns_service {
        return Ok(Route::Dns);
    }
    if address == settings.api_service && protocol == Protocol::Tcp {
        return Ok(Route::Api(settings.api_server));
    }
    if settings.services.contains(*address.ip()) {
        let (key, service) = index.owner(*address.ip()).ok_or(Refusal::NoOwner)?;
        let port = service.port(address.port(), protocol).ok_or(Refusal::NoSuchPort)?;
        return endpoint(settings, index, key, port, turn, lives);
    }
    if *address.ip() == settings.node {
        let (key, port) = index.node_port(address.port(), protocol).ok_or(Refusal::NoOwner)?;
        return endpoint(settings, index, key, port, turn, lives);
    }
    if settings.pods.contains(*address.ip()) {
        return if lives(*address.ip()) { Ok(Route::Pod(address)) } else { Err(Refusal::NoOwner) };
    }
    match source {
        Source::Pod(_) if is_routable(*address.ip()) => Ok(Route::Outside(address)),
        _ => Err(Refusal::NotRoutable),
    }
}

/// The Service that is asked for by `destination`, and which of its ports, whether there is such a port or not.
pub(super) fn service(
    settings: &Settings,
    index: &Index,
    destination: &Destination,
    protocol: Protocol,
) -> Option<(Key, u16)> {
    let address = match destination {
        Destination::Service(key, port) => return Some((key.clone(), *port)),
        Destination::Address(address) => address,
    };
    if settings.services.contains(*address.ip()) {
        let (key, _) = index.owner(*address.ip())?;
        return Some((key.clone(), address.port()));
    }
    if *address.ip() == settings.node {
        let (key, port) = index.node_port(address.port(), protocol)?;
        return Some((key.clone(), port.port));
    }
    None
}

/// One endpoint of a Service. Slices written by hand may name addresses
/// outside the cluster, but never the host's loopback.
fn endpoint(
    settings: &Settings,
    index: &Index,
    key: &Key,
    port: &Port,
    turn: usize,
    lives: impl Fn(Ipv4Addr) -> bool,
) -> Result<Route, Refusal> {
    let is_ours = |ip| settings.pods.contains(ip);
    let usable = |ip| if is_ours(ip) { lives(ip) } else { is_routable(ip) };
    let chosen = index.pick(key, port, turn, usable).ok_or(Refusal::NoEndpoint)?;
    Ok(if is_ours(*chosen.ip()) { Route::Pod(chosen) } else { Route::Outside(chosen) })
}

/// Whether the host may be asked to connect there on behalf of a pod. Its own
/// loopback, which 0.0.0.0/8 can mean too, stays out of reach.
fn is_routable(ip: Ipv4Addr) -> bool {
    !matches!(ip.octets()[0], 0 | 127 | 224..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::network::samples;

    fn tcp(source: Source, destination: Destination) -> Result<Route, Refusal> {
        let lives = |ip: Ipv4Addr| ip.octets()[3] < 10;
        let (settings, index) = (samples::settings(), samples::index());
        decide(&settings, &index, source, &destination, Protocol::Tcp, 0, lives)
    }

    fn from_pod(address: &str) -> Result<Route, Refusal> {
        let source = Source::Pod(Ipv4Addr::new(10, 244, 0, 9));
        tcp(source, Destination::Address(address.parse().unwrap()))
    }

    fn pod(address: &str) -> Result<Route, Refusal> {
        Ok(Route::Pod(address.parse().unwrap()))
    }

    #[test]
    fn addresses_of_the_cluster_lead_to_their_owner() {
        assert_eq!(from_pod("10.96.0.20:80"), pod("10.244.0.5:8080"));
        assert_eq!(from_pod("10.244.0.6:99"), pod("10.244.0.6:99"));
        assert_eq!(from_pod("10.244.0.1:30080"), pod("10.244.0.5:8080"));
        assert_eq!(from_pod("10.96.0.10:53"), Ok(Route::Dns));
        let api = "127.0.0.1:6443".parse().unwrap();
        assert_eq!(from_pod("10.96.0.1:443"), Ok(Route::Api(api)));
    }

    #[test]
    fn addresses_of_the_cluster_without_an_owner_never_leave_it() {
        assert_eq!(from_pod("10.96.7.7:80"), Err(Refusal::NoOwner));
        assert_eq!(from_pod("10.244.0.200:80"), Err(Refusal::NoOwner));
        assert_eq!(from_pod("10.244.0.1:22"), Err(Refusal::NoOwner));
        assert_eq!(from_pod("10.96.0.20:82"), Err(Refusal::NoSuchPort));
        assert_eq!(from_pod("10.96.0.20:81"), Err(Refusal::NoSuchPort), "81 is UDP");
        assert_eq!(from_pod("10.96.0.30:80"), Err(Refusal::NoEndpoint));
        assert!(!Refusal::NoEndpoint.denies(), "nobody is there, which nobody decided");
    }

    #[test]
    fn the_rest_of_the_world_goes_through_the_host_but_not_to_it() {
        assert_eq!(from_pod("1.2.3.4:443"), Ok(Route::Outside("1.2.3.4:443".parse().unwrap())));
        for own in
            ["127.0.0.1:15001", "127.9.9.9:1", "0.0.0.0:6443", "224.0.0.1:1", "255.255.255.255:1"]
        {
            assert_eq!(from_pod(own), Err(Refusal::NotRoutable), "{own}");
        }
        assert!(Refusal::NotRoutable.denies());
    }

    #[test]
    fn a_front_door_leads_to_its_service_only() {
        let web = |port| Destination::Service(Key::new("shop", "web"), port);
        assert_eq!(tcp(Source::Host, web(80)), pod("10.244.0.5:8080"));
        assert_eq!(tcp(Source::Host, web(8080)), Err(Refusal::NoSuchPort));
        let outside = Destination::Address("1.2.3.4:443".parse().unwrap());
        assert_eq!(tcp(Source::Host, outside), Err(Refusal::NotRoutable));
    }
}
