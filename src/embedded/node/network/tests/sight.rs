//! What is seen of connections, and that they do not notice.

use super::*;

/// Pods with names of their own, with a server of HTTP in the second.
async fn shop(network: &Network) -> (TestPod, TestPod) {
    let (a, b) = (TestPod::start(A), TestPod::start(B));
    let listener = b.run(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 8080)).unwrap()).await;
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            thread::spawn(move || {
                let mut buffer = [0; 1024];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    let status = if buffer[..length].starts_with(b"GET /lost") { 404 } else { 200 };
                    let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 2\r\n\r\nok");
                    stream.write_all(answer.as_bytes()).unwrap();
                }
            });
        }
    });
    for (pod, name) in [(&a, "web-1"), (&b, "cart-1")] {
        let sockets = pod.sockets(8).await;
        let uid = pod.ip.to_string();
        let identity = PodIdentity { uid, namespace: "shop".into(), name: name.into(), ip: pod.ip };
        network.attach(identity, sockets, Box::new(|_| {})).unwrap();
    }
    (a, b)
}

/// Requests on one connection, each after the answer to the one before.
fn ask(address: &str, paths: &[&str]) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for path in paths {
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        stream.read_exact(&mut [0; 39]).unwrap();
    }
}

/// The flows that have ended since `cursor`, once there are so many.
async fn ended(network: &Network, cursor: u64, count: usize) -> Vec<serde_json::Value> {
    let all = async {
        loop {
            let flows = flows(network, cursor)["flows"].as_array().unwrap().clone();
            if flows.len() >= count {
                return flows;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, all).await.expect("connections end")
}

#[tokio::test]
async fn connections_and_requests_are_seen() {
    let network = network();
    let (a, b) = shop(&network).await;
    let cursor = flows(&network, 0)["cursor"].as_u64().unwrap();
    a.run(|| ask("10.96.0.20:80", &["/items/1", "/items/22?x=3", "/lost"])).await;
    let seen = ended(&network, cursor, 1).await;
    assert_eq!(seen[0]["source"]["name"], "web-1", "{seen:?}");
    assert_eq!(seen[0]["destination"]["name"], "cart-1");
    assert_eq!(seen[0]["destination"]["port"], 8080);
    assert_eq!(seen[0]["destination"]["service"]["name"], "web");
    assert_eq!(
        (&seen[0]["verdict"], &seen[0]["receivedBytes"]),
        (&"forwarded".into(), &117.into())
    );
    assert_eq!(seen[0]["requests"][0]["route"], "/items/{id}");
    assert_eq!(seen[0]["requests"][0]["count"], 2);
    assert_eq!(seen[0]["requests"][1]["status"], "404");

    let ends = "source_namespace=\"shop\",source_pod=\"web-1\",destination_namespace=\"shop\",\
                destination_pod=\"cart-1\",destination_service=\"web\",port=\"8080\"";
    let lines = metrics(&network);
    let has = |line: &str| assert!(lines.iter().any(|one| one == line), "{line}\n{lines:#?}");
    let sent = seen[0]["sentBytes"].as_u64().unwrap();
    has(&format!(
        "curtain_tcp_connections_total{{{ends},protocol=\"tcp\",verdict=\"forwarded\"}} 1"
    ));
    has(&format!("curtain_tcp_sent_bytes_total{{{ends},protocol=\"tcp\"}} {sent}"));
    has(&format!("curtain_tcp_received_bytes_total{{{ends},protocol=\"tcp\"}} 117"));
    let get = format!("{ends},protocol=\"http1\",method=\"GET\"");
    let items = format!("{get},route=\"/items/{{id}}\",status=\"200\"");
    has(&format!("curtain_http_requests_total{{{items}}} 2"));
    has(&format!("curtain_http_requests_total{{{get},route=\"/lost\",status=\"404\"}} 1"));
    has(&format!("curtain_http_request_duration_seconds_count{{{items}}} 2"));
    has(&format!("curtain_http_request_duration_seconds_bucket{{{items},le=\"+Inf\"}} 2"));
    assert_eq!(network.traffic(&a.ip.to_string()), Some((117, sent)));
    assert_eq!(network.traffic(&b.ip.to_string()), Some((sent, 117)));

    // Its series outlive a pod that is gone by some minutes only; until then they stay as they are.
    network.detach(&a.ip.to_string());
    assert_eq!(network.traffic(&a.ip.to_string()), None);
    assert_eq!(metrics(&network).len(), lines.len());
}

#[tokio::test]
async fn what_does_not_arrive_and_what_is_open_is_seen_too() {
    let network = network();
    let (a, _b) = shop(&network).await;
    let cursor = flows(&network, 0)["cursor"].as_u64().unwrap();
    for address in ["10.96.0.30:80", "10.244.7.7:81", "10.244.0.5:9"] {
        a.run(move || talk(address, "x").unwrap_err()).await;
    }
    let seen = ended(&network, cursor, 3).await;
    let told = |nth: usize| {
        let flow = &seen[nth];
        let text = |value: &serde_json::Value| value.as_str().unwrap_or("").to_owned();
        [text(&flow["verdict"]), text(&flow["reason"]), text(&flow["destination"]["kind"])]
    };
    assert_eq!(told(0), ["failed", "NoEndpoint", "none"]);
    assert_eq!(seen[0]["destination"]["service"]["name"], "empty");
    assert_eq!(told(1), ["failed", "NoOwner", "external"]);
    assert_eq!(seen[1]["destination"]["host"], "10.244.7.7");
    assert_eq!(told(2), ["failed", "ConnectionRefused", "pod"]);
    let lines = metrics(&network).join("\n");
    assert_eq!(lines.matches("verdict=\"failed\"} 1").count(), 3, "{lines}");

    // The host's door, and a connection that goes on.
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, end) = (door.local_addr().unwrap().to_string(), CancellationToken::new());
    network.serve_front_door(door.into(), Key::new("shop", "web"), 80, end.clone()).unwrap();
    let open = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 39]).unwrap();
        stream
    });
    let stream = open.await.unwrap();
    let now = flows(&network, cursor);
    assert_eq!(now["open"][0]["source"]["kind"], "host", "{now}");
    assert_eq!(now["open"][0]["requests"][0]["status"], "200");
    drop(stream);
    assert_eq!(ended(&network, now["cursor"].as_u64().unwrap(), 1).await.len(), 1);
    assert!(flows(&network, 0)["open"].as_array().unwrap().is_empty());
    end.cancel();
}

