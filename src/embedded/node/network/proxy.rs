//! Connections: from a pod's transparent listener, or from a host listener, to
//! where they were decided to go.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::decide::{Destination, Route, Source};
use super::dns;
use super::index::Protocol;
use super::pods::Pod;
use super::relay::{relay, reset};

/// How long the world outside may take to accept.
const OUTSIDE: Duration = Duration::from_secs(30);
/// What a detached pod's connections get to finish.
const DRAIN: Duration = Duration::from_secs(1);

/// Serve a pod's listener until the pod is detached.
pub(super) async fn serve_pod(shared: Arc<Shared>, pod: Arc<Pod>, listener: TcpListener) {
    let source = Source::Pod(pod.identity.ip);
    let accept = |stream: TcpStream| {
        let Ok(SocketAddr::V4(address)) = stream.local_addr() else { return };
        let (shared, gone) = (shared.clone(), pod.gone.clone());
        tokio::spawn(async move {
            connection(&shared, source, Destination::Address(address), stream, &gone).await;
        });
    };
    serve(&shared, listener, &pod.gone, accept).await;
}

/// Serve a host listener that leads to one Service until `end`.
pub(super) async fn serve_host(
    shared: Arc<Shared>,
    listener: TcpListener,
    destination: Destination,
    end: CancellationToken,
) {
    let accept = |stream: TcpStream| {
        let (shared, destination, end) = (shared.clone(), destination.clone(), end.clone());
        // Without it, small answers wait for the acknowledgement of the ones before.
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            connection(&shared, Source::Host, destination, stream, &end).await;
        });
    };
    serve(&shared, listener, &end, accept).await;
}

async fn serve(
    shared: &Shared,
    listener: TcpListener,
    end: &CancellationToken,
    accept: impl Fn(TcpStream),
) {
    tokio::select! {
        () = shared.gate.passed() => {}
        () = end.cancelled() => return,
    }
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = end.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => accept(stream),
            Err(error) => {
                // Out of descriptors, most likely: those in use come back as connections end.
                tracing::warn!(%error, "cannot accept a connection; trying again");
                sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// Carry one connection to its end. A refusal, a failed dial and a connection
/// that breaks all reach the client as a reset.
async fn connection(
    shared: &Shared,
    source: Source,
    destination: Destination,
    stream: TcpStream,
    source_gone: &CancellationToken,
) {
    let route = match shared.decide(source, &destination, Protocol::Tcp) {
        Ok(route) => route,
        Err(refusal) => {
            tracing::debug!(?source, ?destination, %refusal, "connection refused");
            return reset(&stream);
        }
    };
    let done = match route {
        Route::Dns => {
            tokio::select! {
                done = dns::serve_stream(shared, &stream) => done,
                () = source_gone.cancelled() => Ok(()),
            }
        }
        Route::Pod(target) => match shared.pods.by_ip(*target.ip()) {
            Some(pod) => into_pod(shared, source, &pod, target.port(), &stream, source_gone).await,
            None => Err(io::ErrorKind::ConnectionRefused.into()),
        },
        Route::Api(target) => outside(target, &stream, source_gone).await,
        Route::Outside(target) => outside(target.into(), &stream, source_gone).await,
    };
    if let Err(error) = done {
        tracing::debug!(?source, ?destination, %error, "connection reset");
        reset(&stream);
    }
}

/// Dial `port` of `pod`, with the address that the pod shall see as its peer.
pub(super) async fn dial(pod: &Pod, source: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
    let target = std::net::SocketAddrV4::new(pod.identity.ip, port);
    tokio::select! {
        connected = pod.pool.dial(source, target) => connected,
        () = pod.gone.cancelled() => Err(io::ErrorKind::ConnectionRefused.into()),
    }
}

async fn into_pod(
    shared: &Shared,
    source: Source,
    pod: &Pod,
    port: u16,
    stream: &TcpStream,
    source_gone: &CancellationToken,
) -> io::Result<()> {
    let from = match source {
        Source::Pod(ip) => ip,
        Source::Host => shared.settings.node,
    };
    let upstream = dial(pod, from, port).await?;
    let ended = tokio::select! {
        ended = relay(stream, &upstream) => ended,
        () = drained(source_gone) => Err(io::ErrorKind::ConnectionAborted.into()),
        () = drained(&pod.gone) => Err(io::ErrorKind::ConnectionAborted.into()),
    };
    match ended {
        Ok(()) => pod.pool.recycle(upstream),
        Err(_) => reset(&upstream),
    }
    ended
}

async fn outside(
    target: SocketAddr,
    stream: &TcpStream,
    source_gone: &CancellationToken,
) -> io::Result<()> {
    let connect = timeout(OUTSIDE, TcpStream::connect(target));
    let upstream = tokio::select! {
        connected = connect => connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??,
        () = source_gone.cancelled() => return Err(io::ErrorKind::ConnectionAborted.into()),
    };
    upstream.set_nodelay(true)?;
    let ended = tokio::select! {
        ended = relay(stream, &upstream) => ended,
        () = drained(source_gone) => Err(io::ErrorKind::ConnectionAborted.into()),
    };
    if ended.is_err() {
        reset(&upstream);
    }
    ended
}

async fn drained(gone: &CancellationToken) {
    gone.cancelled().await;
    sleep(DRAIN).await;
}
