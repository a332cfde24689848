//! The pod network against direct loopback, one JSON line per measurement.
//!
//! Two pods' namespaces, one proxy on a current-thread runtime as in the node,
//! and a Service in an API server of its own. Then two such pairs, one with sight and one without, in turns: what
//! looking at requests costs. In the end, connections under many NetworkPolicies. Needs root.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use curtain_embedded::apiserver::{Server, ServerConfig};
use curtain_embedded::node::network::sandbox::{self, PodSockets};
use curtain_embedded::node::network::{Network, PodIdentity, Settings};
use curtain_embedded::{ClusterConfig, Reach, Registries, init};
use nix::sched::{CloneFlags, unshare};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const A: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 9);
const B: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 5);
const PORT: u16 = 8080;
/// Where HTTP is served.
const HTTP: u16 = 8081;
const ROUNDS: usize = 5;
const REQUEST: &[u8] =
    b"GET /api/v1/items/4711?full=true HTTP/1.1\r\nHost: web.shop.svc.cluster.local\r\n\
    User-Agent: bench/1.0\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\n\
    Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n";
const RESPONSE: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\
    Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n{\"answer\": true}";
const ENDLESS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000000\r\n\r\n";
const TIME: Duration = Duration::from_secs(2);
const CONNECTIONS: usize = 16;
/// On each end of a connection, of which the last lets it through.
const POLICIES: usize = 100;

type Job = Box<dyn FnOnce() + Send>;

/// A thread inside a pod's namespace; threads it starts are inside too.
#[derive(Clone)]
struct Pod(mpsc::Sender<Job>);

impl Pod {
    fn start(ip: Ipv4Addr) -> Self {
        let (jobs, inbox) = mpsc::channel::<Job>();
        thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("this bench needs root");
            sandbox::configure(ip).unwrap();
            inbox.into_iter().for_each(|job| job());
        });
        Self(jobs)
    }

    async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = tokio::sync::oneshot::channel();
        self.0.send(Box::new(move || drop(done.send(job())))).unwrap();
        result.await.unwrap()
    }

    async fn attach(&self, network: &Network, ip: Ipv4Addr) {
        let sockets: PodSockets = self.run(|| sandbox::open(sandbox::DIAL_BATCH).unwrap()).await;
        let (jobs, back, uid) = (self.0.clone(), network.clone(), ip.to_string());
        let to = uid.clone();
        let refill = move |count| {
            let (back, to) = (back.clone(), to.clone());
            let job = move || back.add_dial_sockets(&to, sandbox::dial_sockets(count).unwrap());
            jobs.send(Box::new(job)).unwrap();
        };
        let identity = PodIdentity { uid, namespace: "shop".into(), name: "web".into(), ip };
        network.attach(identity, sockets, Box::new(refill)).unwrap();
    }

    /// Echo what each connection sends.
    async fn serve(&self) {
        let listener = self.run(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).unwrap()).await;
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || {
                    stream.set_nodelay(true).unwrap();
                    let mut buffer = vec![0; 64 * 1024];
                    while let Ok(length @ 1..) = stream.read(&mut buffer) {
                        if stream.write_all(&buffer[..length]).is_err() {
                            return;
                        }
                    }
                });
            }
        });
    }
}

impl Pod {
    /// Answer requests: a POST with a body without end.
    async fn serve_http(&self) {
        let listener = self.run(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, HTTP)).unwrap()).await;
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || {
                    stream.set_nodelay(true).unwrap();
                    let mut buffer = vec![0; 64 * 1024];
                    while let Ok(1..) = stream.read(&mut buffer) {
                        if buffer.starts_with(b"POST") {
                            stream.write_all(ENDLESS).unwrap();
                            while stream.write_all(&buffer).is_ok() {}
                            return;
                        }
                        stream.write_all(RESPONSE).unwrap();
                    }
                });
            }
        });
    }
}

/// Requests one after the other on one connection for [`TIME`]; their durations.
fn requests() -> Vec<Duration> {
    let mut stream = TcpStream::connect((B, HTTP)).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = vec![0; RESPONSE.len()];
    let (start, mut times) = (Instant::now(), Vec::new());
    while start.elapsed() < TIME {
        let sent = Instant::now();
        stream.write_all(REQUEST).unwrap();
        stream.read_exact(&mut buffer).unwrap();
        times.push(sent.elapsed());
    }
    times
}

/// Bytes of one body that arrive in [`TIME`].
fn download() -> usize {
    let mut stream = TcpStream::connect((B, HTTP)).unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n").unwrap();
    let (start, mut total, mut buffer) = (Instant::now(), 0, vec![0; 64 * 1024]);
    while start.elapsed() < TIME {
        total += stream.read(&mut buffer).unwrap();
    }
    total
}

