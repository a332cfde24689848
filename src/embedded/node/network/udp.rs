//! Datagrams: one receiving task per pod, one table of sessions for all.
//!
//! A session remembers which endpoint a pod's datagrams to a Service go to,
//! and by which name the answers have to come back.

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Shared;
use super::decide::{Destination, Route, Source};
use super::dns;
use super::index::Protocol;
use super::packet::MAX_PAYLOAD;
use super::pods::Pod;
use super::sight::{Flow, Side};

/// A session without datagrams for this long is forgotten.
const IDLE: Duration = Duration::from_secs(60);
/// Sessions of all pods together; above it the idle ones go, then new ones are dropped.
const MOST: usize = 4096;

/// Who talks to whom, as the client names it.
type Ends = (SocketAddrV4, SocketAddrV4);

/// All sessions.
#[derive(Default)]
pub(super) struct Sessions(Mutex<Table>);

#[derive(Default)]
struct Table {
    /// By client and the address it sends to.
    forward: HashMap<Ends, Session>,
    /// By endpoint and client: the address that the client knows.
    back: HashMap<Ends, SocketAddrV4>,
}

struct Session {
    way: Way,
    /// What was decided on it.
    route: Route,
    used: Instant,
    flow: Seen,
}

/// What counts the datagrams of a session, if anything does.
type Seen = Option<Arc<Flow>>;

#[derive(Clone)]
enum Way {
    Pod(SocketAddrV4),
    /// A socket of the host; what brings its answers back ends with the last of these.
    Outside {
        socket: Arc<UdpSocket>,
        _open: Arc<DropGuard>,
    },
}

impl Sessions {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, ends: Ends) -> Option<(Way, Seen)> {
        let mut table = self.table();
        let session = table.forward.get_mut(&ends)?;
        session.used = Instant::now();
        Some((session.way.clone(), session.flow.clone()))
    }

    /// The name under which `client` knows `endpoint`, when this is an answer.
    fn answers_as(
        &self,
        endpoint: SocketAddrV4,
        client: SocketAddrV4,
    ) -> Option<(SocketAddrV4, Seen)> {
        let mut table = self.table();
        let name = *table.back.get(&(endpoint, client))?;
        let session = table.forward.get_mut(&(client, name));
        let flow = session.and_then(|session| {
            session.used = Instant::now();
            session.flow.clone()
        });
        Some((name, flow))
    }

    /// Remember a way; `false` when there is no room.
    fn remember(&self, ends: Ends, (route, way): (Route, Way), flow: Seen) -> bool {
        let mut table = self.table();
        if table.forward.len() >= MOST {
            table.forget(|_, session| session.used.elapsed() > IDLE);
        }
        if table.forward.len() >= MOST {
            return false;
        }
        if let Way::Pod(endpoint) = way {
            table.back.insert((endpoint, ends.0), ends.1);
        }
        table.forward.insert(ends, Session { way, route, used: Instant::now(), flow });
        true
    }

    /// Forget what is not to be kept, by its source and its route.
    pub(super) fn retain(&self, keep: impl Fn(Source, Route) -> bool) {
        self.table().forget(|(client, _), session| !keep(Source::Pod(*client.ip()), session.route));
    }

    /// Forget everything that leads from or to this pod.
    pub(super) fn forget_pod(&self, ip: Ipv4Addr) {
        let mut table = self.table();
        table.forward.retain(|(client, _), session| {
            let into = matches!(session.way, Way::Pod(endpoint) if *endpoint.ip() == ip);
            *client.ip() != ip && !into
        });
        table.back.retain(|(endpoint, client), _| *endpoint.ip() != ip && *client.ip() != ip);
    }

    fn forget(&self, ends: Ends) {
        let mut table = self.table();
        if let Some(Session { way: Way::Pod(endpoint), .. }) = table.forward.remove(&ends) {
            table.back.remove(&(endpoint, ends.0));
        }
    }
}

impl Table {
    fn forget(&mut self, is_over: impl Fn(&Ends, &Session) -> bool) {
        let Self { forward, back } = self;
        forward.retain(|ends, session| {
            let over = is_over(ends, session);
            if let (true, Way::Pod(endpoint)) = (over, &session.way) {
                back.remove(&(*endpoint, ends.0));
            }
            !over
        });
    }
}

/// Receive from a pod's socket until the pod is detached.
pub(super) async fn serve(shared: Arc<Shared>, pod: Arc<Pod>, socket: UdpSocket) {
    tokio::select! {
        () = shared.gate.passed() => {}
        () = pod.gone.cancelled() => return,
    }
    loop {
        let ready = tokio::select! {
            ready = socket.readable() => ready,
            () = pod.gone.cancelled() => return,
        };
        if let Err(error) = ready {
            tracing::error!(pod = pod.identity.name, %error, "datagrams of this pod are lost");
            return;
        }
        let mut buffer = vec![0; MAX_PAYLOAD];
        loop {
            match socket.try_io(Interest::READABLE, || receive(&socket, &mut buffer)) {
                Ok((length, client, target)) => {
                    datagram(&shared, &pod, client, target, &buffer[..length]).await;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => tracing::debug!(%error, "cannot receive a datagram"),
            }
            tokio::task::coop::consume_budget().await;
        }
    }
}

/// One datagram with its sender and the address it was sent to.
fn receive(
    socket: &UdpSocket,
    buffer: &mut [u8],
) -> io::Result<(usize, SocketAddrV4, SocketAddrV4)> {
    let mut control = nix::cmsg_space!(libc::sockaddr_in);
    let mut into = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrIn>(
        socket.as_raw_fd(),
        &mut into,
        Some(&mut control),
        MsgFlags::MSG_DONTWAIT,
    )?;
    let target = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4OrigDstAddr(address) => Some(SocketAddrV4::new(
            Ipv4Addr::from_bits(u32::from_be(address.sin_addr.s_addr)),
            u16::from_be(address.sin_port),
        )),
        _ => None,
    });
    match (message.address, target) {
        (Some(client), Some(target)) => Ok((message.bytes, client.into(), target)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "a datagram without its addresses")),
    }
}

