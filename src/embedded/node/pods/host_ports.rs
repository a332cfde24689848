//! Ports of the host that lead into a pod, by TCP: on those of the machine's addresses on which node ports are served.
//!
//! The node has no privileges, and so no ports below 1024: a pod that asks for one runs without it, and is told.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::Cidr;
use crate::host_port::HostPort;
use crate::node::network::Network;

/// How long nobody is let in after that has failed: for lack of descriptors, it would fail at once again.
const REST: Duration = Duration::from_millis(100);

/// Open ports; they are closed, with their connections, when this is dropped at the latest.
pub(super) struct Open(CancellationToken);

impl Open {
    pub(super) fn close(&self) {
        self.0.cancel();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.close();
    }
}

/// Listens on the ports of a pod. The sentences are about those that the pod does not get.
///
/// # Errors
/// A port that another program has: it may be free later.
pub(super) async fn open(
    ports: &[HostPort],
    ranges: &[Cidr],
    pod: Ipv4Addr,
    network: &Network,
) -> Result<(Open, Vec<String>), String> {
    let (open, mut refused) = (Open(CancellationToken::new()), Vec::new());
    let (mut wanted, mut served) = (Vec::new(), HashSet::new());
    for port in ports.iter().filter(|port| port.protocol == "TCP") {
        match address(port, ranges) {
            Ok(at) => wanted.push((at, port)),
            Err(why) => refused.push(why),
        }
    }
    // Who has a port of all addresses has it of each.
    wanted.sort_by_key(|(at, _)| *at);
    for (at, port) in wanted {
        let everywhere = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, at.port());
        if served.contains(&everywhere) || !served.insert(at) {
            continue;
        }
        let listener = match TcpListener::bind(at).await {
            Ok(listener) => listener,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                refused.push(format!(
                    "hostPort {} is not served: the node has no privileges, and may listen on ports from 1024 on; \
                     use such a hostPort, or a Service of type NodePort",
                    port.port
                ));
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                let ip = at.ip();
                refused.push(format!(
                    "hostPort {} is not served: the machine has no address {ip}",
                    port.port
                ));
                continue;
            }
            Err(error) => return Err(format!("cannot listen on hostPort {at}: {error}")),
        };
        let (network, port) = (network.clone(), port.container_port);
        tokio::spawn(serve(listener, network, SocketAddrV4::new(pod, port), open.0.clone()));
    }
    Ok((open, refused))
}

/// Where to listen for a port.
fn address(port: &HostPort, ranges: &[Cidr]) -> Result<SocketAddrV4, String> {
    let everywhere = ranges.iter().any(|range| range.prefix() == 0);
    let ip = match port.ip {
        IpAddr::V4(ip) if ip.is_unspecified() && !everywhere => Ipv4Addr::LOCALHOST,
        IpAddr::V4(ip) if everywhere || ranges.iter().any(|range| range.contains(ip)) => ip,
        other => {
            let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
            return Err(format!(
                "hostPort {} is not served: its hostIP {other} is none of the addresses that this node listens on ({})",
                port.port,
                ranges.join(", ")
            ));
        }
    };
    Ok(SocketAddrV4::new(ip, port.port))
}

async fn serve(listener: TcpListener, network: Network, to: SocketAddrV4, end: CancellationToken) {
    let accept = async {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (network, end) = (network.clone(), end.clone());
                    tokio::spawn(end.run_until_cancelled_owned(carry(stream, network, to)));
                }
                Err(error) => {
                    tracing::warn!(%to, %error, "a connection to a port of the host was not accepted");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    };
    end.run_until_cancelled(accept).await;
}

/// Carries one connection to its end; one that nobody takes in the pod is closed.
async fn carry(mut from: TcpStream, network: Network, to: SocketAddrV4) {
    let carried = async {
        let mut stream = network.dial(*to.ip(), to.port()).await?;
        from.set_nodelay(true)?;
        stream.set_nodelay(true)?;
        tokio::io::copy_bidirectional(&mut from, &mut stream).await
    };
    if let Err(error) = carried.await {
        tracing::debug!(%to, %error, "a connection to a port of the host has ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_on_loopback_unless_more_is_asked_for_and_served() {
        let at = |ip: &str, ranges: &[&str]| {
            let ip = ip.parse().unwrap();
            let port = HostPort { ip, protocol: "TCP".to_owned(), port: 8080, container_port: 80 };
            let ranges: Vec<Cidr> = ranges.iter().map(|range| range.parse().unwrap()).collect();
            address(&port, &ranges).map(|at| at.to_string())
        };
        let loopback = ["127.0.0.0/8"];
        assert_eq!(at("0.0.0.0", &loopback).unwrap(), "127.0.0.1:8080");
        assert_eq!(at("127.0.0.9", &loopback).unwrap(), "127.0.0.9:8080");
        for other in ["192.0.2.1", "::1"] {
            let why = at(other, &loopback).unwrap_err();
            assert!(why.contains(&format!("its hostIP {other} is none")), "{why}");
            assert!(why.ends_with("(127.0.0.0/8)"), "{why}");
        }
        assert_eq!(at("0.0.0.0", &["0.0.0.0/0"]).unwrap(), "0.0.0.0:8080");
        assert_eq!(at("192.0.2.1", &["0.0.0.0/0"]).unwrap(), "192.0.2.1:8080");
    }
}