/// The same with and without sight, in turns: the machine is not the same from one minute to the next.
async fn sight(client: &kube::Client, config: &ClusterConfig, stop: &CancellationToken) {
    let mut pairs = Vec::new();
    for sight in [false, true] {
        let network = Network::new(Settings { sight, ..Settings::from(config) });
        let (following, until, client) = (network.clone(), stop.clone(), client.clone());
        tokio::spawn(async move { following.run(client, until).await });
        let (a, b) = (Pod::start(A), Pod::start(B));
        a.attach(&network, A).await;
        b.attach(&network, B).await;
        b.serve_http().await;
        pairs.push((a, b));
    }
    let (mut times, mut bytes) = ([Vec::new(), Vec::new()], [0, 0]);
    for _ in 0..ROUNDS {
        for (nth, (a, _)) in pairs.iter().enumerate() {
            times[nth].extend(a.run(requests).await);
            bytes[nth] += a.run(download).await;
        }
    }
    let at = |times: &mut Vec<Duration>, share: usize| {
        times.sort();
        times[times.len() * share / 100].as_secs_f64() * 1e6
    };
    for share in [50, 90, 99] {
        let [off, on] = times.each_mut().map(|times| at(times, share));
        line(&format!("http_rtt_p{share}_without_sight"), off, "us");
        line(&format!("http_rtt_p{share}_with_sight"), on, "us");
        line(&format!("sight_added_rtt_p{share}"), on - off, "us");
    }
    let rate = |bytes: usize| bytes as f64 / (TIME * ROUNDS as u32).as_secs_f64() / 1e6;
    line("http_download_without_sight", rate(bytes[0]), "MB/s");
    line("http_download_with_sight", rate(bytes[1]), "MB/s");
    line("sight_download_ratio", rate(bytes[1]) / rate(bytes[0]), "");
}

fn line(metric: &str, value: f64, unit: &str) {
    println!("{}", json!({"bench": "network", "metric": metric, "value": value, "unit": unit}));
}

/// Round trips of 100 bytes on one connection for [`TIME`]; their durations.
fn round_trips(target: SocketAddr) -> Vec<Duration> {
    let mut stream = TcpStream::connect(target).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = [7; 100];
    let (start, mut times) = (Instant::now(), Vec::new());
    while start.elapsed() < TIME {
        let sent = Instant::now();
        stream.write_all(&buffer).unwrap();
        stream.read_exact(&mut buffer).unwrap();
        times.push(sent.elapsed());
    }
    times
}

/// Bytes that come back on one connection in [`TIME`].
fn bulk(target: SocketAddr) -> usize {
    let mut stream = TcpStream::connect(target).unwrap();
    let mut writer = stream.try_clone().unwrap();
    thread::spawn(move || {
        let block = vec![1; 64 * 1024];
        while writer.write_all(&block).is_ok() {}
    });
    let (start, mut total, mut buffer) = (Instant::now(), 0, vec![0; 64 * 1024]);
    while start.elapsed() < TIME {
        total += stream.read(&mut buffer).unwrap();
    }
    stream.shutdown(std::net::Shutdown::Both).unwrap();
    total
}

/// Connections made, used once and closed in [`TIME`].
fn connects(target: SocketAddr) -> usize {
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < TIME {
        let mut stream = TcpStream::connect(target).unwrap();
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        count += 1;
    }
    count
}

/// Whether a connection gets an answer.
fn answers(target: SocketAddr) -> bool {
    let ask = || -> std::io::Result<()> {
        let mut stream = TcpStream::connect(target)?;
        stream.write_all(b"x")?;
        stream.read_exact(&mut [0])
    };
    ask().is_ok()
}

/// Waits until policies have come into force.
async fn until(pod: &Pod, target: SocketAddr, answered: bool) {
    let start = Instant::now();
    while pod.run(move || answers(target)).await != answered {
        assert!(start.elapsed() < Duration::from_secs(60), "the policies are not in force");
    }
}

/// Connections under [`POLICIES`] policies, against `before` without any.
async fn policies(client: &kube::Client, pod: &Pod, target: SocketAddr, before: f64) {
    let post = async |path: &str, body: Value| -> Value {
        let request = http::Request::post(path).header("content-type", "application/json");
        client.request(request.body(body.to_string().into_bytes()).unwrap()).await.unwrap()
    };
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    post("/api/v1/namespaces", namespace).await;
    for nth in 1..=POLICIES {
        let port = if nth == POLICIES { PORT } else { 1 };
        let rules = json!([{"ports": [{"port": port, "protocol": "TCP"}]}]);
        let policy = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": format!("p{nth}")},
            "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"],
                "ingress": rules, "egress": rules}});
        post("/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies", policy).await;
        if nth == POLICIES - 1 {
            until(pod, target, false).await;
        }
    }
    until(pod, target, true).await;
    let opened = pod.run(move || connects(target)).await as f64 / TIME.as_secs_f64();
    line(&format!("proxied_connects_{POLICIES}_policies"), opened, "1/s");
    line("policies_connects_ratio", opened / before, "");
}

