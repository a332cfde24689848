//! Real requests through a real listener.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::super::upstream::Upstream;
use super::super::{Shared, listen};
use super::*;

/// Serves each connection to a port of its own, which is returned, with `answer`.
async fn accept_each<F>(answer: impl Fn(BufReader<TcpStream>) -> F + Send + 'static) -> u16
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(answer(BufReader::new(stream)));
        }
    });
    port
}

/// The head of the next message on `stream`; `None` if that ends before.
async fn read_head(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.unwrap() == 0 {
            return None;
        }
    }
    Some(head)
}

/// A backend that answers each connection with `answer`, or with the head that it was sent for `echo`.
async fn backend(answer: &'static str) -> u16 {
    accept_each(move |mut stream| async move {
        let Some(head) = read_head(&mut stream).await else { return };
        let text = match answer {
            "echo" => format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\
                 set-cookie: curtain_x=1\r\nset-cookie: own=1\r\n\r\n{head}",
                head.len()
            ),
            "silent" => return std::future::pending().await,
            "hang up" => return,
            other => other.to_owned(),
        };
        stream.write_all(text.as_bytes()).await.unwrap();
        // What follows the head of an upgraded connection is echoed.
        let (mut reader, mut writer) = tokio::io::split(stream);
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    })
    .await
}

/// Serve `world` on a port of its own.
async fn serve(world: World) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Arc::new(compiled(&world).router);
    let shared = Arc::new(Shared {
        gateway: gateway_key(),
        world: world.into(),
        changed: tokio::sync::Notify::new(),
        router: router.into(),
        upstream: Upstream::new(),
        counts: Default::default(),
        strip_cookies: true,
        instance: curtain_role::Instance::new("ci"),
    });
    tokio::spawn(listen::serve(shared, 80, listener, CancellationToken::new()));
    address
}

/// Send a request as it stands and read until the connection ends.
async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(20), read).await.unwrap().unwrap();
    answer
}

async fn get(address: SocketAddr, host: &str, path: &str) -> String {
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
         cookie: a=1; curtain_s=2\r\n\r\n"
    );
    raw(address, &request).await
}

/// `host` with one rule to the backend on `port`.
fn rule(world: &mut World, host: &str, port: u16, mut rule: Value) {
    let name = format!("s{port}");
    add_service(world, "app", &name, port);
    rule["backendRefs"] = json!([{"name": name, "port": port}]);
    add_route(world, &host.replace('.', "-"), json!({"hostnames": [host], "rules": [rule]}));
}

#[tokio::test]
async fn a_request_is_rewritten_and_told_about() {
    let mut world = world(open_listener(80));
    let echo = backend("echo").await;
    rule(
        &mut world,
        "dev-acme.apps.localhost",
        echo,
        json!({
            "matches": [{"path": {"type": "PathPrefix", "value": "/greeter-http"}}],
            "filters": [
                {"type": "URLRewrite", "urlRewrite":
                    {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}},
                {"type": "RequestHeaderModifier", "requestHeaderModifier":
                    {"set": [{"name": "x-set", "value": "1"}]}},
                {"type": "ResponseHeaderModifier", "responseHeaderModifier":
                    {"add": [{"name": "x-answered", "value": "1"}]}},
            ],
        }),
    );
    let address = serve(world).await;

    let by_host = get(address, "dev-acme.apps.localhost:19080", "/greeter-http/hi?a=%20b").await;
    assert!(by_host.starts_with("HTTP/1.1 200 OK\r\n"), "{by_host}");
    assert!(by_host.contains("\r\n\r\nGET /hi?a=%20b HTTP/1.1\r\n"), "{by_host}");
    for header in [
        "x-set: 1",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: dev-acme.apps.localhost:19080",
        "host: dev-acme.apps.localhost:19080",
        "cookie: a=1\r\n",
        "x-answered: 1",
        "set-cookie: own=1",
    ] {
        assert!(by_host.contains(header), "{header} is not in {by_host}");
    }
    assert!(!by_host.contains("curtain_"), "{by_host}");
    assert!(!by_host.contains("x-forwarded-prefix"), "{by_host}");

    let by_path = get(address, "localhost:19080", "/@dev-acme/greeter-http/hi").await;
    assert!(by_path.contains("\r\n\r\nGET /hi HTTP/1.1\r\n"), "{by_path}");
    assert!(by_path.contains("x-forwarded-prefix: /@dev-acme\r\n"), "{by_path}");
    let bare = get(address, "localhost:19080", "/@dev-acme?x=1").await;
    assert!(bare.starts_with("HTTP/1.1 308 "), "{bare}");
    assert!(bare.contains("location: /@dev-acme/?x=1\r\n"), "{bare}");
}

