//! Who reaches whom under policies, by real connections of real pods.
//!
//! Each test has a network namespace of its own in which every address is the machine's: the world outside is there.

use std::io::ErrorKind;
use std::net::SocketAddrV4;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde_json::{Value, json};

use super::*;
use crate::node::network::policy::Policy;
use crate::node::network::policy::cases::{self, Want};

/// Runs `test` where all addresses are local and nothing else is.
fn in_own_network(test: impl AsyncFnOnce() + Send + 'static) {
    let run = move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("these tests need root");
        route::configure(Ipv4Addr::new(192, 0, 2, 7)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test());
    };
    thread::spawn(run).join().unwrap();
}

/// The pods of the table, attached to a network, with their servers.
struct Stage {
    network: Network,
    pods: Vec<TestPod>,
}

impl Stage {
    async fn new() -> Self {
        let network = network();
        for (name, key, value) in cases::NAMESPACES {
            let labels = [(key.to_owned(), value.to_owned())];
            let own = [("kubernetes.io/metadata.name".to_owned(), name.to_owned())];
            let labels = labels.into_iter().chain(own).collect();
            network.0.change_rules(|rules| rules.put_namespace(name, labels));
        }
        let mut pods = Vec::new();
        for who in &cases::PODS {
            let (name, namespace, last, _, tcp, udp) = *who;
            let pod = TestPod::start([10, 244, 0, last]);
            network.know(&serde_json::from_value(cases::pod(who)).unwrap());
            let (jobs, back) = (pod.jobs.clone(), network.clone());
            let refill: Refill = Box::new(move |count| {
                let back = back.clone();
                let job =
                    move || back.add_dial_sockets(name, sandbox::dial_sockets(count).unwrap());
                jobs.send(Box::new(job)).unwrap();
            });
            let (uid, namespace) = (name.to_owned(), namespace.to_owned());
            let identity = PodIdentity { uid, namespace, name: name.into(), ip: pod.ip };
            network.attach(identity, pod.sockets(8).await, refill).unwrap();
            pod.run(|| {
                tcp.iter().for_each(|port| greet((Ipv4Addr::UNSPECIFIED, *port).into()));
                udp.iter().for_each(|port| echo((Ipv4Addr::UNSPECIFIED, *port).into()));
            })
            .await;
            pods.push(pod);
        }
        Self { network, pods }
    }

    fn pod(&self, name: &str) -> &TestPod {
        &self.pods[cases::PODS.iter().position(|who| who.0 == name).unwrap()]
    }

    fn put(&self, name: &str, policy: &Value) {
        let namespace = policy["metadata"]["namespace"].as_str().unwrap();
        let rules = Policy::of(&serde_json::from_value::<NetworkPolicy>(policy.clone()).unwrap());
        self.network.0.change_rules(|all| all.put_policy(Key::new(namespace, name), rules));
    }

    fn put_all(&self, policies: &[Value]) {
        self.network.0.change_rules(|rules| rules.retain_policies(&Default::default()));
        for (nth, policy) in policies.iter().enumerate() {
            self.put(&nth.to_string(), policy);
        }
    }

    /// How many connections and datagrams were denied until now.
    fn denied(&self) -> u64 {
        let lines = metrics(&self.network);
        let denied = lines.iter().filter(|line| line.contains("verdict=\"denied\""));
        denied.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// The reason of the flow that was denied since `cursor`.
    async fn reason(&self, cursor: u64) -> String {
        eventually("a flow says that it was denied", || {
            let flows = flows(&self.network, cursor);
            let denied = |flow: &&Value| flow["verdict"] == "denied";
            let flow = flows["flows"].as_array().unwrap().iter().find(denied)?.clone();
            Some(flow["reason"].as_str().unwrap().to_owned())
        })
        .await
    }
}

async fn eventually<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let poll = async {
        loop {
            if let Some(found) = check() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, poll).await.unwrap_or_else(|_| panic!("waited: {what}"))
}

/// Says `ok` to everybody who connects.
fn greet(at: SocketAddr) {
    let listener = TcpListener::bind(at).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.write_all(b"ok");
        }
    });
}

