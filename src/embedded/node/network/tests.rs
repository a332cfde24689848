//! Real pods' namespaces, real connections, one proxy; needs root.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};

use super::sandbox::{self, PodSockets};
use super::*;

mod policy;
mod sight;

/// Longer than any answer takes on a busy machine; an answer that is lost fails the test all the same.
const PATIENCE: Duration = Duration::from_secs(120);

type Job = Box<dyn FnOnce() + Send>;

/// A thread inside a network namespace of its own, standing in for a pod's
/// shim and its application. Both end with the value.
struct TestPod {
    jobs: mpsc::Sender<Job>,
    ip: Ipv4Addr,
}

impl TestPod {
    fn start(ip: [u8; 4]) -> Self {
        let ip = Ipv4Addr::from(ip);
        let (jobs, inbox) = mpsc::channel::<Job>();
        thread::spawn(move || inbox.into_iter().for_each(|job| job()));
        // Jobs run in order, so nobody has to wait for this one.
        let setup = move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("these tests need root");
            sandbox::configure(ip).unwrap();
        };
        jobs.send(Box::new(setup)).unwrap();
        Self { jobs, ip }
    }

    fn send<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> tokio::sync::oneshot::Receiver<T> {
        let (done, result) = tokio::sync::oneshot::channel();
        self.jobs.send(Box::new(move || drop(done.send(job())))).unwrap();
        result
    }

    /// Run `job` inside the pod while the proxy runs outside.
    async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        self.send(job).await.unwrap()
    }

    async fn sockets(&self, dial: usize) -> PodSockets {
        self.run(move || sandbox::open(dial).unwrap()).await
    }

    /// Attach with a refill that works as the shim's does.
    async fn attach(&self, network: &Network) {
        let sockets = self.sockets(2).await;
        self.attach_with(network, sockets);
    }

    fn attach_with(&self, network: &Network, sockets: PodSockets) {
        let uid = self.ip.to_string();
        let (jobs, back, to) = (self.jobs.clone(), network.clone(), uid.clone());
        let refill: Refill = Box::new(move |count| {
            let (back, to) = (back.clone(), to.clone());
            let job = move || back.add_dial_sockets(&to, sandbox::dial_sockets(count).unwrap());
            jobs.send(Box::new(job)).unwrap();
        });
        let identity = PodIdentity { uid, namespace: "shop".into(), name: "x".into(), ip: self.ip };
        network.attach(identity, sockets, refill).unwrap();
    }

    /// Start a server in the pod that answers each connection with its peer's
    /// address and then everything it was sent.
    async fn serve(&self, port: u16) {
        let listener = self.run(move || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap());
        let listener = listener.await;
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                thread::spawn(move || {
                    let peer = stream.peer_addr().unwrap().ip().to_string();
                    stream.write_all(peer.as_bytes()).unwrap();
                    let mut bytes = Vec::new();
                    stream.read_to_end(&mut bytes).unwrap();
                    stream.write_all(&bytes).unwrap();
                });
            }
        });
    }
}

const A: [u8; 4] = [10, 244, 0, 9];
const B: [u8; 4] = [10, 244, 0, 5];

fn network() -> Network {
    let network = Network::new(samples::settings());
    *network.0.index_mut() = samples::index();
    list(&network);
    network
}

/// Say that the watches have listed everything.
fn list(network: &Network) {
    use super::watch::Kind;
    for kind in [Kind::Services, Kind::Slices, Kind::Namespaces, Kind::Policies] {
        network.0.listed(kind);
    }
}

