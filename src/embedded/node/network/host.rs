//! Host listeners that lead to Services: front doors and node ports.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::decide::Destination;
use super::index::Key;
use super::proxy;

/// A node port being served.
struct Served {
    destination: (Key, u16),
    end: CancellationToken,
}

/// Listen on 127.0.0.1 for every TCP node port there is, as Services come and go.
pub(super) async fn node_ports(shared: Arc<Shared>) {
    let mut served: HashMap<u16, Served> = HashMap::new();
    loop {
        shared.changed.notified().await;
        let wanted = shared.index().node_ports();
        served.retain(|port, was| {
            let stays = wanted.get(port) == Some(&was.destination);
            if !stays {
                was.end.cancel();
            }
            stays
        });
        for (port, destination) in wanted {
            if served.contains_key(&port) {
                continue;
            }
            match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
                Ok(listener) => {
                    let end = CancellationToken::new();
                    let to = Destination::Service(destination.0.clone(), destination.1);
                    tokio::spawn(proxy::serve_host(shared.clone(), listener, to, end.clone()));
                    served.insert(port, Served { destination, end });
                }
                Err(error) => tracing::warn!(
                    port, service = %destination.0, %error,
                    "cannot listen on a node port; it is tried again when a Service changes"
                ),
            }
        }
    }
}
