//! A session of `kubectl port-forward`: pairs of streams, one for data and one for what went wrong, each pair a
//! connection to a port of the pod.

use std::collections::HashMap;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_util::sync::CancellationToken;

use super::frame::{self, Decoder, Frame};
use super::headers::{Deflater, Headers};
use crate::apiserver::PodRef;
use crate::apiserver::stream::budget::{Budget, Portion};
use crate::apiserver::stream::exec::{LEAVE, close};
use crate::apiserver::stream::forward::{BUDGET, Connect, QUEUE, refused, relay, send_all};

/// Most streams at a time: two for each connection.
const MOST_STREAMS: usize = 1024;
/// Bytes for pairs that are not complete: clients do not send any.
const EARLY: u32 = 64 << 10;

/// A pair whose other stream may not have begun yet.
struct Pair {
    port: u16,
    data: Option<u32>,
    errors: Option<u32>,
}

/// A data stream, and what it brings.
struct Data {
    /// Dropped when the client has said everything.
    queue: Option<mpsc::Sender<Portion>>,
    /// For when the pair is complete.
    receiver: Option<mpsc::Receiver<Portion>>,
    /// The client has given it up.
    reset: CancellationToken,
}

enum Stream {
    Data(Data),
    Errors,
}

struct Session<'a> {
    pod: PodRef,
    connect: &'a Connect,
    /// Frames for the client, as bytes.
    out: mpsc::Sender<Bytes>,
    deflater: Deflater,
    streams: HashMap<u32, Stream>,
    pairs: HashMap<String, Pair>,
    budget: Budget,
    early: Budget,
    /// Connections; each gives back the ids of its streams.
    connections: JoinSet<[u32; 2]>,
    last: u32,
}

/// Serves a session until the client has left.
pub(in crate::apiserver) async fn serve<S>(
    socket: WebSocketStream<S>,
    pod: PodRef,
    connect: &Connect,
    stopping: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sink, mut source) = socket.split();
    let (out, mut frames) = mpsc::channel::<Bytes>(QUEUE);
    let mut session = Session {
        pod,
        connect,
        out,
        deflater: Deflater::new(),
        streams: HashMap::new(),
        pairs: HashMap::new(),
        budget: Budget::new(BUDGET),
        early: Budget::new(EARLY),
        connections: JoinSet::new(),
        last: 0,
    };
    let output = send_all(&mut sink, &mut frames);
    let input = async {
        let mut decoder = Decoder::new();
        loop {
            let message = tokio::select! {
                message = source.next() => message,
                Some(ended) = session.connections.join_next() => {
                    session.forget(ended.unwrap_or_default());
                    continue;
                }
            };
            match message {
                Some(Ok(Message::Binary(bytes))) => decoder.push(&bytes),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => continue,
            }
            loop {
                match decoder.next() {
                    Ok(Some(frame)) => session.take(frame).await,
                    Ok(None) => break,
                    Err(error) => {
                        tracing::debug!(%error, "a port-forward was not understood");
                        return Some((frame::PROTOCOL_ERROR, CloseCode::Protocol));
                    }
                }
            }
        }
    };
    let over = tokio::select! {
        over = input => over,
        _ = output => None,
        () = stopping.cancelled() => Some((frame::GOODBYE, CloseCode::Away)),
    };
    let Some((status, code)) = over else {
        return;
    };
    let leave = async {
        sink.send(Message::Binary(frame::go_away(session.last, status))).await?;
        close(&mut sink, &mut source, code).await
    };
    let _ = tokio::time::timeout(LEAVE, leave).await;
}