fn metrics(network: &Network) -> Vec<String> {
    let pieces: Vec<_> = network.metrics().unwrap().collect();
    let text = String::from_utf8(pieces.concat()).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn flows(network: &Network, cursor: u64) -> serde_json::Value {
    let pieces: Vec<_> = network.flows(cursor).unwrap().collect();
    serde_json::from_slice(&pieces.concat()).unwrap()
}

/// Send `text`, close, and read everything.
fn talk(address: &str, text: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(text.as_bytes())?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[tokio::test]
async fn a_pod_reaches_services_and_pods_under_its_own_address() {
    let (network, a, b) = (network(), TestPod::start(A), TestPod::start(B));
    b.serve(8080).await;
    a.attach(&network).await;
    b.attach(&network).await;
    for _ in 0..40 {
        let answer = a.run(|| talk("10.96.0.20:80", "+hi").unwrap()).await;
        assert_eq!(answer, "10.244.0.9+hi", "more connections than sockets in a batch");
    }
    let straight = a.run(|| talk("10.244.0.5:8080", "").unwrap()).await;
    assert_eq!(straight, "10.244.0.9");
    let itself = b.run(|| talk("10.96.0.20:80", "").unwrap()).await;
    assert_eq!(itself, "10.244.0.5", "a pod may be its own Service's endpoint");
}

#[tokio::test]
async fn what_nobody_serves_is_reset() {
    let (network, a, b) = (network(), TestPod::start(A), TestPod::start(B));
    a.attach(&network).await;
    b.attach(&network).await;
    for address in ["10.96.0.20:80", "10.96.9.9:80", "10.244.7.7:80", "127.0.0.1:15001"] {
        let error = a.run(move || talk(address, "x").unwrap_err()).await;
        let kinds = [
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::BrokenPipe,
            io::ErrorKind::NotConnected,
        ];
        assert!(kinds.contains(&error.kind()), "{address}: {error}");
    }
}

#[tokio::test]
async fn connections_wait_for_a_proxy_that_is_away() {
    let (a, b) = (TestPod::start(A), TestPod::start(B));
    b.serve(8080).await;
    // The shim holds the listener; a connect made now sits in its queue.
    let sockets = a.sockets(0).await;
    let answer = a.send(|| talk("10.96.0.20:80", "+queued").unwrap());
    tokio::time::sleep(Duration::from_millis(50)).await;
    let network = network();
    let hold = network.hold();
    // The order is the worst one: the client's queue is there before its target.
    a.attach_with(&network, sockets);
    tokio::time::sleep(Duration::from_millis(20)).await;
    b.attach(&network).await;
    drop(hold);
    assert_eq!(answer.await.unwrap(), "10.244.0.9+queued");
}

#[tokio::test]
async fn the_host_comes_in_through_its_doors_only_and_probes_dial() {
    let (network, b) = (network(), TestPod::start(B));
    b.serve(8080).await;
    b.attach(&network).await;
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = door.local_addr().unwrap().to_string();
    let end = CancellationToken::new();
    let web = Key::new("shop", "web");
    network.serve_front_door(door.into(), web, 80, end.clone()).unwrap();
    let answer = tokio::task::spawn_blocking(move || talk(&address, "!").unwrap()).await.unwrap();
    assert_eq!(answer, "10.244.0.1!");

    network.dial(b.ip, 8080).await.unwrap();
    let closed = network.dial(b.ip, 81).await.unwrap_err();
    assert_eq!(closed.kind(), io::ErrorKind::ConnectionRefused);
    let nobody = network.dial(Ipv4Addr::new(10, 244, 9, 9), 81).await.unwrap_err();
    assert_eq!(nobody.kind(), io::ErrorKind::ConnectionRefused);

    // The API server finds pods, what listens on the node, and everything else, by their addresses.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let node: std::net::IpAddr = samples::settings().node.into();
    for (ip, port) in [(b.ip.into(), 8080), (node, port), (Ipv4Addr::LOCALHOST.into(), port)] {
        network.reach((ip, port).into()).await.unwrap();
    }
    let closed = network.reach((b.ip, 81).into()).await.unwrap_err();
    assert_eq!(closed.kind(), io::ErrorKind::ConnectionRefused);
    end.cancel();
}

#[tokio::test]
async fn offline_only_the_machine_itself_and_its_pods_are_reached() {
    let network = Network::new(Settings { offline: true, ..samples::settings() });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let node = samples::settings().node;
    for near in [Ipv4Addr::LOCALHOST.into(), node.into(), node.to_ipv6_mapped().into()] {
        let near: std::net::IpAddr = near;
        network.reach((near, port).into()).await.unwrap();
    }
    let no_pod = network.reach((Ipv4Addr::new(10, 244, 0, 9), 80).into()).await.unwrap_err();
    assert_eq!(no_pod.kind(), io::ErrorKind::ConnectionRefused);
    for far in [
        "192.0.2.1:443",
        "10.96.0.1:443",
        "0.0.0.0:443",
        "[::ffff:192.0.2.1]:443",
        "[2001:db8::1]:443",
    ] {
        let why = network.reach(far.parse().unwrap()).await.unwrap_err().to_string();
        assert!(why.starts_with("the instance is offline: "), "{far}: {why}");
    }
}

#[tokio::test]
async fn the_api_service_leads_to_the_api_server() {
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = Settings { api_server: server.local_addr().unwrap(), ..samples::settings() };
    let (network, a) = (Network::new(settings), TestPod::start(A));
    list(&network);
    a.attach(&network).await;
    let answer = a.send(|| talk("10.96.0.1:443", "hello").unwrap());
    let (mut stream, _) = server.accept().await.unwrap();
    let mut text = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut text).await.unwrap();
    assert_eq!(text, "hello");
    drop(stream);
    assert_eq!(answer.await.unwrap(), "");
}

#[tokio::test]
async fn a_detached_pod_lets_go_of_its_connections() {
    let (network, a, b) = (network(), TestPod::start(A), TestPod::start(B));
    b.serve(8080).await;
    a.attach(&network).await;
    b.attach(&network).await;
    let mut open = a
        .run(|| {
            let mut stream = TcpStream::connect("10.96.0.20:80").unwrap();
            stream.read_exact(&mut [0; 10]).unwrap();
            stream
        })
        .await;
    network.detach(&b.ip.to_string());
    open.set_read_timeout(Some(PATIENCE)).unwrap();
    let end = tokio::task::spawn_blocking(move || open.read(&mut [0; 1]).unwrap_err());
    assert_eq!(end.await.unwrap().kind(), io::ErrorKind::ConnectionReset);
    let gone = a.run(|| talk("10.96.0.20:80", "x").is_err()).await;
    assert!(gone, "its Service has no endpoint left");
}

#[tokio::test]
async fn datagrams_find_their_way_and_back_under_the_services_name() {
    let (network, a, b) = (network(), TestPod::start(A), TestPod::start(B));
    a.attach(&network).await;
    b.attach(&network).await;
    let server = b.run(|| UdpSocket::bind("0.0.0.0:8081").unwrap()).await;
    thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((length, from)) = server.recv_from(&mut buffer) {
            assert_eq!(from.ip(), Ipv4Addr::from(A));
            server.send_to(&[b"re:", &buffer[..length]].concat(), from).unwrap();
        }
    });
    for target in ["10.96.0.20:81", "10.244.0.5:8081"] {
        let (length, from) = a
            .run(move || {
                let client = UdpSocket::bind("0.0.0.0:0").unwrap();
                client.set_read_timeout(Some(PATIENCE)).unwrap();
                client.send_to(b"ask", target).unwrap();
                let mut buffer = [0; 64];
                client.recv_from(&mut buffer).unwrap()
            })
            .await;
        assert_eq!((length, from), (6, target.parse::<SocketAddr>().unwrap()));
    }
}

