//! Where a connection goes, or why it does not.
//!
//! Every connection and every UDP session passes [`decide`] once, with its
//! true source; what it finds is then put before the policies, by `policy`.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use super::affinity::{Affinity, Client};
use super::index::{Index, Key, Protocol};
use super::object::Port;
use super::settings::Settings;

/// How the connections to a Service are spread over its endpoints.
#[derive(Clone, Copy)]
pub(super) struct Spread<'a> {
    /// Counts connections: endpoints take turns.
    pub(super) turn: usize,
    /// What clients of Services that keep them were given.
    pub(super) affinity: &'a Affinity,
}

/// Who connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// Out of a cluster that nothing leaves.
    #[error("the cluster is offline: its pods reach each other and nothing else")]
    Offline,
    /// Not among what the source may ask for.
    #[error("the NetworkPolicies that select the source do not let it out")]
    EgressDenied,
    /// Not among whom the destination may be asked by.
    #[error("the NetworkPolicies that select the destination do not let it in")]
    IngressDenied,
}

impl Refusal {
    /// Whether the node said no, where there might have been somebody.
    pub(super) fn denies(self) -> bool {
        match self {
            Self::NotRoutable | Self::Offline | Self::EgressDenied | Self::IngressDenied => true,
            Self::NoOwner | Self::NoSuchPort | Self::NoEndpoint => false,
        }
    }
}

/// Decide where `source` gets when it asks for `destination`.
///
/// `lives` says whether a pod with that address is attached to this node.
///
/// # Errors
/// The [`Refusal`]; the connection is then reset, never tried.
pub(super) fn decide(
    settings: &Settings,
    index: &Index,
    source: Source,
    destination: &Destination,
    protocol: Protocol,
    spread: Spread<'_>,
    lives: impl Fn(Ipv4Addr) -> bool,
) -> Result<Route, Refusal> {
    match route(settings, index, source, destination, protocol, spread, lives)? {
        Route::Outside(_) if settings.offline => Err(Refusal::Offline),
        route => Ok(route),
    }
}

