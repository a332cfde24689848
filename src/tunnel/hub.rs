//! The hub's end: accept the upgrade, then send HTTP/2 requests down the stream.

use http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http2;
use hyper::client::conn::http2::SendRequest;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::tied::tie;
use crate::{CONNECTION_WINDOW, PING, SILENCE, STREAM_WINDOW, VERSION, VERSION_HEADER, WsStream};

/// Sends requests to an agent; clones share the connection.
pub type Requests<B> = SendRequest<B>;

/// Why a request does not become a tunnel.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// Not a WebSocket handshake.
    #[error("this address speaks WebSocket; send an upgrade request")]
    NotWebSocket,
    /// Another version of the tunnel.
    #[error("the agent speaks tunnel version {theirs}, the hub {VERSION}; upgrade the older one")]
    Version {
        /// What the agent named, `none` when nothing.
        theirs: String,
    },
}

impl AcceptError {
    /// The answer's status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotWebSocket => StatusCode::BAD_REQUEST,
            Self::Version { .. } => StatusCode::UPGRADE_REQUIRED,
        }
    }
}

/// A handshake that was accepted; its stream begins once the answer is sent.
pub struct Accepted(OnUpgrade);

impl Accepted {
    /// Wait for the stream.
    ///
    /// # Errors
    /// When the connection ends before the answer is sent.
    pub async fn stream(self) -> Result<WsStream<TokioIo<Upgraded>>, hyper::Error> {
        Ok(WsStream::new(TokioIo::new(self.0.await?), Role::Server).await)
    }
}

/// Check a handshake. Returns the `101` to answer with, and what follows it.
///
/// # Errors
/// [`AcceptError`] with the status to answer instead.
pub fn accept<B: Default>(
    request: &mut Request<Incoming>,
) -> Result<(Response<B>, Accepted), AcceptError> {
    let text = |name: HeaderName| {
        request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    };
    let has = |name: HeaderName, token: &str| {
        text(name).split(',').any(|part| part.trim().eq_ignore_ascii_case(token))
    };
    let key = text(SEC_WEBSOCKET_KEY);
    let is_handshake = has(CONNECTION, "upgrade")
        && has(UPGRADE, "websocket")
        && text(SEC_WEBSOCKET_VERSION) == "13"
        && !key.is_empty();
    if !is_handshake {
        return Err(AcceptError::NotWebSocket);
    }
    let theirs = text(HeaderName::from_static(VERSION_HEADER));
    if theirs != VERSION {
        let theirs = if theirs.is_empty() { "none" } else { theirs };
        return Err(AcceptError::Version { theirs: theirs.to_owned() });
    }
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(VERSION_HEADER, HeaderValue::from_static(VERSION));
    if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    Ok((response, Accepted(hyper::upgrade::on(request))))
}

/// Start HTTP/2 on an accepted stream. The second part of the result resolves
/// when the connection has ended; dropping it ends the connection, with all
/// requests that are under way.
///
/// # Errors
/// When the agent does not answer in HTTP/2.
pub async fn connect<S, B>(
    stream: WsStream<S>,
) -> Result<(Requests<B>, impl Future<Output = Result<(), hyper::Error>> + Send), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: Body + Unpin + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (stream, owner) = tie(stream);
    let (requests, driver) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING)
        .keep_alive_timeout(SILENCE)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(stream))
        .await?;
    let driver = async move {
        let _owner = owner;
        driver.await
    };
    Ok((requests, driver))
}