#[tokio::test]
async fn names_are_answered_over_both_transports() {
    use hickory_proto::op::{Message, MessageType, OpCode, Query};
    use hickory_proto::rr::{Name, RecordType};

    let (network, a) = (network(), TestPod::start(A));
    a.attach(&network).await;
    let mut query = Message::new(7, MessageType::Query, OpCode::Query);
    let name = Name::from_ascii("web.shop.svc.cluster.local.").unwrap();
    query.add_query(Query::query(name, RecordType::A));
    let bytes = query.to_vec().unwrap();

    let wire = bytes.clone();
    let udp = a.run(move || {
        let client = UdpSocket::bind("0.0.0.0:0").unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.connect("10.96.0.10:53").unwrap();
        client.send(&wire).unwrap();
        let mut buffer = [0; 512];
        let length = client.recv(&mut buffer).unwrap();
        buffer[..length].to_vec()
    });
    let udp = udp.await;
    let tcp = a.run(move || {
        let mut stream = TcpStream::connect("10.96.0.10:53").unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&(bytes.len() as u16).to_be_bytes()).unwrap();
        stream.write_all(&bytes).unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut answer).unwrap();
        answer
    });
    assert_eq!(udp, tcp.await);
    let answer = Message::from_vec(&udp).unwrap();
    assert_eq!(answer.answers[0].data.to_string(), "10.96.0.20");
}

#[tokio::test]
async fn datagrams_to_the_world_go_through_the_host() {
    let (network, a) = (network(), TestPod::start(A));
    a.attach(&network).await;
    // A route out of this machine may not exist; its own first address does if any does.
    let server = UdpSocket::bind("0.0.0.0:0").unwrap();
    let probe = UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = match probe.connect("192.0.2.1:9").and_then(|()| probe.local_addr()) {
        Ok(SocketAddr::V4(own)) if !own.ip().is_loopback() => *own.ip(),
        _ => {
            println!("NOT RUN: this machine has no address beside loopback");
            return;
        }
    };
    let port = server.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut buffer = [0; 64];
        let (length, from) = server.recv_from(&mut buffer).unwrap();
        server.send_to(&buffer[..length], from).unwrap();
    });
    let from = a
        .run(move || {
            let client = UdpSocket::bind("0.0.0.0:0").unwrap();
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            client.send_to(b"out", (own, port)).unwrap();
            client.recv_from(&mut [0; 8]).unwrap().1
        })
        .await;
    assert_eq!(from, SocketAddr::from((own, port)));
}
