//! Host listeners that lead to Services: node ports.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use nix::ifaddrs::getifaddrs;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::decide::Destination;
use super::index::Key;
use super::proxy;
use crate::Cidr;

/// A node port being served.
struct Served {
    destination: (Key, u16),
    end: CancellationToken,
}

/// Listen for every TCP node port there is, as Services come and go, on the addresses that the settings name.
///
/// An address that the machine gets or loses counts when a Service next changes.
pub(super) async fn node_ports(shared: Arc<Shared>) {
    let mut served: HashMap<SocketAddrV4, Served> = HashMap::new();
    loop {
        shared.changed.notified().await;
        let wanted = shared.index().node_ports();
        let addresses = match addresses(&shared.settings.node_port_addresses) {
            Ok(addresses) => addresses,
            Err(error) => {
                tracing::warn!(%error, "cannot list the machine's addresses: those of before stay");
                served.keys().map(|at| *at.ip()).collect()
            }
        };
        served.retain(|at, was| {
            let stays =
                addresses.contains(at.ip()) && wanted.get(&at.port()) == Some(&was.destination);
            if !stays {
                was.end.cancel();
            }
            stays
        });
        for (port, destination) in wanted {
            for ip in &addresses {
                let at = SocketAddrV4::new(*ip, port);
                if served.contains_key(&at) {
                    continue;
                }
                match TcpListener::bind(at).await {
                    Ok(listener) => {
                        let end = CancellationToken::new();
                        let to = Destination::Service(destination.0.clone(), destination.1);
                        tokio::spawn(proxy::serve_host(shared.clone(), listener, to, end.clone()));
                        served.insert(at, Served { destination: destination.clone(), end });
                    }
                    Err(error) => tracing::warn!(
                        %at, service = %destination.0, %error,
                        "cannot listen on a node port; it is tried again when a Service changes"
                    ),
                }
            }
        }
    }
}

/// The machine's addresses in these ranges; one socket for all of them where a range leaves nothing out.
fn addresses(ranges: &[Cidr]) -> io::Result<BTreeSet<Ipv4Addr>> {
    if ranges.iter().any(|range| range.prefix() == 0) {
        return Ok(BTreeSet::from([Ipv4Addr::UNSPECIFIED]));
    }
    let interfaces = getifaddrs()?;
    let addresses = interfaces.filter_map(|one| Some(one.address?.as_sockaddr_in()?.ip()));
    Ok(addresses.filter(|ip| ranges.iter().any(|range| range.contains(*ip))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ranges: &[&str]) -> BTreeSet<Ipv4Addr> {
        let ranges: Vec<_> = ranges.iter().map(|range| range.parse().unwrap()).collect();
        addresses(&ranges).unwrap()
    }

    #[test]
    fn node_ports_are_served_on_the_addresses_in_range() {
        assert!(of(&["127.0.0.0/8"]).contains(&Ipv4Addr::LOCALHOST));
        assert!(of(&["127.0.0.0/8"]).iter().all(Ipv4Addr::is_loopback));
        assert_eq!(of(&["127.0.0.0/8", "0.0.0.0/0"]), BTreeSet::from([Ipv4Addr::UNSPECIFIED]));
        // Everybody's address is nobody's own.
        assert!(of(&["255.255.255.255/32"]).is_empty());
        assert!(of(&[]).is_empty());
    }
}