/// Where it is, wherever that may be.
fn route(
    settings: &Settings,
    index: &Index,
    source: Source,
    destination: &Destination,
    protocol: Protocol,
    spread: Spread<'_>,
    lives: impl Fn(Ipv4Addr) -> bool,
) -> Result<Route, Refusal> {
    let endpoint = |key: &Key, port: &Port| {
        endpoint(settings, index, (key, port), (source, protocol), spread, &lives)
    };
    let address = match destination {
        Destination::Service(key, number) => {
            let service = index.service(key).ok_or(Refusal::NoOwner)?;
            let port = service.port(*number, protocol).ok_or(Refusal::NoSuchPort)?;
            return endpoint(key, port);
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
        return endpoint(key, port);
    }
    if *address.ip() == settings.node {
        let (key, port) = index.node_port(address.port(), protocol).ok_or(Refusal::NoOwner)?;
        return endpoint(key, port);
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

/// One endpoint of a Service, the one that the client had before if the Service keeps its clients. Slices written by hand
/// may name addresses outside the cluster, but never the host's loopback.
fn endpoint(
    settings: &Settings,
    index: &Index,
    (key, port): (&Key, &Port),
    (source, protocol): (Source, Protocol),
    spread: Spread<'_>,
    lives: &impl Fn(Ipv4Addr) -> bool,
) -> Result<Route, Refusal> {
    let is_ours = |ip| settings.pods.contains(ip);
    let usable = |ip| if is_ours(ip) { lives(ip) } else { is_routable(ip) };
    let pick = |usable: &dyn Fn(Ipv4Addr) -> bool| index.pick(key, port, spread.turn, usable);
    let kept_for = index
        .service(key)
        .and_then(|service| service.affinity)
        .map(|lasts| (Client { service: key.clone(), port: (port.port, protocol), source }, lasts));
    let before = kept_for.as_ref().and_then(|(client, _)| spread.affinity.given(client));
    let kept = before.and_then(|before| pick(&|ip| ip == before && usable(ip)));
    let chosen = kept.or_else(|| pick(&usable)).ok_or(Refusal::NoEndpoint)?;
    if let Some((client, lasts)) = kept_for {
        spread.affinity.keep(client, *chosen.ip(), lasts);
    }
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
        tcp_where(&samples::settings(), &samples::index(), source, destination)
    }

    fn tcp_where(
        settings: &Settings,
        index: &Index,
        source: Source,
        destination: Destination,
    ) -> Result<Route, Refusal> {
        let lives = |ip: Ipv4Addr| ip.octets()[3] < 10;
        let spread = Spread { turn: 0, affinity: &Affinity::default() };
        decide(settings, index, source, &destination, Protocol::Tcp, spread, lives)
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
    fn nothing_leaves_a_cluster_that_is_offline() {
        let settings = Settings { offline: true, ..samples::settings() };
        let mut index = samples::index();
        // A Service whose endpoints are elsewhere.
        index.put_service(
            Key::new("shop", "far"),
            samples::service(r#"{"clusterIP":"10.96.0.40","ports":[{"name":"http","port":80}]}"#),
        );
        let endpoints = r#"[{"addresses":["1.2.3.4"]}]"#;
        let slice = samples::slice("far", r#"[{"name":"http","port":443}]"#, endpoints);
        index.put_slice(Key::new("shop", "far-1"), slice);
        let ask = |settings: &Settings, source, address: &str| {
            let destination = Destination::Address(address.parse().unwrap());
            tcp_where(settings, &index, source, destination)
        };
        let source = Source::Pod(Ipv4Addr::new(10, 244, 0, 9));
        for outside in ["1.2.3.4:443", "10.96.0.40:80"] {
            let at = Route::Outside("1.2.3.4:443".parse().unwrap());
            assert_eq!(ask(&samples::settings(), source, outside), Ok(at));
            assert_eq!(ask(&settings, source, outside), Err(Refusal::Offline), "{outside}");
        }
        assert!(Refusal::Offline.denies());
        assert_eq!(ask(&settings, source, "10.96.0.20:80"), pod("10.244.0.5:8080"));
        let api = Route::Api("127.0.0.1:6443".parse().unwrap());
        assert_eq!(ask(&settings, source, "10.96.0.1:443"), Ok(api));
    }

    #[test]
    fn a_front_door_leads_to_its_service_only() {
        let web = |port| Destination::Service(Key::new("shop", "web"), port);
        assert_eq!(tcp(Source::Host, web(80)), pod("10.244.0.5:8080"));
        assert_eq!(tcp(Source::Host, web(8080)), Err(Refusal::NoSuchPort));
        let outside = Destination::Address("1.2.3.4:443".parse().unwrap());
        assert_eq!(tcp(Source::Host, outside), Err(Refusal::NotRoutable));
    }

    #[test]
    fn a_client_stays_with_its_endpoint_while_that_is_there() {
        let (settings, mut index) = (samples::settings(), samples::index());
        let keeps = r#"{"clusterIP":"10.96.0.20","sessionAffinity":"ClientIP","ports":[{"name":"http","port":80}]}"#;
        index.put_service(Key::new("shop", "web"), samples::service(keeps));
        let endpoints = r#"[{"addresses":["10.244.0.5"]},{"addresses":["10.244.0.6"]}]"#;
        let slice = samples::slice("web", r#"[{"name":"http","port":8080}]"#, endpoints);
        index.put_slice(Key::new("shop", "web-1"), slice);
        let affinity = Affinity::default();
        let web = Destination::Address("10.96.0.20:80".parse().unwrap());
        let go = |turn, pod, gone| {
            let source = Source::Pod(Ipv4Addr::new(10, 244, 0, pod));
            let spread = Spread { turn, affinity: &affinity };
            let lives = |ip: Ipv4Addr| ip.octets()[3] != gone;
            decide(&settings, &index, source, &web, Protocol::Tcp, spread, lives)
        };
        assert_eq!([go(0, 8, 0), go(1, 8, 0)], [pod("10.244.0.5:8080"), pod("10.244.0.5:8080")]);
        assert_eq!(go(1, 9, 0), pod("10.244.0.6:8080"), "another client has its own");
        assert_eq!([go(2, 8, 5), go(2, 8, 0)], [pod("10.244.0.6:8080"), pod("10.244.0.6:8080")]);
    }
}