#[tokio::test]
async fn datagrams_are_counted() {
    let (network, a, b) = (network(), TestPod::start(A), TestPod::start(B));
    a.attach(&network).await;
    b.attach(&network).await;
    let server = b.run(|| UdpSocket::bind("0.0.0.0:8081").unwrap()).await;
    thread::spawn(move || {
        let (_, from) = server.recv_from(&mut [0; 64]).unwrap();
        server.send_to(b"answer", from).unwrap();
    });
    a.run(|| {
        let client = UdpSocket::bind("0.0.0.0:0").unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.send_to(b"ask", "10.96.0.20:81").unwrap();
        client.recv_from(&mut [0; 64]).unwrap();
    })
    .await;
    assert_eq!(network.traffic(&a.ip.to_string()), Some((6, 3)));
    let lines = metrics(&network).join("\n");
    assert!(lines.contains("curtain_udp_sessions_total{source_namespace=\"shop\""), "{lines}");
    assert!(lines.contains("protocol=\"udp\"} 6"), "{lines}");
    assert_eq!(flows(&network, 0)["open"][0]["protocol"], "udp");
}

#[tokio::test]
async fn without_sight_nothing_is_kept() {
    let network = Network::new(Settings { sight: false, ..samples::settings() });
    *network.0.index_mut() = samples::index();
    list(&network);
    let (a, _b) = shop(&network).await;
    a.run(|| ask("10.96.0.20:80", &["/"])).await;
    assert!(network.metrics().is_none() && network.flows(0).is_none());
    assert_eq!(network.traffic(&a.ip.to_string()), None);
}

/// Whatever passes, and however it is cut: with sight it arrives as without.
#[tokio::test]
async fn sight_changes_no_byte() {
    use rand::rngs::SmallRng;
    use rand::{RngExt as _, SeedableRng as _};

    let beginnings: [&[u8]; 5] = [
        b"",
        b"GET / HTTP/1.1\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: 70000\r\n\r\n",
        b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    ];
    for sight in [true, false] {
        let network = Network::new(Settings { sight, ..samples::settings() });
        *network.0.index_mut() = samples::index();
        list(&network);
        let (a, b) = (TestPod::start(A), TestPod::start(B));
        b.serve(8080).await;
        a.attach(&network).await;
        b.attach(&network).await;
        let mut random = SmallRng::seed_from_u64(3);
        for round in 0..40 {
            let mut bytes = beginnings[round % beginnings.len()].to_vec();
            let length = random.random_range(0..100_000);
            bytes.extend((0..length).map(|_| random.random::<u8>()));
            let mut cuts: Vec<usize> =
                (0..8).map(|_| random.random_range(0..=bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let sent = bytes.clone();
            let answer = a.run(move || {
                let mut stream = TcpStream::connect("10.96.0.20:80").unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                cuts.windows(2).for_each(|cut| stream.write_all(&sent[cut[0]..cut[1]]).unwrap());
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).unwrap();
                answer
            });
            assert!(answer.await == [b"10.244.0.9", bytes.as_slice()].concat(), "round {round}");
        }
    }
}