/// Sends every datagram back.
fn echo(at: SocketAddr) {
    let socket = UdpSocket::bind(at).unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..length], from);
        }
    });
}

/// A question for the name server.
fn question() -> Vec<u8> {
    let mut query = Message::new(7, MessageType::Query, OpCode::Query);
    let name = Name::from_ascii("web.shop.svc.cluster.local.").unwrap();
    query.add_query(Query::query(name, RecordType::A));
    query.to_vec().unwrap()
}

/// Whether somebody answers there; who is let down is told by a reset, wherever it is noticed first.
fn connects(at: SocketAddrV4) -> bool {
    let ask = || -> io::Result<usize> {
        let mut stream = TcpStream::connect(at)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        if at.port() == 53 {
            let query = question();
            stream.write_all(&(query.len() as u16).to_be_bytes())?;
            stream.write_all(&query)?;
        }
        stream.read(&mut [0; 64])
    };
    match ask() {
        Ok(1..) => true,
        Ok(0) => panic!("{at}: an end in order, and no answer"),
        Err(error) => {
            let resets =
                [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::NotConnected];
            assert!(resets.contains(&error.kind()), "{at}: {error}");
            false
        }
    }
}

/// A socket in the pod that has sent there.
async fn sent(pod: &TestPod, at: SocketAddrV4) -> UdpSocket {
    let question = if at.port() == 53 { question() } else { b"ask".to_vec() };
    let send = move || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.connect(at).unwrap();
        socket.send(&question).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    };
    pod.run(send).await
}

impl Stage {
    /// Whether an answer comes: it does, or the network counts one more that it denied.
    async fn answers(&self, socket: &UdpSocket, before: u64) -> bool {
        eventually("an answer, or a count", || match socket.recv(&mut [0; 512]) {
            Ok(_) => Some(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                (self.denied() > before).then_some(false)
            }
            Err(error) => panic!("{error}"),
        })
        .await
    }

    /// Tries one case. Of a connection that is denied, the reason is read; datagrams that are denied are counted only.
    async fn probe(&self, from: &str, to: &str, door: SocketAddrV4) -> Result<(), Option<String>> {
        let host = match (from, to) {
            ("host", "door") => Some(door),
            ("host", "nodeport") => Some(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 30080)),
            _ => None,
        };
        let cursor = flows(&self.network, 0)["cursor"].as_u64().unwrap();
        if let Some(at) = host {
            let through = tokio::task::spawn_blocking(move || connects(at)).await.unwrap();
            return through.then_some(()).ok_or(None);
        }
        let (protocol, at) = cases::target(to);
        if from == "host" {
            let stream = self.network.dial(*at.ip(), at.port()).await.unwrap();
            stream.readable().await.unwrap();
            return Ok(());
        }
        let pod = self.pod(from);
        let before = self.denied();
        let through = match protocol {
            Protocol::Tcp => pod.run(move || connects(at)).await,
            Protocol::Udp => self.answers(&sent(pod, at).await, before).await,
        };
        match (through, protocol) {
            (true, _) => Ok(()),
            (false, Protocol::Udp) => Err(None),
            (false, Protocol::Tcp) => Err(Some(self.reason(cursor).await)),
        }
    }
}

/// Whether this is what was expected.
fn fits(want: Want, seen: &Result<(), Option<String>>) -> bool {
    let expected = match want {
        Want::Through => return seen.is_ok(),
        Want::NotOut => "EgressDenied",
        Want::NotIn => "IngressDenied",
    };
    seen.as_ref().is_err_and(|reason| reason.as_deref().is_none_or(|reason| reason == expected))
}

