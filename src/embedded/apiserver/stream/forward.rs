//! `pods/portforward` by channels: two for each port, `2i` for data and `2i + 1` for what went wrong.
//!
//! The first message on each tells the port, as two bytes. A port is connected to once, at the beginning; the WebSocket
//! ends when all these connections have.

use std::io;

use bytes::Bytes;
use futures::future::{BoxFuture, join_all};
use futures::{SinkExt as _, Stream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

use super::budget::{Budget, Portion};
use super::channel;
use super::exec::{LEAVE, PING, close};
use crate::apiserver::PodRef;

/// Most ports: channels have one byte.
pub(in crate::apiserver) const MOST_PORTS: usize = 127;
/// Bytes of a connection in a message.
pub(super) const CHUNK: usize = 32 << 10;
/// Messages on their way to one connection, and to the client.
pub(super) const QUEUE: usize = 8;
/// Bytes of one client on their way to all its connections.
pub(super) const BUDGET: u32 = 1 << 20;
/// Largest message: Python's client reads a megabyte from its socket at once, others tens of kilobytes.
pub(in crate::apiserver) const LARGEST: usize = (1 << 20) + (64 << 10);

/// Connects to a port of the pod.
pub(in crate::apiserver) type Connect =
    dyn Fn(u16) -> BoxFuture<'static, io::Result<TcpStream>> + Send + Sync;

/// What a client is told when there is no connection.
pub(super) fn refused(pod: &PodRef, port: u16, error: &io::Error) -> String {
    format!(
        "error forwarding port {port} to pod {}, uid {}: failed to connect to localhost:{port} inside the pod: {error}",
        pod.name, pod.uid
    )
}

/// Forwards ports until their connections have ended or the client has left.
pub(in crate::apiserver) async fn serve<S>(
    socket: WebSocketStream<S>,
    pod: PodRef,
    ports: Vec<u16>,
    connect: &Connect,
    stopping: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sink, mut source) = socket.split();
    let (to_client, mut messages) = mpsc::channel(QUEUE);
    let (to_pod, connections): (Vec<_>, Vec<_>) = (0_u8..)
        .step_by(2)
        .zip(&ports)
        .map(|(data, port)| {
            let (sender, receiver) = mpsc::channel(QUEUE);
            (sender, forward(&pod, data, *port, connect, receiver, to_client.clone()))
        })
        .unzip();
    drop(to_client);
    let output = send_all(&mut sink, &mut messages);
    let over = tokio::select! {
        (done, _) = async { tokio::join!(output, join_all(connections)) } => done.then_some(CloseCode::Normal),
        () = dispatch(&mut source, to_pod) => None,
        () = stopping.cancelled() => Some(CloseCode::Away),
    };
    if let Some(code) = over {
        let _ = tokio::time::timeout(LEAVE, close(&mut sink, &mut source, code)).await;
    }
}

/// Sends what comes, and now and then a ping: a client that is gone is noticed although it is not read from, because
/// the pod does not read. `false` if it is gone, `true` if there is nothing more to send.
pub(super) async fn send_all<K>(sink: &mut K, messages: &mut mpsc::Receiver<Bytes>) -> bool
where
    K: futures::Sink<Message, Error = Error> + Unpin,
{
    let mut ping = interval_at(Instant::now() + PING, PING);
    loop {
        let message = tokio::select! {
            message = messages.recv() => match message {
                Some(message) => Message::Binary(message),
                None => return true,
            },
            _ = ping.tick() => Message::Ping(Bytes::new()),
        };
        if sink.send(message).await.is_err() {
            return false;
        }
    }
}

/// Passes messages to their connections, until the client leaves. One that is slow holds up the others.
async fn dispatch<E>(source: &mut E, to_pod: Vec<mpsc::Sender<Portion>>)
where
    E: Stream<Item = Result<Message, Error>> + Unpin,
{
    let budget = Budget::new(BUDGET);
    while let Some(Ok(message)) = source.next().await {
        let message = match message {
            Message::Binary(bytes) => bytes,
            Message::Close(_) => return,
            _ => continue,
        };
        let Some((channel, bytes)) = message.split_first().filter(|(_, bytes)| !bytes.is_empty())
        else {
            continue;
        };
        let wanted = to_pod.get(usize::from(channel / 2)).filter(|_| channel % 2 == 0);
        if let Some(wanted) = wanted.filter(|wanted| !wanted.is_closed())
            && let Some(portion) = budget.take(bytes).await
        {
            // An error: that connection has ended.
            let _ = wanted.send(portion).await;
        }
    }
}

async fn forward(
    pod: &PodRef,
    data: u8,
    port: u16,
    connect: &Connect,
    from_client: mpsc::Receiver<Portion>,
    to_client: mpsc::Sender<Bytes>,
) {
    let errors = data + 1;
    for channel in [data, errors] {
        let _ = to_client.send(channel::message(channel, &port.to_le_bytes())).await;
    }
    let done = match connect(port).await {
        Ok(stream) => {
            relay(stream, from_client, |bytes| {
                let message = channel::message(data, bytes);
                let to_client = to_client.clone();
                async move { to_client.send(message).await.is_ok() }
            })
            .await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = done {
        let message = refused(pod, port, &error);
        let _ = to_client.send(channel::message(errors, message.as_bytes())).await;
    }
}

/// Copies both ways until the pod has closed its side. The end of the queue is the end of what the client sends.
pub(super) async fn relay<F, T>(
    stream: TcpStream,
    mut from_client: mpsc::Receiver<Portion>,
    to_client: F,
) -> io::Result<()>
where
    F: Fn(&[u8]) -> T,
    T: Future<Output = bool>,
{
    let (mut reader, mut writer) = stream.into_split();
    let up = async {
        while let Some(portion) = from_client.recv().await {
            // The pod does not read any more; what it still says is passed on.
            if writer.write_all(portion.as_ref()).await.is_err() {
                break;
            }
        }
        let _ = writer.shutdown().await;
        from_client.close();
        // What is left of it is room for others.
        while from_client.recv().await.is_some() {}
        std::future::pending::<io::Result<()>>().await
    };
    let down = async {
        let mut buffer = vec![0; CHUNK];
        loop {
            match reader.read(&mut buffer).await? {
                0 => return Ok(()),
                count if to_client(&buffer[..count]).await => {}
                _ => return Ok(()),
            }
        }
    };
    tokio::select! {
        done = down => done,
        done = up => done,
    }
}
