//! What a shim does inside a pod's fresh network namespace: configure it once,
//! then make the sockets that the node will serve.
//!
//! Synchronous and free of threads, so that a forked, single-threaded shim may
//! call it. Descriptors travel to the node by `SCM_RIGHTS` in the order of
//! [`PodSockets::into_fds`].

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockProtocol, SockType, SockaddrIn, bind, listen, setsockopt,
    socket, sockopt,
};

use super::{nft, route};
use crate::node::rootless::Ids;

/// Where the transparent listener sits inside each pod. Only TPROXY sends
/// connections here; one that names this address itself is refused.
pub const PROXY_ADDRESS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 15001);

/// Dial sockets that go along with the first hand-over, and the size of each
/// later batch. Sockets return to the pool when their connection ends cleanly,
/// so this bounds concurrency without a refill, not the number of connections.
pub const DIAL_BATCH: usize = 16;

/// Most descriptors that one `SCM_RIGHTS` message carries.
pub const MAX_FDS: usize = 253;

const BACKLOG: i32 = 4096;

/// A step of the sandbox's network that the kernel refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Addresses and routes.
    #[error("cannot configure the pod's loopback for {ip}: {source}")]
    Route {
        /// The pod's address.
        ip: Ipv4Addr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The nftables chain.
    #[error(
        "cannot install the pod's TPROXY rules: {source}; \
         the kernel needs nf_tables and nft_tproxy (CONFIG_NFT_TPROXY)"
    )]
    Nft {
        /// What the kernel said.
        source: io::Error,
    },
    /// A kernel setting of the namespace.
    #[error("cannot set {path} in the pod's namespace: {source}; is /proc/sys mounted read-only?")]
    Sysctl {
        /// The file below `/proc/sys`.
        path: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// A socket or one of its options.
    #[error("cannot make the pod's {what}: {source}")]
    Socket {
        /// Which socket.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// A hand-over with too few descriptors.
    #[error("the shim handed over {got} descriptors, at least 3 are needed")]
    Handover {
        /// How many arrived.
        got: usize,
    },
}

/// The sockets through which the node serves one pod. All are non-blocking,
/// close-on-exec and live in the pod's network namespace.
#[derive(Debug)]
pub struct PodSockets {
    /// Transparent TCP listener: everything the pod connects to arrives here.
    pub listener: OwnedFd,
    /// Transparent UDP socket; each datagram comes with its original destination.
    pub udp: OwnedFd,
    /// Raw socket: datagrams *into* the pod, with the source they claim.
    pub raw: OwnedFd,
    /// Unconnected TCP sockets for connections into the pod.
    pub dial: Vec<OwnedFd>,
}

impl PodSockets {
    /// Flatten for `SCM_RIGHTS`: listener, UDP, raw, then the dial sockets.
    pub fn into_fds(self) -> Vec<OwnedFd> {
        [self.listener, self.udp, self.raw].into_iter().chain(self.dial).collect()
    }

    /// The inverse of [`into_fds`](Self::into_fds).
    ///
    /// # Errors
    /// [`Error::Handover`] when fewer than three descriptors arrived.
    pub fn from_fds(fds: Vec<OwnedFd>) -> Result<Self, Error> {
        let got = fds.len();
        let mut fds = fds.into_iter();
        match (fds.next(), fds.next(), fds.next()) {
            (Some(listener), Some(udp), Some(raw)) => {
                Ok(Self { listener, udp, raw, dial: fds.collect() })
            }
            _ => Err(Error::Handover { got }),
        }
    }
}

/// Configure the calling thread's network namespace for a pod with address
/// `ip`: loopback, routes, TPROXY rules and kernel settings. Repeatable.
///
/// # Errors
/// Names the step that the kernel refused. Needs `CAP_NET_ADMIN` in the
/// namespace's user namespace, and `/proc` writable.
pub fn configure(ip: Ipv4Addr) -> Result<(), Error> {
    route::configure(ip).map_err(|source| Error::Route { ip, source })?;
    nft::install(ip, PROXY_ADDRESS).map_err(|source| Error::Nft { source })?;
    // Containers without root bind port 80, as on any kubelet.
    sysctl("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")?;
    // Unprivileged ping, as container runtimes allow it.
    sysctl("/proc/sys/net/ipv4/ping_group_range", &ping_groups(&Ids::read()))?;
    // Short connections from one client pod must not run out of ports.
    sysctl("/proc/sys/net/ipv4/tcp_tw_reuse", "1")
}

/// Make the sockets of the calling thread's network namespace, with `dial`
/// dial sockets among them.
///
/// # Errors
/// [`Error::Socket`]; transparent and raw sockets need `CAP_NET_ADMIN` and
/// `CAP_NET_RAW` in the namespace.
pub fn open(dial: usize) -> Result<PodSockets, Error> {
    Ok(PodSockets {
        listener: listener().map_err(named("transparent listener"))?,
        udp: udp().map_err(named("transparent UDP socket"))?,
        raw: socket(AddressFamily::Inet, SockType::Raw, flags(), SockProtocol::Raw)
            .map_err(named("raw socket"))?,
        dial: dial_sockets(dial)?,
    })
}

/// Make `count` unconnected TCP sockets that may be bound to any source
/// address and dialled into this pod.
///
/// # Errors
/// [`Error::Socket`].
pub fn dial_sockets(count: usize) -> Result<Vec<OwnedFd>, Error> {
    (0..count).map(|_| dial_socket().map_err(named("dial socket"))).collect()
}

fn flags() -> SockFlag {
    SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK
}

fn named(what: &'static str) -> impl Fn(nix::Error) -> Error {
    move |errno| Error::Socket { what, source: errno.into() }
}

fn sysctl(path: &'static str, value: &str) -> Result<(), Error> {
    fs::write(path, value).map_err(|source| Error::Sysctl { path, source })
}

/// Everybody: a user namespace takes no group that it does not have.
fn ping_groups(ids: &Ids) -> String {
    let last = if ids.are_the_machines() { i32::MAX as u64 } else { ids.last_group() };
    format!("0 {last}")
}

fn listener() -> nix::Result<OwnedFd> {
    let fd = socket(AddressFamily::Inet, SockType::Stream, flags(), None)?;
    setsockopt(&fd, sockopt::IpTransparent, &true)?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    setsockopt(&fd, sockopt::TcpNoDelay, &true)?;
    bind(fd.as_raw_fd(), &SockaddrIn::from(PROXY_ADDRESS))?;
    listen(&fd, Backlog::new(BACKLOG)?)?;
    Ok(fd)
}

fn udp() -> nix::Result<OwnedFd> {
    let fd = socket(AddressFamily::Inet, SockType::Datagram, flags(), None)?;
    setsockopt(&fd, sockopt::IpTransparent, &true)?;
    setsockopt(&fd, sockopt::Ipv4OrigDstAddr, &true)?;
    bind(fd.as_raw_fd(), &SockaddrIn::from(PROXY_ADDRESS))?;
    Ok(fd)
}

/// Transparent, so that replies find it through TPROXY instead of the listener;
/// its port is chosen at `connect`, so that one source address has as many
/// connections as there are ports *per destination*.
fn dial_socket() -> nix::Result<OwnedFd> {
    let fd = socket(AddressFamily::Inet, SockType::Stream, flags(), None)?;
    setsockopt(&fd, sockopt::IpTransparent, &true)?;
    setsockopt(&fd, sockopt::IpBindAddressNoPort, &true)?;
    setsockopt(&fd, sockopt::TcpNoDelay, &true)?;
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
    use std::time::Duration;

    use nix::sched::{CloneFlags, unshare};

    use super::*;

    const POD: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 9);

    /// Run `body` on a thread of its own in a fresh network namespace, which
    /// disappears with the thread and its sockets.
    fn in_pod<T: Send + 'static>(body: impl FnOnce(PodSockets) -> T + Send + 'static) -> T {
        std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("these tests need root");
            configure(POD).unwrap();
            configure(POD).expect("configuring again is a no-op");
            body(open(2).unwrap())
        })
        .join()
        .unwrap()
    }

    #[test]
    fn every_group_that_there_is_may_ping() {
        let all = "0 0 4294967295\n";
        assert_eq!(ping_groups(&Ids::of(all, all)), "0 2147483647");
        let some = "0 1000 1\n1 100000 65536\n";
        assert_eq!(ping_groups(&Ids::of(some, some)), "0 65536");
        assert_eq!(ping_groups(&Ids::of("0 1000 1\n", "0 1000 1\n")), "0 0");
    }

    #[test]
    fn any_address_arrives_at_the_listener_with_both_ends_known() {
        in_pod(|sockets| {
            let listener = TcpListener::from(sockets.listener);
            listener.set_nonblocking(false).unwrap();
            for target in ["10.96.0.1:443", "1.1.1.1:80"] {
                let mut client = TcpStream::connect(target).unwrap();
                assert_eq!(client.local_addr().unwrap().ip(), POD);
                let (mut server, peer) = listener.accept().unwrap();
                assert_eq!(peer, client.local_addr().unwrap());
                assert_eq!(server.local_addr().unwrap(), target.parse::<SocketAddr>().unwrap());
                client.write_all(b"ping").unwrap();
                let mut bytes = [0; 4];
                server.read_exact(&mut bytes).unwrap();
                assert_eq!(&bytes, b"ping");
            }
        });
    }

    #[test]
    fn the_pods_own_addresses_stay_inside() {
        in_pod(|_sockets| {
            let app = TcpListener::bind("0.0.0.0:80").unwrap();
            for own in [POD, Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 3, 3, 3)] {
                let client = TcpStream::connect((own, 80)).unwrap();
                assert_eq!(app.accept().unwrap().1, client.local_addr().unwrap());
            }
            let refused = TcpStream::connect((POD, 81)).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        });
    }

    #[test]
    fn a_dial_socket_reaches_the_pod_from_any_source() {
        in_pod(|mut sockets| {
            let app = TcpListener::bind((POD, 8080)).unwrap();
            let dial = sockets.dial.pop().unwrap();
            let source = Ipv4Addr::new(10, 244, 0, 77);
            bind(dial.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(source, 0))).unwrap();
            let target = SockaddrIn::from(SocketAddrV4::new(POD, 8080));
            match nix::sys::socket::connect(dial.as_raw_fd(), &target) {
                Ok(()) | Err(nix::Error::EINPROGRESS) => {}
                Err(error) => panic!("{error}"),
            }
            let (mut accepted, peer) = app.accept().unwrap();
            assert_eq!(peer.ip(), source);
            let mut client = TcpStream::from(dial);
            client.set_nonblocking(false).unwrap();
            accepted.write_all(b"hello").unwrap();
            drop(accepted);
            let mut text = String::new();
            client.read_to_string(&mut text).unwrap();
            assert_eq!(text, "hello");
        });
    }

    #[test]
    fn datagrams_arrive_with_their_original_destination() {
        in_pod(|sockets| {
            let client = UdpSocket::bind("0.0.0.0:0").unwrap();
            client.send_to(b"who", "10.96.0.10:53").unwrap();
            let udp = UdpSocket::from(sockets.udp);
            udp.set_nonblocking(false).unwrap();
            udp.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
            let mut buffer = [0; 16];
            let (length, peer) = udp.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"who");
            assert_eq!(peer.ip(), POD);
        });
    }

    #[test]
    fn a_hand_over_keeps_its_order() {
        in_pod(|sockets| {
            let udp = sockets.udp.as_raw_fd();
            let again = PodSockets::from_fds(sockets.into_fds()).unwrap();
            assert_eq!(again.udp.as_raw_fd(), udp);
            assert_eq!(again.dial.len(), 2);
            let error = PodSockets::from_fds(vec![again.raw]).unwrap_err();
            assert!(matches!(error, Error::Handover { got: 1 }));
        });
    }
}