#[tokio::test]
async fn failures_have_the_status_the_specification_gives_them() {
    let mut world = world(open_listener(80));
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let (silent, rude) = (backend("silent").await, backend("hang up").await);
    let switches = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    rule(&mut world, "unasked", backend(switches).await, json!({}));
    rule(&mut world, "closed", closed, json!({}));
    rule(&mut world, "rude", rude, json!({}));
    rule(&mut world, "slow", silent, json!({"timeouts": {"request": "50ms"}}));
    add_route(&mut world, "none", json!({"hostnames": ["none"], "rules": [{"backendRefs": []}]}));
    add_route(
        &mut world,
        "gone",
        json!({"hostnames": ["gone"], "rules":
        [{"backendRefs": [{"name": "nope", "port": 1}]}]}),
    );
    let address = serve(world).await;
    for (host, status) in [
        ("closed", 503),
        ("rude", 502),
        ("unasked", 502),
        ("slow", 504),
        ("none", 500),
        ("gone", 500),
    ] {
        let answer = get(address, host, "/").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{host}: {answer}");
    }
    // The port, by which one finds out whether the program or its declaration is wrong.
    let answer = get(address, "closed", "/").await;
    assert!(answer.contains(&format!("at port {closed}:")), "{answer}");
    for hosts in ["", "host: slow\r\nhost: none\r\n", "host: a@slow\r\n"] {
        let request = format!("GET / HTTP/1.1\r\n{hosts}connection: close\r\n\r\n");
        assert!(raw(address, &request).await.contains(" 400 "), "{hosts}");
    }
}

#[tokio::test]
async fn what_is_not_routed_is_named_and_is_no_page() {
    let mut world = world(open_listener(80));
    let matches = json!([{"path": {"type": "PathPrefix", "value": "/here"}}]);
    rule(&mut world, "app.localhost", backend("echo").await, json!({"matches": matches}));
    let address = serve(world).await;
    let answer = get(address, "Other.localhost:19080", "/here").await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert!(answer.contains("no route has the host `other.localhost`"), "{answer}");
    assert!(answer.contains("content-type: text/plain"), "{answer}");
    let list = r#"`kubectl --kubeconfig "$(curtain kubeconfig --name ci)" get httproutes -A`"#;
    assert!(answer.contains(list), "{answer}");
    let answer = get(address, "app.localhost", "/elsewhere").await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert!(answer.contains("no route of the host `app.localhost` fits"), "{answer}");
    let answer = get(address, "localhost", "/@nobody/here").await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert!(answer.contains("no route has a host `nobody.…`"), "{answer}");
}

/// Answers one request per connection and hangs up at the second, as a server does whose idle
/// connections end just then.
async fn forgetful() -> u16 {
    accept_each(|mut stream| async move {
        if read_head(&mut stream).await.is_some() {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            read_head(&mut stream).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_safe_request_survives_the_end_of_a_kept_connection() {
    let mut world = world(open_listener(80));
    rule(&mut world, "app", forgetful().await, json!({}));
    let address = serve(world).await;
    for _ in 0..3 {
        let answer = get(address, "app", "/").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    let post = "POST / HTTP/1.1\r\nhost: app\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let answer = raw(address, post).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "nobody knows whether it was done: {answer}");
}

#[tokio::test]
async fn redirects_are_answered_here_and_those_of_backends_keep_the_prefix() {
    let mut world = world(open_listener(80));
    add_route(
        &mut world,
        "r",
        json!({"hostnames": ["old.localhost"], "rules": [{"filters": [
        {"type": "RequestRedirect", "requestRedirect": {"hostname": "new.localhost", "statusCode": 301}}]}]}),
    );
    let moved = "HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n";
    rule(&mut world, "app.localhost", backend(moved).await, json!({}));
    let whole =
        "HTTP/1.1 302 Found\r\nlocation: http://localhost:80/login\r\ncontent-length: 0\r\n\r\n";
    rule(&mut world, "whole.localhost", backend(whole).await, json!({}));
    let address = serve(world).await;
    let answer = get(address, "old.localhost:81", "/x?y").await;
    assert!(answer.starts_with("HTTP/1.1 301 "), "{answer}");
    assert!(answer.contains("location: http://new.localhost:81/x?y\r\n"), "{answer}");
    let answer = get(address, "localhost", "/@app/x").await;
    assert!(answer.contains("location: /@app/login\r\n"), "{answer}");
    let answer = get(address, "localhost:80", "/@whole/x").await;
    assert!(answer.contains("location: http://localhost:80/@whole/login\r\n"), "{answer}");
}

#[tokio::test]
async fn a_changed_protocol_runs_both_ways() {
    let mut world = world(open_listener(80));
    let upgrade =
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    rule(&mut world, "ws", backend(upgrade).await, json!({}));
    let address = serve(world).await;
    let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    let request = "GET / HTTP/1.1\r\nhost: ws\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("upgrade: websocket"), "{head}");
    for text in ["ping", "pong"] {
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).await.unwrap();
        assert_eq!(bytes, text.as_bytes());
    }
}

#[tokio::test]
async fn events_arrive_one_by_one() {
    let mut world = world(open_listener(80));
    let start = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
        transfer-encoding: chunked\r\n\r\n8\r\ndata: 1\n\r\n";
    rule(&mut world, "sse", backend(start).await, json!({}));
    let address = serve(world).await;
    let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    stream.write_all(b"GET / HTTP/1.1\r\nhost: sse\r\n\r\n").await.unwrap();
    let mut line = String::new();
    let first = async {
        while !line.starts_with("data: 1") {
            line.clear();
            assert_ne!(stream.read_line(&mut line).await.unwrap(), 0);
        }
    };
    // The backend never ends its answer, so this can only be the event itself.
    tokio::time::timeout(Duration::from_secs(20), first).await.unwrap();
}
