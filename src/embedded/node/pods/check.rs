//! One try of a probe.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Container, GRPCAction, HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::net::TcpStream;

use super::{grpc, insecure};
use crate::node::link::ShimLink;
use crate::node::network::Network;

/// Most of an answer that is repeated in an event.
const SHOWN: usize = 200;

/// The container that is probed.
pub(super) struct Target {
    pub(super) container: Container,
    /// None for a pod on the host's network.
    pub(super) pod_ip: Option<Ipv4Addr>,
    pub(super) network: Network,
    pub(super) link: ShimLink,
}

impl Target {
    async fn dial(&self, port: u16) -> io::Result<TcpStream> {
        match self.pod_ip {
            Some(ip) => self.network.dial(ip, port).await,
            None => TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await,
        }
    }

    fn port(&self, port: &IntOrString) -> Result<u16, String> {
        let number = match port {
            IntOrString::Int(number) => Some(*number),
            IntOrString::String(name) => self
                .container
                .ports
                .iter()
                .flatten()
                .find(|one| one.name.as_ref() == Some(name))
                .map(|one| one.container_port)
                .or_else(|| name.parse().ok()),
        };
        number
            .and_then(|number| u16::try_from(number).ok())
            .ok_or_else(|| format!("the container has no port {port:?}"))
    }
}

/// Tries a probe once.
///
/// # Errors
/// The sentence for the event.
pub(super) async fn check(probe: &Probe, target: &Target, limit: Duration) -> Result<(), String> {
    if let Some(get) = &probe.http_get {
        http_get(get, target).await
    } else if let Some(socket) = &probe.tcp_socket {
        let port = target.port(&socket.port)?;
        let dialled = target.dial(port).await;
        dialled.map(drop).map_err(|error| format!("cannot connect to port {port}: {error}"))
    } else if let Some(exec) = &probe.exec {
        let argv = exec.command.clone().unwrap_or_default();
        let name = &target.container.name;
        let output =
            target.link.exec(name, argv, limit).await.map_err(|error| error.to_string())?;
        if output.exit.code == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.text).trim().to_owned();
        Err(if text.is_empty() {
            format!("exit code {}", output.exit.code)
        } else {
            shorten(&text)
        })
    } else if let Some(action) = &probe.grpc {
        ask(action, target, limit).await
    } else {
        Err("missing probe handler: one of httpGet, tcpSocket, exec and grpc is needed".to_owned())
    }
}

async fn ask(action: &GRPCAction, target: &Target, limit: Duration) -> Result<(), String> {
    let port = u16::try_from(action.port)
        .map_err(|_| format!("the container has no port {}", action.port))?;
    let address = SocketAddr::from((target.pod_ip.unwrap_or(Ipv4Addr::LOCALHOST), port));
    let service = action.service.as_deref().unwrap_or_default();
    grpc::check(target.dial(port), &address.to_string(), service, limit).await
}

async fn http_get(get: &HTTPGetAction, target: &Target) -> Result<(), String> {
    let (status, body) = fetch(get, target, "kube-probe/1.36").await?;
    if (200..400).contains(&status) {
        return Ok(());
    }
    let body = body.trim();
    let tail = if body.is_empty() { String::new() } else { format!(": {}", shorten(body)) };
    Err(format!("HTTP probe failed with statuscode: {status}{tail}"))
}

/// Sends a request; the status of the answer, and its beginning.
///
/// # Errors
/// The sentence for the event: there is no answer.
pub(super) async fn fetch(
    get: &HTTPGetAction,
    target: &Target,
    agent: &str,
) -> Result<(u16, String), String> {
    let port = target.port(&get.port)?;
    let path = get.path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/");
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let host = get.host.clone().unwrap_or_else(|| {
        let ip = target.pod_ip.unwrap_or(Ipv4Addr::LOCALHOST);
        format!("{ip}:{port}")
    });
    let mut request = http::Request::get(&path)
        .header(http::header::HOST, &host)
        .header(http::header::USER_AGENT, agent)
        .header(http::header::ACCEPT, "*/*");
    for header in get.http_headers.iter().flatten() {
        if header.name.eq_ignore_ascii_case("host")
            && let Some(headers) = request.headers_mut()
        {
            headers.remove(http::header::HOST);
        }
        request = request.header(&header.name, &header.value);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
    let url = format!("{host}{path}");
    let fail = |error: String| format!("Get {url:?}: {error}");

    let stream = target.dial(port).await.map_err(|error| fail(error.to_string()))?;
    let status = if get.scheme.as_deref() == Some("HTTPS") {
        let stream = insecure::connect(stream).await.map_err(|error| fail(error.to_string()))?;
        send(stream, request).await
    } else {
        send(stream, request).await
    };
    status.map_err(|error| fail(error.to_string()))
}

async fn send(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    request: http::Request<Empty<Bytes>>,
) -> Result<(u16, String), hyper::Error> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        let mut body = answer.into_body();
        let mut text = Vec::new();
        while text.len() < SHOWN {
            match body.frame().await {
                Some(Ok(frame)) => text.extend(frame.into_data().unwrap_or_default()),
                Some(Err(_)) | None => break,
            }
        }
        Ok((status, String::from_utf8_lossy(&text).into_owned()))
    };
    tokio::pin!(exchange);
    tokio::pin!(connection);
    // The connection is driven here and dropped with the answer: a probe leaves nothing behind.
    tokio::select! {
        result = &mut exchange => result,
        ended = &mut connection => match ended {
            Ok(()) => exchange.await,
            Err(error) => Err(error),
        },
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
