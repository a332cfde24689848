//! A client of `kubectl port-forward`'s protocol.

use std::collections::HashMap;

use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_util::sync::CancellationToken;

use super::frame::{self, Decoder, Frame};
use super::headers::Deflater;
use super::serve;
use crate::apiserver::stream::Connect;
use crate::apiserver::stream::tests::forward::connector;
use crate::apiserver::stream::tests::{Client, pair, pod, taken, within};

struct Kubectl {
    client: Client,
    deflater: Deflater,
    decoder: Decoder,
}

async fn serving() -> (Kubectl, tokio::task::JoinHandle<()>) {
    let (client, socket) = pair().await;
    let connect = connector().await;
    let server = tokio::spawn(async move {
        serve(socket, pod(), &connect, CancellationToken::new()).await;
    });
    (Kubectl { client, deflater: Deflater::new(), decoder: Decoder::new() }, server)
}

impl Kubectl {
    async fn open(&mut self, stream: u32, kind: &str, port: &str, request: &str) {
        let headers = [("streamtype", kind), ("port", port), ("requestid", request)];
        let frame = frame::tests::open(stream, &headers, &mut self.deflater);
        // The boundaries of messages are not those of frames.
        let (begin, rest) = frame.split_at(5);
        self.client.send(begin.to_vec()).await;
        self.client.send(rest.to_vec()).await;
    }

    async fn next(&mut self) -> Result<Frame, CloseCode> {
        loop {
            if let Some(frame) = self.decoder.next().unwrap() {
                return Ok(frame);
            }
            let bytes = self.client.next().await?;
            self.decoder.push(&bytes);
        }
    }

    /// What comes on these streams until all have ended; replies are passed over.
    async fn read(&mut self, streams: &[u32]) -> HashMap<u32, String> {
        let mut got: HashMap<u32, (Vec<u8>, bool)> = HashMap::new();
        while !streams.iter().all(|stream| got.get(stream).is_some_and(|(_, fin)| *fin)) {
            match self.next().await.unwrap() {
                Frame::Data { stream, bytes, fin } => {
                    let entry = got.entry(stream).or_default();
                    entry.0.extend_from_slice(&bytes);
                    entry.1 |= fin;
                }
                Frame::Other => {}
                other => panic!("{other:?}"),
            }
        }
        got.into_iter().map(|(id, (text, _))| (id, String::from_utf8(text).unwrap())).collect()
    }
}

#[tokio::test]
async fn connections_share_a_session() {
    let (mut kubectl, server) = serving().await;
    for (request, first) in [("0", 1), ("1", 5)] {
        kubectl.open(first, "error", "80", request).await;
        kubectl.client.send(frame::data(first, b"", true)).await;
        kubectl.open(first + 2, "data", "80", request).await;
    }
    kubectl.client.send(frame::data(7, b"second\n", false)).await;
    kubectl.client.send(frame::data(3, b"first, without a line end", true)).await;
    let got = kubectl.read(&[1, 3, 5, 7]).await;
    assert_eq!(got[&3], "first, without a line end");
    assert_eq!(got[&7], "second\n");
    assert_eq!((got[&1].as_str(), got[&5].as_str()), ("", ""), "nothing went wrong");
    kubectl.client.send(frame::ping(9)).await;
    assert_eq!(kubectl.next().await, Ok(Frame::Ping { id: 9 }));
    drop(kubectl);
    within(server).await.unwrap();
}

#[tokio::test]
async fn what_goes_wrong_is_told_on_the_other_stream() {
    let (mut kubectl, _server) = serving().await;
    kubectl.open(1, "error", "81", "0").await;
    kubectl.open(3, "data", "81", "0").await;
    let got = kubectl.read(&[1, 3]).await;
    assert!(got[&1].contains("error forwarding port 81 to pod web"), "{got:?}");
    assert_eq!(got[&3], "");
}

#[tokio::test]
async fn a_connection_that_is_given_up_ends() {
    let (mut kubectl, _server) = serving().await;
    kubectl.open(1, "error", "80", "0").await;
    kubectl.open(3, "data", "80", "0").await;
    kubectl.client.send(frame::data(3, b"no line end, and no end", false)).await;
    kubectl.client.send(frame::reset(3, 5)).await;
    assert_eq!(kubectl.read(&[1, 3]).await[&1], "");
}