async fn datagram(
    shared: &Arc<Shared>,
    pod: &Arc<Pod>,
    client: SocketAddrV4,
    target: SocketAddrV4,
    payload: &[u8],
) {
    // What a packet says of its own source counts only if it is the pod's.
    if *client.ip() != pod.identity.ip {
        return;
    }
    if let Some((name, flow)) = shared.sessions.answers_as(client, target) {
        count(&flow, Side::Server, payload);
        return deliver(shared, name, target, payload);
    }
    let known = match shared.sessions.known((client, target)) {
        Some((Way::Pod(endpoint), _)) if !shared.pods.lives(*endpoint.ip()) => None,
        known => known,
    };
    let (way, flow) = match known {
        Some(known) => known,
        None => match open(shared, pod, client, target, payload).await {
            Some(opened) => opened,
            None => return,
        },
    };
    count(&flow, Side::Client, payload);
    match way {
        Way::Pod(endpoint) => deliver(shared, client, endpoint, payload),
        // Full buffers lose datagrams, as on any network.
        Way::Outside { socket, .. } => drop(socket.try_send(payload)),
    }
}

/// Decide on a datagram without a session. Queries to the name server are
/// answered here and need none.
async fn open(
    shared: &Arc<Shared>,
    pod: &Arc<Pod>,
    client: SocketAddrV4,
    target: SocketAddrV4,
    payload: &[u8],
) -> Option<(Way, Seen)> {
    let source = Source::Pod(pod.identity.ip);
    let destination = Destination::Address(target);
    let decided = shared.decide(source, &destination, Protocol::Udp);
    let route =
        decided.and_then(|route| shared.admit(source, route, Protocol::Udp).map(|()| route));
    let into = match decided {
        Ok(Route::Pod(endpoint)) => shared.pods.by_ip(*endpoint.ip()),
        _ => None,
    };
    let verdict = (decided, route.err());
    let flow = shared.flow(Some(pod), &destination, verdict, into.as_ref(), Protocol::Udp);
    let way = match route {
        Ok(Route::Dns) => {
            let (shared, pod, query) = (shared.clone(), pod.clone(), payload.to_vec());
            tokio::spawn(async move {
                if let Some(answer) = dns::respond(&shared, &query, dns::Transport::Udp).await {
                    let _ = pod.deliver(target, client.port(), &answer);
                }
            });
            return None;
        }
        Ok(Route::Pod(endpoint)) => Way::Pod(endpoint),
        Ok(Route::Outside(address)) => {
            outside(shared, pod, client, address, flow.clone()).await.ok()?
        }
        Ok(Route::Api(_)) => return None,
        Err(refusal) => {
            tracing::debug!(%client, %target, %refusal, "datagram refused");
            return None;
        }
    };
    let leads = (route.ok()?, way.clone());
    let mut room = shared.sessions.remember((client, target), leads, flow.clone());
    if room && shared.admit(source, route.ok()?, Protocol::Udp).is_err() {
        // The rules have changed while the socket was made, and what they end was looked for without this.
        shared.sessions.forget((client, target));
        room = false;
    }
    if let (true, Some(flow)) = (room, &flow) {
        flow.forwarded();
    }
    room.then_some((way, flow))
}

fn count(flow: &Seen, side: Side, payload: &[u8]) {
    if let Some(flow) = flow {
        flow.count(side, payload.len());
    }
}

fn deliver(shared: &Shared, source: SocketAddrV4, target: SocketAddrV4, payload: &[u8]) {
    if let Some(pod) = shared.pods.by_ip(*target.ip()) {
        let _ = pod.deliver(source, target.port(), payload);
    }
}

/// A socket of the host for one session, with a task that brings answers back
/// until the session has been idle for [`IDLE`], or is forgotten.
async fn outside(
    shared: &Arc<Shared>,
    pod: &Arc<Pod>,
    client: SocketAddrV4,
    target: SocketAddrV4,
    flow: Seen,
) -> io::Result<Way> {
    let socket = Arc::new(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?);
    socket.connect(target).await?;
    // A new socket is not known to be writable before the runtime has looked.
    socket.writable().await?;
    let (shared, pod, answers) = (shared.clone(), pod.clone(), socket.clone());
    let forgotten = CancellationToken::new();
    let _open = Arc::new(forgotten.clone().drop_guard());
    tokio::spawn(async move {
        loop {
            let readable = tokio::select! {
                biased;
                () = forgotten.cancelled() => return,
                () = pod.gone.cancelled() => break,
                readable = timeout(IDLE, answers.readable()) => readable,
            };
            match readable {
                Ok(Ok(())) => {
                    let mut buffer = vec![0; MAX_PAYLOAD];
                    while let Ok(length) = answers.try_recv(&mut buffer) {
                        count(&flow, Side::Server, &buffer[..length]);
                        let _ = pod.deliver(target, client.port(), &buffer[..length]);
                    }
                }
                Ok(Err(_)) => break,
                Err(_) if shared.sessions.idle((client, target)) => break,
                Err(_) => {}
            }
        }
        shared.sessions.forget((client, target));
    });
    Ok(Way::Outside { socket, _open })
}

impl Sessions {
    fn idle(&self, ends: Ends) -> bool {
        self.table().forward.get(&ends).is_none_or(|session| session.used.elapsed() >= IDLE)
    }
}