#[test]
fn who_reaches_whom_is_what_the_table_says() {
    in_own_network(async || {
        let stage = Stage::new().await;
        // The world, the API server, and the doors of the machine.
        for port in [443, 8080, 6443] {
            greet((Ipv4Addr::UNSPECIFIED, port).into());
        }
        for address in ["9.9.9.9:99", "9.9.8.9:99"] {
            echo(address.parse().unwrap());
        }
        let (door, end) = (TcpListener::bind("127.0.0.1:0").unwrap(), CancellationToken::new());
        let SocketAddr::V4(at) = door.local_addr().unwrap() else { panic!("it is IPv4") };
        let web = Key::new("shop", "web");
        stage.network.serve_front_door(door.into(), web, 80, end.clone()).unwrap();
        tokio::spawn(host::node_ports(stage.network.0.clone()));
        stage.network.0.changed.notify_one();
        let node_port = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 30080);
        eventually("the node port is served", || TcpStream::connect(node_port).ok()).await;

        let (mut wrong, mut probed) = (Vec::new(), 0);
        for world in cases::worlds() {
            stage.put_all(&world.policies);
            for (from, to, want) in world.cases {
                let seen = stage.probe(from, to, at).await;
                if !fits(*want, &seen) {
                    wrong.push(format!("{}: {from} to {to}: {seen:?}", world.name));
                }
                probed += 1;
            }
        }
        end.cancel();
        assert!(wrong.is_empty(), "{} of {probed}:\n{}", wrong.len(), wrong.join("\n"));
        assert!(probed >= 120, "{probed}");
    });
}

/// A policy of the shop.
fn shop(spec: Value) -> Value {
    json!({"metadata": {"namespace": "shop"}, "spec": spec})
}