impl Session<'_> {
    async fn send(&self, frame: Bytes) {
        // An error: the client has left, which is seen elsewhere.
        let _ = self.out.send(frame).await;
    }

    async fn take(&mut self, frame: Frame) {
        match frame {
            Frame::Open { stream, headers, fin } => self.open(stream, &headers, fin).await,
            Frame::Data { stream, bytes, fin } => self.pass(stream, &bytes, fin).await,
            Frame::Reset { stream } => {
                if !self.abandon(stream)
                    && let Some(Stream::Data(data)) = self.streams.get(&stream)
                {
                    data.reset.cancel();
                }
            }
            // Odd ids are the client's; an even one would be an answer to a ping of ours, and there is none.
            Frame::Ping { id } if id % 2 == 1 => self.send(frame::ping(id)).await,
            Frame::Ping { .. } | Frame::GoAway | Frame::Other => {}
        }
    }

    /// Passes bytes on to the connection, when there is room for them.
    async fn pass(&mut self, stream: u32, bytes: &[u8], fin: bool) {
        let Some(Stream::Data(data)) = self.streams.get_mut(&stream) else {
            return;
        };
        if let Some(queue) = data.queue.as_ref().filter(|_| !bytes.is_empty()) {
            if data.receiver.is_some() {
                // Nobody reads it before its pair is complete, which may never be: it is not waited for.
                let portion = self.early.try_take(bytes);
                if portion.is_none_or(|portion| queue.try_send(portion).is_err()) {
                    self.abandon(stream);
                    return self.send(frame::reset(stream, frame::REFUSED_STREAM)).await;
                }
            } else if let Some(portion) = self.budget.take(bytes).await
                && queue.send(portion).await.is_err()
            {
                data.queue = None;
            }
        }
        if fin {
            data.queue = None;
        }
    }

    /// Forgets a stream whose pair is not complete, and the pair; `false` if it is none.
    fn abandon(&mut self, stream: u32) -> bool {
        let is_of = |pair: &Pair| [pair.data, pair.errors].contains(&Some(stream));
        let before = self.pairs.len();
        self.pairs.retain(|_, pair| !is_of(pair));
        let incomplete = self.pairs.len() < before;
        if incomplete {
            self.streams.remove(&stream);
        }
        incomplete
    }

    async fn open(&mut self, stream: u32, headers: &Headers, fin: bool) {
        match self.add(stream, headers, fin) {
            Ok(complete) => {
                self.last = stream;
                let reply = frame::reply(stream, &mut self.deflater);
                self.send(reply).await;
                if let Some(request) = complete {
                    self.start(&request);
                }
            }
            Err(why) => {
                tracing::debug!(stream, why, "a stream was refused");
                self.send(frame::reset(stream, frame::REFUSED_STREAM)).await;
            }
        }
    }

    /// Books a stream; the id of its request if that is complete now.
    fn add(
        &mut self,
        stream: u32,
        headers: &Headers,
        fin: bool,
    ) -> Result<Option<String>, &'static str> {
        if stream.is_multiple_of(2) || stream <= self.last {
            return Err("its id is not a new one of a client's");
        }
        if self.streams.len() >= MOST_STREAMS {
            return Err("there are too many");
        }
        let port = headers.get("port").and_then(|port| port.parse().ok());
        let port = port.filter(|port| *port != 0).ok_or("its port is no port")?;
        let errors = match headers.get("streamtype") {
            Some("error") => true,
            Some("data") => false,
            _ => return Err("it is neither for data nor for errors"),
        };
        let request = headers.get("requestid").ok_or("it has no requestid")?.to_owned();
        let pair = self.pairs.entry(request.clone());
        let pair = pair.or_insert(Pair { port, data: None, errors: None });
        let place = if errors { &mut pair.errors } else { &mut pair.data };
        if place.is_some() || pair.port != port {
            return Err("its request has another one already");
        }
        *place = Some(stream);
        let complete = (pair.data.is_some() && pair.errors.is_some()).then_some(request);
        let booked = if errors {
            Stream::Errors
        } else {
            let (sender, receiver) = mpsc::channel(QUEUE);
            let reset = CancellationToken::new();
            let queue = (!fin).then_some(sender);
            Stream::Data(Data { queue, receiver: Some(receiver), reset })
        };
        self.streams.insert(stream, booked);
        Ok(complete)
    }

    /// Connects a complete pair.
    fn start(&mut self, request: &str) {
        let Some(Pair { port, data: Some(data), errors: Some(errors) }) =
            self.pairs.remove(request)
        else {
            return;
        };
        let Some(Stream::Data(stream)) = self.streams.get_mut(&data) else {
            return;
        };
        let Some(receiver) = stream.receiver.take() else {
            return;
        };
        let (reset, out, pod) = (stream.reset.clone(), self.out.clone(), self.pod.clone());
        let connecting = (self.connect)(port);
        self.connections.spawn(async move {
            let forwarding = async {
                let connection = connecting.await?;
                relay(connection, receiver, |bytes| {
                    let frame = frame::data(data, bytes, false);
                    let out = out.clone();
                    async move { out.send(frame).await.is_ok() }
                })
                .await
            };
            let done = tokio::select! {
                done = forwarding => done,
                () = reset.cancelled() => Ok(()),
            };
            let message = match done {
                Ok(()) => String::new(),
                Err(error) => refused(&pod, port, &error),
            };
            // The client waits for the ends of both.
            let _ = out.send(frame::data(errors, message.as_bytes(), true)).await;
            let _ = out.send(frame::data(data, b"", true)).await;
            [data, errors]
        });
    }

    fn forget(&mut self, streams: [u32; 2]) {
        for stream in streams {
            self.streams.remove(&stream);
        }
    }
}
