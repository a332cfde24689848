//! The stock of sockets that can be dialled into one pod.
//!
//! Only the pod's shim can make them, so they are used again: a connection
//! that ended cleanly gives its socket back.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::sandbox::DIAL_BATCH;

/// Asks the pod's shim for that many more sockets; must not block.
pub type Refill = Box<dyn Fn(usize) + Send + Sync>;

/// Below this many a new batch is asked for.
const LOW: usize = DIAL_BATCH / 4;
/// More than this many are not kept.
const MOST: usize = DIAL_BATCH * 4;
/// How long a dial waits for the shim to send sockets.
const REFILL: Duration = Duration::from_secs(5);
/// How long a pod's kernel may take to answer; only a full accept queue delays it.
const CONNECT: Duration = Duration::from_secs(10);

pub(super) struct Pool {
    free: Mutex<Vec<OwnedFd>>,
    refill: Refill,
    asked: AtomicBool,
    arrived: Notify,
}

impl Pool {
    pub(super) fn new(sockets: Vec<OwnedFd>, refill: Refill) -> Self {
        let asked = AtomicBool::new(false);
        Self { free: Mutex::new(sockets), refill, asked, arrived: Notify::new() }
    }

    /// Add a batch that the shim sent.
    pub(super) fn add(&self, sockets: Vec<OwnedFd>) {
        self.free().extend(sockets);
        self.asked.store(false, Ordering::Release);
        self.arrived.notify_waiters();
    }

    /// Connect from `source` to `target`, an address of this pod.
    ///
    /// # Errors
    /// As `connect` reports them, or `TimedOut` when the shim sends no socket
    /// or the pod does not accept.
    pub(super) async fn dial(
        &self,
        source: Ipv4Addr,
        target: SocketAddrV4,
    ) -> io::Result<TcpStream> {
        let socket = TcpSocket::from_std_stream(self.take().await?.into());
        socket.bind(SocketAddrV4::new(source, 0).into())?;
        let connected = timeout(CONNECT, socket.connect(SocketAddr::V4(target))).await;
        connected.map_err(|_| timed_out("the pod did not accept the connection within 10 s"))?
    }

    /// Keep the socket of a connection that has ended, if the kernel is
    /// through with it; anything else is closed as usual.
    pub(super) fn recycle(&self, stream: TcpStream) {
        let Ok(stream) = stream.into_std() else { return };
        let socket = OwnedFd::from(stream);
        if self.free().len() < MOST && is_closed(socket.as_raw_fd()) && disconnect(&socket).is_ok()
        {
            self.free().push(socket);
        }
    }

    async fn take(&self) -> io::Result<OwnedFd> {
        loop {
            let arrived = self.arrived.notified();
            let (socket, left) = {
                let mut free = self.free();
                (free.pop(), free.len())
            };
            if left < LOW && !self.asked.swap(true, Ordering::AcqRel) {
                (self.refill)(DIAL_BATCH);
            }
            if let Some(socket) = socket {
                return Ok(socket);
            }
            if timeout(REFILL, arrived).await.is_err() {
                self.asked.store(false, Ordering::Release);
                return Err(timed_out("the pod's shim sent no sockets within 5 s"));
            }
        }
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<OwnedFd>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn timed_out(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, text)
}

/// Whether both directions have been closed *and* acknowledged. Taking a
/// socket back earlier would cut off what the pod has not read yet.
#[allow(unsafe_code, reason = "TCP_INFO has no safe wrapper")]
fn is_closed(socket: RawFd) -> bool {
    const TCP_CLOSE: u8 = 7;
    let mut state = 0_u8;
    let mut length: libc::socklen_t = 1;
    // SAFETY: the kernel writes at most `length` bytes, here one, to `state`,
    // which lives as long as the call; the first byte of `tcp_info` is the state.
    let result = unsafe {
        let value = (&raw mut state).cast();
        libc::getsockopt(socket, libc::IPPROTO_TCP, libc::TCP_INFO, value, &raw mut length)
    };
    result == 0 && state == TCP_CLOSE
}

/// Undo `connect` and `bind`, so that the socket is as it was made.
#[allow(unsafe_code, reason = "no safe wrapper takes an address of family AF_UNSPEC")]
fn disconnect(socket: &OwnedFd) -> io::Result<()> {
    let nobody = libc::sockaddr { sa_family: libc::AF_UNSPEC as u16, sa_data: [0; 14] };
    let length = size_of::<libc::sockaddr>() as libc::socklen_t;
    // SAFETY: `nobody` is a whole sockaddr of that length and outlives the call.
    match unsafe { libc::connect(socket.as_raw_fd(), &raw const nobody, length) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn plain_socket() -> OwnedFd {
        use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap()
    }

    fn v4(listener: &TcpListener) -> SocketAddrV4 {
        match listener.local_addr().unwrap() {
            SocketAddr::V4(address) => address,
            SocketAddr::V6(_) => unreachable!("bound to IPv4"),
        }
    }

    #[tokio::test]
    async fn one_socket_serves_many_connections_in_turn() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = Pool::new(vec![plain_socket()], Box::new(|_| {}));
        for round in 0..3_u8 {
            let source = Ipv4Addr::new(127, 0, 0, 2 + round);
            let mut stream = pool.dial(source, v4(&listener)).await.unwrap();
            let (mut accepted, peer) = listener.accept().await.unwrap();
            assert_eq!(peer.ip(), source);
            accepted.write_all(&[round]).await.unwrap();
            assert_eq!(stream.read_u8().await.unwrap(), round);
            drop(accepted);
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
            stream.shutdown().await.unwrap();
            pool.recycle(stream);
            assert_eq!(pool.free().len(), 1, "round {round}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_is_still_open_is_not_recycled() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = Pool::new(vec![plain_socket()], Box::new(|_| {}));
        let stream = pool.dial(Ipv4Addr::LOCALHOST, v4(&listener)).await.unwrap();
        let _accepted = listener.accept().await.unwrap();
        pool.recycle(stream);
        assert!(pool.free().is_empty());
    }

    #[tokio::test]
    async fn an_empty_pool_asks_once_and_waits_for_the_batch() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let refill: Refill = Box::new(move |batch| {
            assert_eq!(batch, DIAL_BATCH);
            count.fetch_add(1, Ordering::Relaxed);
        });
        let pool = Pool::new(Vec::new(), refill);
        let batch = || (0..DIAL_BATCH).map(|_| plain_socket()).collect();
        let dial = || pool.dial(Ipv4Addr::LOCALHOST, v4(&listener));
        let (first, second, ()) = tokio::join!(dial(), dial(), async { pool.add(batch()) });
        first.unwrap();
        second.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
}
