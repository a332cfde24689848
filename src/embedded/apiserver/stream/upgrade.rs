//! From a request to a WebSocket.

use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::apiserver::reply::{self, Reply};
use crate::apiserver::status::ApiError;

/// Bytes read and written at once.
const BUFFER: usize = 64 << 10;

/// A client's offer to go on with WebSocket.
#[derive(Clone)]
pub(in crate::apiserver) struct Offer {
    key: String,
    /// Subprotocols, the client's favourite first.
    protocols: Vec<String>,
    connection: OnUpgrade,
}

/// An offer that was accepted; to be awaited by the task that serves the WebSocket.
pub(in crate::apiserver) struct Accepted(OnUpgrade);

impl Offer {
    /// The offer of a request, if it makes one and its connection can be taken.
    pub(in crate::apiserver) fn of(parts: &Parts) -> Option<Self> {
        let values = |name: HeaderName| {
            let values = parts.headers.get_all(name).into_iter();
            values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','))
        };
        let has =
            |name, token: &str| values(name).any(|part| part.trim().eq_ignore_ascii_case(token));
        let is_handshake = parts.method == Method::GET
            && has(CONNECTION, "upgrade")
            && has(UPGRADE, "websocket")
            && has(SEC_WEBSOCKET_VERSION, "13");
        let key = values(SEC_WEBSOCKET_KEY).next().map(str::trim).unwrap_or_default();
        if !is_handshake || key.is_empty() {
            return None;
        }
        let connection = parts.extensions.get::<OnUpgrade>()?.clone();
        let protocols = values(SEC_WEBSOCKET_PROTOCOL).map(|name| name.trim().to_owned()).collect();
        Some(Self { key: key.to_owned(), protocols, connection })
    }

    /// Accepts the client's favourite of the protocols that are spoken here.
    pub(in crate::apiserver) fn accept<P: Copy>(
        &self,
        spoken: &[(&'static str, P)],
    ) -> Result<(Reply, Accepted, P), ApiError> {
        let known = |name: &String| spoken.iter().find(|(known, _)| known == name);
        let Some((name, protocol)) = self.protocols.iter().find_map(known) else {
            let names: Vec<&str> = spoken.iter().map(|(name, _)| *name).collect();
            return Err(ApiError::bad_request(format!(
                "unable to upgrade: the client speaks {:?}, this server speaks {names:?}",
                self.protocols
            )));
        };
        let mut reply = Response::new(reply::full(""));
        *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = reply.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
        let accept = derive_accept_key(self.key.as_bytes());
        headers.insert(
            SEC_WEBSOCKET_ACCEPT,
            HeaderValue::from_str(&accept).map_err(ApiError::internal)?,
        );
        Ok((reply, Accepted(self.connection.clone()), *protocol))
    }
}

impl Accepted {
    /// The WebSocket, once the answer has been sent. A client's messages are not larger than `largest`.
    pub(in crate::apiserver) async fn socket(
        self,
        largest: usize,
    ) -> Result<WebSocketStream<TokioIo<Upgraded>>, hyper::Error> {
        Ok(socket(TokioIo::new(self.0.await?), largest).await)
    }
}

/// A server's end, with our bounds.
pub(super) async fn socket<S>(stream: S, largest: usize) -> WebSocketStream<S>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let settings = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * largest)
        .max_message_size(Some(largest))
        .max_frame_size(Some(largest));
    WebSocketStream::from_raw_socket(stream, Role::Server, Some(settings)).await
}

/// The error for a request that makes no offer, though all else is right with it.
pub(in crate::apiserver) fn refuse_without(method: &Method) -> ApiError {
    ApiError::bad_request(match *method {
        Method::POST => {
            "Upgrade request required: streams are served over WebSocket (GET) only; kubectl uses it from 1.31 on"
        }
        _ => "Upgrade request required",
    })
}
