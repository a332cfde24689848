//! The agent's end: dial out, then serve HTTP/2 on the stream.

use std::io;
use std::sync::Arc;

use http::{HeaderValue, Request, Response, StatusCode, Uri};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http2;
use hyper::service::HttpService;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::stream::config;
use crate::{
    CONNECTION_WINDOW, MAX_STREAMS, PING, PlaneId, SILENCE, STREAM_WINDOW, VERSION, VERSION_HEADER,
    WsStream,
};

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The hub's URL cannot be used.
    #[error("`{0}` is not a URL for the hub; write wss://HOST:PORT/ws")]
    Url(String),
    /// TLS with the hub failed.
    #[error("no TLS with {host}: {source}; does the hub's certificate come from the mounted CA?")]
    Tls {
        /// The hub's host name.
        host: String,
        /// What happened.
        source: io::Error,
    },
    /// The hub knows no plane for which the certificate is right.
    #[error("the hub does not accept this certificate for {plane} ({status}): {reason}")]
    Refused {
        /// The plane asked for.
        plane: PlaneId,
        /// The hub's answer.
        status: StatusCode,
        /// Its explanation.
        reason: String,
    },
    /// The other end speaks another version.
    #[error("the hub speaks tunnel version {theirs}, this agent {VERSION}; upgrade the older one")]
    Version {
        /// What the hub named, `none` when nothing.
        theirs: String,
    },
    /// The upgrade failed in another way.
    #[error("the hub did not open the tunnel: {0}")]
    Upgrade(#[source] Box<tungstenite::Error>),
}

/// Open the tunnel for `plane` on a connection to the host of `url`.
///
/// # Errors
/// [`DialError`]; all but [`DialError::Url`] may pass with time.
pub async fn dial(
    tcp: TcpStream,
    url: &Uri,
    tls: Arc<ClientConfig>,
    plane: &PlaneId,
) -> Result<WsStream<TlsStream<TcpStream>>, DialError> {
    let bad = || DialError::Url(url.to_string());
    let host = url.host().ok_or_else(bad)?;
    let name = ServerName::try_from(host.to_owned()).map_err(|_| bad())?;
    let stream = TlsConnector::from(tls).connect(name, tcp).await;
    let stream = stream.map_err(|source| DialError::Tls { host: host.to_owned(), source })?;
    let target = format!("{url}?planeType={}&planeID={}", plane.kind, plane.id);
    let mut request = target.into_client_request().map_err(|_| bad())?;
    request.headers_mut().insert(VERSION_HEADER, HeaderValue::from_static(VERSION));
    match client_async_with_config(request, stream, Some(config())).await {
        Ok((socket, response)) => match version(&response) {
            VERSION => Ok(WsStream::from_socket(socket)),
            theirs => Err(DialError::Version { theirs: theirs.to_owned() }),
        },
        Err(tungstenite::Error::Http(response)) => {
            let status = response.status();
            let body = response.into_body().unwrap_or_default();
            let reason = String::from_utf8_lossy(&body).trim().to_owned();
            Err(DialError::Refused { plane: plane.clone(), status, reason })
        }
        Err(error) => Err(DialError::Upgrade(Box::new(error))),
    }
}

fn version<B>(response: &Response<B>) -> &str {
    let header = response.headers().get(VERSION_HEADER);
    header.and_then(|value| value.to_str().ok()).unwrap_or("none")
}

/// Answer the hub's requests until the connection ends.
///
/// # Errors
/// Why it ended, unless the hub closed it in order.
pub async fn serve<S, V, B>(stream: WsStream<S>, service: V) -> Result<(), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    V: HttpService<Incoming, ResBody = B>,
    V::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    V::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    Request<Incoming>: Send,
{
    http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING)
        .keep_alive_timeout(SILENCE)
        .serve_connection(TokioIo::new(stream), service)
        .await
}
