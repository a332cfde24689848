//! Connections: from a pod's transparent listener, or from a host listener, to
//! where they were decided to go.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::decide::{Destination, Refusal, Route, Source};
use super::dns;
use super::index::Protocol;
use super::pods::Pod;
use super::policy::Changes;
use super::relay::{ResetUnlessDone, relay, reset};
use super::sight::Flow;

/// How long the world outside may take to accept.
const OUTSIDE: Duration = Duration::from_secs(30);
/// What a detached pod's connections get to finish.
const DRAIN: Duration = Duration::from_secs(1);

/// Serve a pod's listener until the pod is detached.
pub(super) async fn serve_pod(shared: Arc<Shared>, pod: Arc<Pod>, listener: TcpListener) {
    let accept = |stream: TcpStream| {
        let Ok(SocketAddr::V4(address)) = stream.local_addr() else { return };
        let (shared, pod) = (shared.clone(), pod.clone());
        tokio::spawn(async move {
            let destination = Destination::Address(address);
            connection(&shared, Some(&pod), destination, stream, &pod.gone).await;
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
            connection(&shared, None, destination, stream, &end).await;
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

/// Carry one connection to its end, from a pod or, without one, from the host. A refusal, a failed dial, a connection
/// that breaks and one that policies no longer allow all reach the client as a reset.
async fn connection(
    shared: &Shared,
    from: Option<&Arc<Pod>>,
    destination: Destination,
    stream: TcpStream,
    source_gone: &CancellationToken,
) {
    let source = from.map_or(Source::Host, |pod| Source::Pod(pod.identity.ip));
    let changes = shared.policies.changes();
    let decided = shared.decide(source, &destination, Protocol::Tcp);
    let admitted =
        decided.and_then(|route| shared.admit(source, route, Protocol::Tcp).map(|()| route));
    let into = match decided {
        Ok(Route::Pod(target)) => shared.pods.by_ip(*target.ip()),
        _ => None,
    };
    let verdict = (decided, admitted.err());
    let flow = shared.flow(from, &destination, verdict, into.as_ref(), Protocol::Tcp);
    let seen = flow.as_deref();
    let route = match admitted {
        Ok(route) => route,
        Err(refusal) => {
            tracing::debug!(?source, ?destination, %refusal, "connection refused");
            return reset(&stream);
        }
    };
    let serve = async {
        match route {
            Route::Dns => {
                tokio::select! {
                    done = dns::serve_stream(shared, &stream) => done,
                    () = source_gone.cancelled() => Ok(()),
                }
            }
            Route::Pod(target) => match into {
                Some(pod) => {
                    into_pod(shared, source, &pod, target.port(), &stream, source_gone, seen).await
                }
                None => Err(io::ErrorKind::ConnectionRefused.into()),
            },
            Route::Api(target) => outside(target, &stream, source_gone, seen).await,
            Route::Outside(target) => outside(target.into(), &stream, source_gone, seen).await,
        }
    };
    let done = tokio::select! {
        done = serve => done,
        refusal = forbidden(shared, changes, source, route) => {
            Err(io::Error::new(io::ErrorKind::PermissionDenied, refusal))
        }
    };
    if let Err(error) = done {
        tracing::debug!(?source, ?destination, %error, "connection reset");
        if let Some(flow) = seen {
            flow.broke(&error);
        }
        reset(&stream);
    }
}

/// Wait until the policies no longer allow a connection.
async fn forbidden(shared: &Shared, mut changes: Changes, source: Source, route: Route) -> Refusal {
    loop {
        if source == Source::Host || changes.changed().await.is_err() {
            // Nothing forbids what comes from the host, and nothing changes any more when the network is gone.
            std::future::pending::<()>().await;
        }
        if let Err(refusal) = shared.admit(source, route, Protocol::Tcp) {
            return refusal;
        }
    }
}

/// Dial `port` of `pod`, with the address that the pod shall see as its peer.
pub(super) async fn dial(pod: &Pod, source: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
    dial_at(pod, source, SocketAddrV4::new(pod.identity.ip, port)).await
}

/// Dial `port` of `pod` as its own programs do.
pub(super) async fn dial_loopback(pod: &Pod, port: u16) -> io::Result<TcpStream> {
    dial_at(pod, Ipv4Addr::LOCALHOST, SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).await
}

async fn dial_at(pod: &Pod, source: Ipv4Addr, target: SocketAddrV4) -> io::Result<TcpStream> {
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
    flow: Option<&Flow>,
) -> io::Result<()> {
    let from = match source {
        Source::Pod(ip) => ip,
        Source::Host => shared.settings.node,
    };
    let upstream = dial(pod, from, port).await?;
    let orderly = ResetUnlessDone::new(&upstream);
    if let Some(flow) = flow {
        flow.forwarded();
    }
    let ended = tokio::select! {
        ended = relay(stream, &upstream, flow) => ended,
        () = drained(source_gone) => Err(io::ErrorKind::ConnectionAborted.into()),
        () = drained(&pod.gone) => Err(io::ErrorKind::ConnectionAborted.into()),
    };
    if ended.is_ok() {
        orderly.done();
        pod.pool.recycle(upstream);
    }
    ended
}

async fn outside(
    target: SocketAddr,
    stream: &TcpStream,
    source_gone: &CancellationToken,
    flow: Option<&Flow>,
) -> io::Result<()> {
    let connect = timeout(OUTSIDE, TcpStream::connect(target));
    let upstream = tokio::select! {
        connected = connect => connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??,
        () = source_gone.cancelled() => return Err(io::ErrorKind::ConnectionAborted.into()),
    };
    upstream.set_nodelay(true)?;
    let orderly = ResetUnlessDone::new(&upstream);
    if let Some(flow) = flow {
        flow.forwarded();
    }
    let ended = tokio::select! {
        ended = relay(stream, &upstream, flow) => ended,
        () = drained(source_gone) => Err(io::ErrorKind::ConnectionAborted.into()),
    };
    if ended.is_ok() {
        orderly.done();
    }
    ended
}

async fn drained(gone: &CancellationToken) {
    gone.cancelled().await;
    sleep(DRAIN).await;
}