/// Lets only `app` in to everybody in the shop.
fn only(app: &str) -> Value {
    shop(json!({"podSelector": {},
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": app}}}]}]}))
}

/// A connection from inside of a pod, after the server's first word.
async fn open(pod: &TestPod, at: &'static str) -> TcpStream {
    let connect = move || {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.read_exact(&mut [0; 1]).unwrap();
        stream
    };
    pod.run(connect).await
}

/// Waits for the end of a connection that is ended by somebody between.
async fn reset(mut stream: TcpStream) {
    let read = move || loop {
        match stream.read(&mut [0; 64]) {
            Ok(1..) => {}
            Ok(0) => panic!("an end in order"),
            Err(error) => return error.kind(),
        }
    };
    let kind = tokio::task::spawn_blocking(read).await.unwrap();
    assert_eq!(kind, ErrorKind::ConnectionReset);
}

/// Whether what is sent comes back.
async fn lives(mut stream: TcpStream) {
    let talk = move || {
        stream.write_all(b"+there").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    let text = tokio::task::spawn_blocking(talk).await.unwrap();
    assert!(text.ends_with("+there"), "{text}");
}

#[test]
fn what_new_rules_forbid_ends_when_they_come_and_the_rest_goes_on() {
    in_own_network(async || {
        let stage = Stage::new().await;
        stage.pod("api").serve(7000).await;
        stage.pod("guest").serve(7000).await;
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = door.local_addr().unwrap();
        let end = CancellationToken::new();
        let service =
            samples::service(r#"{"clusterIP":"10.96.0.40","ports":[{"name":"held","port":70}]}"#);
        let slice = samples::slice(
            "held",
            r#"[{"name":"held","port":7000}]"#,
            r#"[{"addresses":["10.244.0.5"]}]"#,
        );
        let held = Key::new("shop", "held");
        stage.network.0.index_mut().put_service(held.clone(), service);
        stage.network.0.index_mut().put_slice(Key::new("shop", "held-1"), slice);
        stage.network.serve_front_door(door.into(), held, 70, end.clone()).unwrap();

        let front = open(stage.pod("front"), "10.96.0.40:70").await;
        let db = open(stage.pod("db"), "10.244.0.5:7000").await;
        let elsewhere = open(stage.pod("front"), "10.244.0.21:7000").await;
        let host = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(at).unwrap();
            stream.read_exact(&mut [0; 1]).unwrap();
            stream
        });
        let host = host.await.unwrap();
        let cursor = flows(&stage.network, 0)["cursor"].as_u64().unwrap();

        stage.put("only", &only("db"));
        reset(front).await;
        let ended = eventually("the flow is told", || {
            let flows = flows(&stage.network, cursor);
            flows["flows"].as_array().unwrap().first().cloned()
        });
        let ended = ended.await;
        assert_eq!(ended["verdict"], "forwarded", "{ended}");
        assert_eq!(ended["reason"], "PermissionDenied", "{ended}");
        assert_eq!(ended["source"]["name"], "front");
        assert!(!stage.pod("front").run(|| connects("10.244.0.5:8080".parse().unwrap())).await);
        // Rules that come without a word on a connection leave it.
        stage.put(
            "guests",
            &json!({"metadata": {"namespace": "guests"},
            "spec": {"podSelector": {"matchLabels": {"app": "prober"}}}}),
        );
        lives(host).await;

        // A pod that is no longer what was let in.
        let mut other = cases::pod(&cases::PODS[2]);
        other["metadata"]["labels"]["app"] = "x".into();
        stage.network.know(&serde_json::from_value(other).unwrap());
        reset(db).await;

        // A namespace that is no longer what may be asked, and then is again.
        let to_red = |team: &str| {
            shop(json!({"podSelector": {}, "policyTypes": ["Egress"],
                "egress": [{"to": [{"namespaceSelector": {"matchLabels": {"team": team}}}]}]}))
        };
        stage.put("out", &to_red("red"));
        let again = open(stage.pod("front"), "10.244.0.21:7000").await;
        let green = [("team".to_owned(), "green".to_owned())];
        stage.network.0.change_rules(|rules| rules.put_namespace("guests", green.into()));
        reset(elsewhere).await;
        reset(again).await;
        stage.put("out", &to_red("green"));
        lives(open(stage.pod("front"), "10.244.0.21:7000").await).await;
        end.cancel();
    });
}

#[test]
fn sessions_of_datagrams_end_with_what_allowed_them() {
    in_own_network(async || {
        let stage = Stage::new().await;
        let front = stage.pod("front");
        let world = UdpSocket::bind("9.9.9.9:99").unwrap();
        world.set_read_timeout(Some(PATIENCE)).unwrap();
        let outside = sent(front, "9.9.9.9:99".parse().unwrap()).await;
        let receive = move || {
            let (_, from) = world.recv_from(&mut [0; 64]).unwrap();
            world.connect(from).unwrap();
            world.send(b"first").unwrap();
            world
        };
        let world = tokio::task::spawn_blocking(receive).await.unwrap();
        let before = stage.denied();
        assert!(stage.answers(&outside, before).await);
        let inside = sent(front, "10.96.0.20:81".parse().unwrap()).await;
        assert!(stage.answers(&inside, before).await);

        stage.put("out", &shop(json!({"podSelector": {"matchLabels": {"app": "front"}},
            "policyTypes": ["Egress"], "egress": [{"ports": [{"port": 8081, "protocol": "UDP"}]}]})));
        // What brought answers back is gone, so they are refused.
        eventually("the world is refused", || {
            world.send(b"late").err().filter(|error| error.kind() == ErrorKind::ConnectionRefused)
        })
        .await;
        let refused = outside.recv(&mut [0; 64]);
        assert!(refused.is_err(), "{refused:?}");
        outside.send(b"again").unwrap();
        assert!(!stage.answers(&outside, before).await);
        // The other session is as it was.
        let before = stage.denied();
        inside.send(b"again").unwrap();
        assert!(stage.answers(&inside, before).await);

        stage.put("only", &only("db"));
        inside.send(b"again").unwrap();
        assert!(!stage.answers(&inside, before).await);
    });
}

#[test]
fn connections_wait_until_policies_are_known() {
    in_own_network(async || {
        let network = Network::new(samples::settings());
        *network.0.index_mut() = samples::index();
        use super::watch::Kind;
        for kind in [Kind::Services, Kind::Slices, Kind::Namespaces] {
            network.0.listed(kind);
        }
        let (a, b) = (TestPod::start(A), TestPod::start(B));
        b.serve(8080).await;
        a.attach(&network).await;
        b.attach(&network).await;
        let early = a.send(|| connects("10.96.0.20:80".parse().unwrap()));
        // A turn for the proxy, which would have answered by then.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let deny = shop(json!({"podSelector": {}}));
        let rules = Policy::of(&serde_json::from_value::<NetworkPolicy>(deny).unwrap());
        network.0.change_rules(|all| all.put_policy(Key::new("shop", "deny"), rules));
        network.0.listed(Kind::Policies);
        assert!(!early.await.unwrap(), "it was judged by what is known now");
    });
}
