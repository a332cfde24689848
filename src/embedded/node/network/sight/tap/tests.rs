//! Conversations, whole and in pieces.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::*;

/// What each side sends, in the order in which it passes.
type Talk<'a> = &'a [(Side, &'a [u8])];

const C: Side = Side::Client;
const S: Side = Side::Server;

/// What a tap makes of a conversation, each piece a millisecond after the one before. `cut` says where a piece of the
/// conversation is divided further; its parts pass at the same time.
fn read(talk: Talk<'_>, mut cut: impl FnMut(usize) -> usize) -> (Vec<String>, bool) {
    let (mut tap, mut told) = (Tap::new(), Vec::new());
    let start = Instant::now();
    let mut tell = |one: Exchange| {
        let status = one.status.map_or("none".to_owned(), |status| status.to_string());
        let time = one.latency.map_or("-".to_owned(), |time| format!("{}ms", time.as_millis()));
        let Exchange { protocol, method, route, .. } = one;
        told.push(format!("{} {method} {route} {status} {time}", protocol.name()));
    };
    for (nth, &(side, mut bytes)) in talk.iter().enumerate() {
        let now = start + Duration::from_millis(nth as u64);
        while !bytes.is_empty() {
            let here = cut(bytes.len()).clamp(1, bytes.len());
            tap.feed(side, &bytes[..here], now, &mut tell);
            bytes = &bytes[here..];
        }
    }
    let blind = tap.is_blind();
    tap.end(&mut tell);
    (told, blind)
}

/// What a tap tells; the same however the conversation is cut up.
fn told(talk: Talk<'_>) -> Vec<String> {
    let whole = read(talk, |all| all);
    for size in [1, 2, 3, 7, 64] {
        assert_eq!(read(talk, |_| size), whole, "in pieces of {size}");
    }
    let mut random = SmallRng::seed_from_u64(7);
    for _ in 0..200 {
        assert_eq!(read(talk, |all| random.random_range(1..=all)), whole);
    }
    whole.0
}

/// That a tap gives up, having told this.
fn lost(talk: Talk<'_>) -> Vec<String> {
    assert!(read(talk, |all| all).1, "it goes on");
    told(talk)
}

#[test]
fn requests_on_one_connection() {
    let talk: Talk = &[
        (C, b"GET /items/42?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"),
        (S, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        (C, b"POST /items HTTP/1.1\r\nContent-Length: 11\r\n\r\nGET / HTTP/"),
        (S, b"HTTP/1.1 404 Not Found\r\ncontent-length:0\r\n\r\n"),
        (C, b"\r\nDELETE /items/1 HTTP/1.1\r\n\r\n"),
        (S, b"HTTP/1.0 500\r\n\r\nGET / HTTP/1.1\r\n\r\n up to the end"),
    ];
    assert_eq!(
        told(talk),
        [
            "http1 GET /items/{id} 200 1ms",
            "http1 POST /items 404 1ms",
            "http1 DELETE /items/{id} 500 1ms"
        ]
    );
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let talk: Talk = &[
        (C, b"GET /a HTTP/1.1\r\n\r\nHEAD /b HTTP/1.1\r\n\r\nGET /c HTTP/1.1\r\n\r\nGET /d"),
        (S, b"HTTP/1.1 304 x\r\ncontent-length: 9\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n"),
        (C, b" HTTP/1.1\r\n\r\n"),
        (S, b"HTTP/1.1 204 x\r\n\r\n"),
    ];
    let all = [
        "http1 GET /a 304 1ms",
        "http1 HEAD /b 200 1ms",
        "http1 GET /c 204 3ms",
        "http1 GET /d none -",
    ];
    assert_eq!(told(talk), all);
}

#[test]
fn chunked_bodies_both_ways() {
    let talk: Talk = &[
        (C, b"PUT /up HTTP/1.1\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n4;a=b\r\nGET \r\n"),
        (
            C,
            b"19\r\n0123456789\r\n0123456789\r\n.\r\n0\r\nTrailer: x\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        ),
        (S, b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        (S, b"HTTP/1.1 200 OK\nTransfer-Encoding:chunked\nContent-Length: 3\n\n0\n\n"),
    ];
    assert_eq!(told(talk), ["http1 PUT /up 201 2ms", "http1 GET / 200 2ms"]);
}

#[test]
fn an_answer_may_be_announced_first() {
    let talk: Talk = &[
        (C, b"POST /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"),
        (S, b"HTTP/1.1 100 Continue\r\n\r\n"),
        (C, b"abc"),
        (S, b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
    ];
    assert_eq!(told(talk), ["http1 POST /x 200 3ms"]);
}

#[test]
fn what_becomes_something_else_is_left_alone() {
    let socket: Talk = &[
        (C, b"GET /live HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"),
        (S, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"),
        (C, b"GET / HTTP/1.1\r\n\r\n"),
        (S, b"HTTP/1.1 200 OK\r\n\r\n"),
    ];
    assert_eq!(lost(socket), ["http1 GET /live 101 1ms"]);
    let tunnel: Talk =
        &[(C, b"CONNECT host:443 HTTP/1.1\r\n\r\n"), (S, b"HTTP/1.1 200 OK\r\n\r\n\x16\x03\x01")];
    assert_eq!(lost(tunnel), ["http1 CONNECT host:443 200 1ms"]);
}

#[test]
fn what_is_no_http_is_not_followed() {
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"[..],
        b"GETX / HTTP/1.1\r\n\r\n",
        b"get / HTTP/1.1\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / RTSP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1234567890123456\r\n",
        b"PRI * HTTP/2.0\r\n\r\nXX",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x01\x05\x00\x00\x00\x01",
        b"*1\r\n$4\r\nPING\r\n",
    ] {
        assert_eq!(lost(&[(C, bytes)]), [""; 0], "{}", String::from_utf8_lossy(bytes));
    }
    // A server that speaks first, one that answers nobody, one that answers something else.
    assert_eq!(lost(&[(S, b"220 mail\r\n"), (C, b"GET / HTTP/1.1\r\n\r\n")]), [""; 0]);
    let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let answers: Talk = &[(C, b"GET / HTTP/1.1\r\n\r\n"), (S, ok), (S, ok)];
    assert_eq!(lost(answers), ["http1 GET / 200 1ms"]);
    assert_eq!(lost(&[(C, b"GET / HTTP/1.1\r\n\r\n"), (S, b"ICY 200 OK\r\n")]), [""; 0]);
}

#[test]
fn large_heads_cost_little() {
    let path = format!("/x?{}", "q".repeat(100_000));
    let request = format!("GET {path} HTTP/1.1\r\nCookie: {}\r\n\r\n", "c".repeat(200_000));
    let response = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let talk: Talk = &[(C, request.as_bytes()), (S, response)];
    let whole = read(talk, |all| all);
    assert_eq!(whole, (vec!["http1 GET /x 200 1ms".to_owned()], false));
    assert_eq!(read(talk, |_| 4096), whole);
    // Without end.
    let endless = format!("GET / HTTP/1.1\r\nCookie: {}", "c".repeat(300_000));
    assert!(read(&[(C, endless.as_bytes())], |_| 4096).1);
    let lines = format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(2000));
    assert!(read(&[(C, lines.as_bytes())], |_| 4096).1);
    let many = "GET / HTTP/1.1\r\n\r\n".repeat(100);
    assert!(read(&[(C, many.as_bytes())], |_| 4096).1);
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header block of plain literals.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[text.len() as u8][..], text.as_bytes()].concat();
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

fn hello() -> Vec<u8> {
    [PREFACE_BYTES, &frame(4, 0, 0, &[0, 3, 0, 0, 0, 100])].concat()
}

const PREFACE_BYTES: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn request(path: &str, kind: &str) -> Vec<u8> {
    block(&[(":method", "POST"), (":path", path), (":scheme", "http"), ("content-type", kind)])
}

#[test]
fn streams_are_told_apart() {
    let get = block(&[(":method", "GET"), (":path", "/users/7?q"), ("cookie", "x")]);
    let ok = block(&[(":status", "200")]);
    let (head, tail) = get.split_at(9);
    let talk: Talk = &[
        (C, &[hello(), frame(1, 0x0, 1, head), frame(9, 0x4, 1, tail)].concat()),
        (S, &[frame(4, 0, 0, &[]), frame(4, 1, 0, &[])].concat()),
        (C, &[frame(1, 0x5, 3, &request("/b", "text/plain")), frame(8, 0, 0, &[0; 4])].concat()),
        (S, &[frame(1, 0x4, 3, &block(&[(":status", "503")])), frame(6, 0, 0, &[0; 8])].concat()),
        (S, &[frame(1, 0x4, 1, &block(&[(":status", "100")])), frame(1, 0x4, 1, &ok)].concat()),
        (S, &[frame(0, 0x0, 1, &[b'x'; 5000]), frame(0, 0x1, 1, b"")].concat()),
        // With padding and priority, and then reset by the client.
        (C, &frame(1, 0x2c, 5, &[&[3, 0, 0, 0, 0, 9][..], &get, &[0; 3]].concat())),
        (C, &[frame(3, 0, 5, &[0, 0, 0, 8]), frame(1, 0x4, 7, &get)].concat()),
    ];
    let all = [
        "http2 POST /b 503 1ms",
        "http2 GET /users/{id} 200 4ms",
        "http2 GET /users/{id} none -",
        "http2 GET /users/{id} none -",
    ];
    assert_eq!(told(talk), all);
}

#[test]
fn grpc_has_its_own_status() {
    let call = |stream, method: &str| {
        let headers = request(&format!("/shop.v1.Cart/{method}"), "application/grpc+proto");
        [frame(1, 0x4, stream, &headers), frame(0, 0x1, stream, b"\0\0\0\0\0")].concat()
    };
    let head = block(&[(":status", "200"), ("content-type", "application/grpc")]);
    let trailer = |status: &str| block(&[("grpc-status", status), ("grpc-message", "m")]);
    let only = block(&[(":status", "200"), ("grpc-status", "12")]);
    let talk: Talk = &[
        // A server may send its settings before the client has said anything.
        (S, &frame(4, 0, 0, &[0, 3, 0, 0, 0, 100])),
        (C, &[hello(), call(1, "Get"), call(3, "None"), call(5, "Watch")].concat()),
        (S, &[frame(1, 0x4, 1, &head), frame(0, 0, 1, b"\0\0\0\0\0")].concat()),
        (S, &[frame(1, 0x5, 1, &trailer("0")), frame(1, 0x5, 3, &only)].concat()),
        (S, &[frame(1, 0x4, 5, &head), frame(3, 0, 5, &[0, 0, 0, 7])].concat()),
        (C, &[call(7, "Slow"), call(9, "Proxied"), call(11, "Open")].concat()),
        (C, &frame(3, 0, 7, &[0, 0, 0, 8])),
        (S, &[frame(1, 0x4, 9, &block(&[(":status", "502")])), frame(0, 0x1, 9, b"x")].concat()),
    ];
    let all = [
        "grpc POST /shop.v1.Cart/Get 0 1ms",
        "grpc POST /shop.v1.Cart/None 12 2ms",
        "grpc POST /shop.v1.Cart/Watch 14 3ms",
        "grpc POST /shop.v1.Cart/Slow 1 -",
        "grpc POST /shop.v1.Cart/Proxied 14 2ms",
        "grpc POST /shop.v1.Cart/Open none -",
    ];
    assert_eq!(told(talk), all);
}

#[test]
fn broken_frames_are_not_followed() {
    for broken in [
        frame(1, 0x4, 0, &[0x82]),
        frame(9, 0x4, 1, &[0x82]),
        frame(1, 0x4, 1, &[0xff, 0xff, 0xff, 0xff, 0xff]),
        frame(1, 0xc, 1, &[9, 0x82]),
        frame(1, 0x24, 1, &[0, 0]),
        frame(1, 0x4, 1, &[0; 40_000]),
        frame(3, 0, 1, &[0; 3]),
        [frame(1, 0x0, 1, &[0x82]), frame(0, 0, 1, &[])].concat(),
        (1..).step_by(2).take(1100).flat_map(|id| frame(1, 0x5, id, &[0x82, 0x84])).collect(),
    ] {
        let talk = [hello(), broken.clone()].concat();
        assert!(read(&[(C, &talk)], |all| all).1, "{:?}", &broken[..broken.len().min(12)]);
    }
}

/// Conversations with errors at random: nothing but giving up may come of it.
#[test]
fn noise_is_survived() {
    let get = request("/shop.v1.Cart/Get", "application/grpc");
    let head = block(&[(":status", "200"), ("grpc-status", "0")]);
    let two: Talk = &[
        (C, &[hello(), frame(1, 0x5, 1, &get), frame(1, 0x5, 3, &get)].concat()),
        (S, &[frame(4, 0, 0, &[]), frame(1, 0x4, 1, &head), frame(3, 0, 3, &[0; 4])].concat()),
    ];
    let one: Talk = &[
        (C, b"PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
        (S, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 204 No\r\n\r\n"),
    ];
    let mut random = SmallRng::seed_from_u64(20);
    for round in 0..20_000 {
        let talk = if round % 2 == 0 { one } else { two };
        let mut noisy: Vec<(Side, Vec<u8>)> =
            talk.iter().map(|(side, bytes)| (*side, bytes.to_vec())).collect();
        for _ in 0..random.random_range(1..4) {
            let piece = random.random_range(0..noisy.len());
            let bytes = &mut noisy[piece].1;
            let at = random.random_range(0..bytes.len());
            match random.random_range(0..3) {
                0 => bytes[at] = random.random(),
                1 => bytes.insert(at, random.random()),
                _ => bytes.truncate(at + 1),
            }
        }
        let noisy: Vec<(Side, &[u8])> =
            noisy.iter().map(|(side, bytes)| (*side, bytes.as_slice())).collect();
        let whole = read(&noisy, |all| all);
        let pieces = read(&noisy, |all| random.random_range(1..=all));
        assert_eq!(pieces, whole, "{noisy:?}");
    }
}

/// Copies until the end, and shows a tap what passes.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    side: Side,
    tap: &Mutex<(Tap, Vec<Exchange>)>,
) {
    let mut buffer = [0; 700];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        {
            let (tap, told) = &mut *tap.lock().unwrap();
            tap.feed(side, &buffer[..length], Instant::now(), &mut |one| told.push(one));
        }
        to.write_all(&buffer[..length]).await.unwrap();
    }
    to.shutdown().await.ok();
}

/// A client and a server that know nothing of each other's tap: with Huffman coding, tables, settings, flow control.
#[tokio::test]
async fn a_real_client_and_server() {
    use hyper::client::conn::http2 as client;
    use hyper::server::conn::http2 as server;

    let (near, middle) = tokio::io::duplex(4096);
    let (far, behind) = tokio::io::duplex(4096);
    let service = service_fn(|request: Request<Incoming>| async move {
        let status = match request.uri().path() {
            "/missing" => 404,
            _ => 200,
        };
        let body = request.into_body().collect().await?.to_bytes();
        let answer = Full::new(Bytes::from(vec![b'x'; 20_000 + body.len()]));
        let response = Response::builder().status(status).header("x-long", "y".repeat(500));
        Ok::<_, hyper::Error>(response.body(answer).unwrap())
    });
    let executor = TokioExecutor::new;
    tokio::spawn(server::Builder::new(executor()).serve_connection(TokioIo::new(behind), service));
    let tap = Arc::new(Mutex::new((Tap::new(), Vec::new())));
    let seen = tap.clone();
    tokio::spawn(async move {
        let (client_read, client_write) = tokio::io::split(middle);
        let (server_read, server_write) = tokio::io::split(far);
        tokio::join!(
            copy(client_read, server_write, C, &seen),
            copy(server_read, client_write, S, &seen),
        );
    });
    let io = TokioIo::new(near);
    let (mut sender, connection) = client::handshake(executor(), io).await.unwrap();
    tokio::spawn(connection);
    for (path, sent) in [("/items/1?a=b", 0), ("/missing", 100), ("/items/2?a=b", 40_000)] {
        let request = Request::post(format!("http://shop.example{path}"))
            .header("authorization", "Bearer secret")
            .header("x-nth", path)
            .body(Full::new(Bytes::from(vec![b'z'; sent])))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        response.into_body().collect().await.unwrap();
    }
    let (tap, told) = &mut *tap.lock().unwrap();
    assert!(!tap.is_blind());
    let seen = |one: &Exchange| format!("{} {:?}", one.route, one.status.unwrap());
    let all: Vec<String> = told.iter().map(seen).collect();
    assert_eq!(all, ["/items/{id} 200", "/missing 404", "/items/{id} 200"]);
    assert!(told.iter().all(|one| one.protocol == Protocol::Http2 && one.method == "POST"));
}