/// Measure a client inside `pod` against `target`.
async fn measure(pod: &Pod, name: &str, target: SocketAddr) -> [f64; 4] {
    let mut times = pod.run(move || round_trips(target)).await;
    times.sort();
    let p50 = times[times.len() / 2].as_secs_f64() * 1e6;
    line(&format!("{name}_rtt_p50"), p50, "us");
    line(&format!("{name}_rtt_p99"), times[times.len() * 99 / 100].as_secs_f64() * 1e6, "us");
    let all = pod.run(move || {
        let clients: Vec<_> =
            (0..CONNECTIONS).map(|_| thread::spawn(move || round_trips(target).len())).collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum::<usize>()
    });
    let requests = all.await as f64 / TIME.as_secs_f64();
    line(&format!("{name}_requests_16"), requests, "1/s");
    let bytes = pod.run(move || bulk(target)).await as f64 / TIME.as_secs_f64() / 1e6;
    line(&format!("{name}_echo"), bytes, "MB/s");
    let opened = pod.run(move || connects(target)).await as f64 / TIME.as_secs_f64();
    line(&format!("{name}_connects"), opened, "1/s");
    [p50, requests, bytes, opened]
}

async fn run() {
    let home = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = ClusterConfig {
        version: ClusterConfig::VERSION,
        instance: "bench".into(),
        home: home.path().join("cluster"),
        binary: "/nonexistent".into(),
        own_image: "none".into(),
        api_listen: listener.local_addr().unwrap(),
        front_doors: Vec::new(),
        service_cidr: "10.96.0.0/16".parse().unwrap(),
        pod_cidr: "10.244.0.0/16".parse().unwrap(),
        reach: Reach::default(),
        registries: Registries::default(),
        sight: true,
        offline: false,
    };
    init(&config).unwrap();
    let pki = config.pki();
    let read = |path: &std::path::Path| std::fs::read(path).unwrap();
    let stop = CancellationToken::new();
    let server = ServerConfig {
        database: home.path().join("objects.redb"),
        listeners: vec![listener],
        certificate: read(&pki.apiserver_cert),
        key: read(&pki.apiserver_key),
        ca: read(&pki.ca_cert),
        token_key: read(&pki.service_account_key),
        service_cidr: (config.service_cidr.network(), config.service_cidr.prefix()),
        advertise: config.api_listen,
        offline: config.offline,
    };
    let server = Server::start(server, stop.clone()).await.unwrap();
    let client = server.local_client("bench", &["system:masters"]);
    let post = async |path: &str, body: Value| -> Value {
        let request = http::Request::post(path).header("content-type", "application/json");
        client.request(request.body(body.to_string().into_bytes()).unwrap()).await.unwrap()
    };
    let service = post(
        "/api/v1/namespaces/default/services",
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"ports": [{"port": 80, "targetPort": PORT}]}}),
    );
    let address = service.await["spec"]["clusterIP"].as_str().unwrap().to_owned();
    post(
        "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4", "ports": [{"port": PORT}],
            "endpoints": [{"addresses": [B.to_string()], "conditions": {"ready": true}}]}),
    )
    .await;

    let network = Network::new(Settings::from(&config));
    let (following, until, watching) = (network.clone(), stop.clone(), client.clone());
    tokio::spawn(async move { following.run(watching, until).await });
    let (a, b) = (Pod::start(A), Pod::start(B));
    a.attach(&network, A).await;
    b.attach(&network, B).await;
    a.serve().await;
    b.serve().await;
    let direct = measure(&a, "direct", (A, PORT).into()).await;
    let proxied = measure(&a, "proxied", format!("{address}:80").parse().unwrap()).await;
    line("added_rtt_p50", proxied[0] - direct[0], "us");
    line("requests_ratio", proxied[1] / direct[1], "");
    line("echo_ratio", proxied[2] / direct[2], "");
    line("connects_ratio", proxied[3] / direct[3], "");
    sight(&client, &config, &stop).await;
    policies(&client, &a, format!("{address}:80").parse().unwrap(), proxied[3]).await;
    stop.cancel();
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run());
}
