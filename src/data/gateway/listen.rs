//! The ports that the Gateway's listeners ask for.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::reconcile::Opened;
use super::{Shared, proxy};

/// How long a client may take to send its headers.
const HEADERS: Duration = Duration::from_secs(30);

/// The open ports.
pub(super) struct Listeners {
    bind: IpAddr,
    open: BTreeMap<u16, CancellationToken>,
}

impl Listeners {
    pub(super) fn new(bind: IpAddr) -> Self {
        Self { bind, open: BTreeMap::new() }
    }

    /// Open and close ports until exactly `ports` are open. Connections of a
    /// closed port go on until they end.
    pub(super) async fn open(&mut self, shared: &Arc<Shared>, ports: &[u16]) -> Opened {
        self.open.retain(|port, end| {
            let stays = ports.contains(port);
            if !stays {
                end.cancel();
            }
            stays
        });
        let mut opened = Opened::new();
        for port in ports {
            let result = if self.open.contains_key(port) {
                Ok(())
            } else {
                match TcpListener::bind((self.bind, *port)).await {
                    Ok(listener) => {
                        let end = CancellationToken::new();
                        tokio::spawn(serve(shared.clone(), *port, listener, end.clone()));
                        self.open.insert(*port, end);
                        Ok(())
                    }
                    Err(error) => Err(format!("cannot listen on {}:{port}: {error}", self.bind)),
                }
            };
            opened.insert(*port, result);
        }
        opened
    }
}

/// Accept connections on a port until `end`.
pub(super) async fn serve(
    shared: Arc<Shared>,
    port: u16,
    listener: TcpListener,
    end: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = end.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                drop(tokio::spawn(connection(shared.clone(), port, stream, peer)))
            }
            Err(error) => {
                // Out of descriptors, most likely: others give some back.
                tracing::warn!(%error, "cannot accept a connection; trying again");
                sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

async fn connection(shared: Arc<Shared>, port: u16, stream: TcpStream, peer: SocketAddr) {
    // Without it, small answers wait for the acknowledgement of the ones before.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(proxy::answer(&shared, port, peer.ip(), request).await) }
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS).max_buf_size(64 * 1024);
    server.http2().timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(30));
    let served = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "a connection ended early");
    }
}