#[tokio::test]
async fn streams_that_make_no_sense_are_refused() {
    let (mut kubectl, _server) = serving().await;
    let mut stream = 1;
    for (kind, port, request) in
        [("data", "0", "0"), ("data", "x", "0"), ("data", "70000", "0"), ("other", "80", "0")]
    {
        kubectl.open(stream, kind, port, request).await;
        assert_eq!(kubectl.next().await, Ok(Frame::Reset { stream }));
        stream += 2;
    }
    kubectl.open(9, "data", "80", "0").await;
    assert_eq!(kubectl.next().await, Ok(Frame::Other), "a reply");
    for (stream, port) in [(9, "80"), (11, "80"), (13, "81"), (14, "80")] {
        kubectl.open(stream, "data", port, "0").await;
        assert_eq!(kubectl.next().await, Ok(Frame::Reset { stream }), "another of its request");
    }
}

#[tokio::test]
async fn a_stream_that_is_never_complete_holds_nobody_up() {
    let (mut kubectl, _server) = serving().await;
    kubectl.open(1, "data", "80", "alone").await;
    assert_eq!(kubectl.next().await, Ok(Frame::Other), "a reply");
    for _ in 0..100 {
        kubectl.client.send(frame::data(1, &[0; 1000], false)).await;
    }
    kubectl.client.send(frame::ping(1)).await;
    assert_eq!(kubectl.next().await, Ok(Frame::Reset { stream: 1 }));
    assert_eq!(kubectl.next().await, Ok(Frame::Ping { id: 1 }));
}

#[tokio::test]
async fn a_session_that_is_not_understood_ends() {
    let (mut kubectl, server) = serving().await;
    kubectl.client.send(b"GET / HTTP/1.1\r\n\r\n".as_slice()).await;
    // Read as a data frame of 0x2f2048 bytes.
    assert_eq!(kubectl.next().await, Ok(Frame::GoAway));
    assert_eq!(kubectl.next().await, Err(CloseCode::Protocol));
    drop(kubectl);
    within(server).await.unwrap();
}

#[tokio::test]
async fn streams_without_a_pair_keep_little() {
    let (mut kubectl, _server) = serving().await;
    for (stream, request) in [(1, "0"), (3, "1")] {
        kubectl.open(stream, "data", "80", request).await;
        assert_eq!(kubectl.next().await, Ok(Frame::Other), "a reply");
    }
    kubectl.client.send(frame::data(1, &[0; 40_000], false)).await;
    kubectl.client.send(frame::data(3, &[0; 40_000], false)).await;
    assert_eq!(kubectl.next().await, Ok(Frame::Reset { stream: 3 }));
}

#[tokio::test]
async fn streams_that_are_given_up_before_they_have_a_pair_make_room() {
    let (mut kubectl, _server) = serving().await;
    for stream in (1..2500).step_by(2) {
        let kind = if stream % 4 == 1 { "data" } else { "error" };
        kubectl.open(stream, kind, "80", "same").await;
        assert_eq!(kubectl.next().await, Ok(Frame::Other), "a reply to {stream}");
        kubectl.client.send(frame::reset(stream, 5)).await;
    }
}

#[tokio::test]
async fn what_waits_for_all_connections_together_is_bounded() {
    let (client, socket) = pair().await;
    let connect: Box<Connect> = Box::new(|_| Box::pin(std::future::pending()));
    tokio::spawn(async move {
        serve(socket, pod(), &connect, CancellationToken::new()).await;
    });
    let mut kubectl = Kubectl { client, deflater: Deflater::new(), decoder: Decoder::new() };
    for request in 0..60 {
        for (stream, kind) in [(4 * request + 1, "error"), (4 * request + 3, "data")] {
            kubectl.open(stream, kind, "80", &request.to_string()).await;
            assert_eq!(kubectl.next().await, Ok(Frame::Other), "a reply");
        }
    }
    let message = |turn: u32| frame::data(4 * (turn % 60) + 3, &[0; 64 << 10], false);
    let bytes = taken(&mut kubectl.client, (0..240).map(message)).await;
    assert!((1 << 20..2 << 20).contains(&bytes), "{bytes}");
}
