//! Clients against the server's end of a WebSocket, and pods that are played.

mod exec;
pub(super) mod forward;

use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::LARGEST_FORWARD;
use super::upgrade::socket;
use crate::apiserver::PodRef;

const PATIENCE: Duration = Duration::from_secs(60);

/// A client's end.
pub(super) struct Client(WebSocketStream<DuplexStream>);

/// A connected pair.
pub(super) async fn pair() -> (Client, WebSocketStream<DuplexStream>) {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let client = WebSocketStream::from_raw_socket(ours, Role::Client, None).await;
    (Client(client), socket(theirs, LARGEST_FORWARD).await)
}

impl Client {
    pub(super) async fn send(&mut self, bytes: impl Into<Bytes>) {
        self.0.send(Message::Binary(bytes.into())).await.unwrap();
    }

    /// The next message with content.
    pub(super) async fn next(&mut self) -> Result<Bytes, CloseCode> {
        let next = async {
            loop {
                match self.0.next().await.expect("a message").unwrap() {
                    Message::Binary(bytes) => return Ok(bytes),
                    Message::Close(frame) => return Err(frame.expect("a reason").code),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("nothing came")
    }
}

/// How many bytes the server takes of messages that nobody reads, which come one after the other.
pub(super) async fn taken(client: &mut Client, messages: impl Iterator<Item = Bytes>) -> usize {
    let mut bytes = 0;
    for message in messages {
        let length = message.len();
        // Everything happens on this thread, so who has not gone on after so many turns waits.
        let idle = async {
            for _ in 0..10_000 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = client.send(message) => bytes += length,
            () = idle => break,
        }
    }
    bytes
}

pub(super) async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it took too long")
}

pub(super) fn pod() -> PodRef {
    PodRef { namespace: "default".into(), name: "web".into(), uid: "u".into() }
}
