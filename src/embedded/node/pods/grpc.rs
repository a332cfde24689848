//! Asking a program by gRPC whether it is well: `grpc.health.v1.Health/Check` over plain HTTP/2, in a kubelet's words.

use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::span::span;

/// An answer has a few bytes; one of more is none.
const LARGEST: usize = 64 << 10;
/// Before each message: whether it is compressed, and how long it is.
const PREFIX: usize = 5;
const SERVING: u64 = 1;
const UNIMPLEMENTED: u32 = 12;

/// How calls end, by number.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// Asks whoever `dial` reaches, at `address`, for `service`, for at most `limit`.
///
/// # Errors
/// The sentence for the event.
pub(super) async fn check(
    dial: impl Future<Output = std::io::Result<TcpStream>>,
    address: &str,
    service: &str,
    limit: Duration,
) -> Result<(), String> {
    let until = Instant::now() + limit;
    let stream = match timeout_at(until, dial).await {
        Ok(dialled) => dialled
            .map_err(|error| format!("error: failed to connect service at {address:?}: {error}"))?,
        Err(_) => {
            let limit = span(limit);
            return Err(format!(
                "timeout: failed to connect service {address:?} within {limit}: context deadline exceeded"
            ));
        }
    };
    let answer = match timeout_at(until, call(stream, address, service)).await {
        Ok(answer) => answer,
        Err(_) => Err(Failed { code: 4, message: "context deadline exceeded".to_owned() }),
    };
    match answer {
        Ok(SERVING) => Ok(()),
        Ok(status) => {
            let status = match status {
                0 => "UNKNOWN".to_owned(),
                2 => "NOT_SERVING".to_owned(),
                3 => "SERVICE_UNKNOWN".to_owned(),
                other => other.to_string(),
            };
            Err(format!("service unhealthy (responded with {status:?})"))
        }
        Err(Failed { code: UNIMPLEMENTED, message }) => Err(format!(
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {message}"
        )),
        Err(Failed { code: 4, .. }) => {
            Err(format!("timeout: health rpc did not complete within {}", span(limit)))
        }
        Err(Failed { code, message }) => {
            let code = CODES.get(code as usize).copied().unwrap_or("Unknown");
            Err(format!(
                "error: health rpc probe failed: rpc error: code = {code} desc = {message}"
            ))
        }
    }
}

/// A call that did not end well.
#[derive(Debug, PartialEq, Eq)]
struct Failed {
    code: u32,
    message: String,
}

impl Failed {
    /// What has no answer of the program's behind it.
    fn unavailable(message: impl ToString) -> Self {
        Self { code: 14, message: message.to_string() }
    }

    fn internal(message: impl ToString) -> Self {
        Self { code: 13, message: message.to_string() }
    }
}

/// One call on a connection of its own: the status that the program tells.
async fn call(stream: TcpStream, address: &str, service: &str) -> Result<u64, Failed> {
    let request = Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
        .header(http::header::CONTENT_TYPE, "application/grpc")
        .header(http::header::TE, "trailers")
        .header(http::header::USER_AGENT, "kube-probe/1.36")
        .body(Full::new(question(service)))
        .map_err(Failed::internal)?;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(Failed::unavailable)?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(Failed::unavailable)?;
        read(answer).await
    };
    tokio::pin!(exchange);
    tokio::pin!(connection);
    // The connection is driven here and dropped with the answer: a probe leaves nothing behind.
    tokio::select! {
        answer = &mut exchange => answer,
        ended = &mut connection => match ended {
            Ok(()) => exchange.await,
            Err(error) => Err(Failed::unavailable(error)),
        },
    }
}

async fn read(answer: http::Response<Incoming>) -> Result<u64, Failed> {
    let (head, body) = answer.into_parts();
    if head.status != http::StatusCode::OK {
        // What a proxy, or a program that knows no gRPC, says.
        let code = if head.status == http::StatusCode::NOT_FOUND { UNIMPLEMENTED } else { 2 };
        let message = format!("unexpected HTTP status code received from server: {}", head.status);
        return Err(Failed { code, message });
    }
    // Without a message, everything may be told at once.
    ended(&head.headers).unwrap_or(Ok(()))?;
    let body = Limited::new(body, LARGEST).collect().await.map_err(Failed::internal)?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    match ended(&trailers) {
        Some(ended) => ended?,
        None => return Err(Failed::internal("the answer ended without a status")),
    }
    status(body.to_bytes())
}

/// How the call ended, if these headers tell.
fn ended(headers: &HeaderMap) -> Option<Result<(), Failed>> {
    let code = headers.get("grpc-status")?.to_str().ok().and_then(|code| code.parse().ok());
    Some(match code.unwrap_or(2) {
        0 => Ok(()),
        code => {
            let message = headers.get("grpc-message").map(|text| text.as_bytes());
            Err(Failed { code, message: plain(message.unwrap_or_default()) })
        }
    })
}

/// What a message is once its `%XX` are bytes again.
fn plain(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `HealthCheckRequest {string service = 1}` with its prefix.
fn question(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(1 << 3 | 2);
        let mut length = service.len();
        while length >= 0x80 {
            message.push(length as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[0][..], &length, &message].concat().into()
}

/// The status in `HealthCheckResponse {ServingStatus status = 1}`, with its prefix.
fn status(mut answer: Bytes) -> Result<u64, Failed> {
    let damaged = || Failed::internal("the answer cannot be understood");
    if answer.len() < PREFIX || answer.get_u8() != 0 {
        return Err(damaged());
    }
    if answer.get_u32() as usize != answer.len() {
        return Err(damaged());
    }
    let mut status = 0;
    while answer.has_remaining() {
        let key = number(&mut answer).ok_or_else(damaged)?;
        let skipped = match key & 7 {
            0 => {
                let value = number(&mut answer).ok_or_else(damaged)?;
                if key >> 3 == 1 {
                    status = value;
                }
                0
            }
            1 => 8,
            2 => number(&mut answer).ok_or_else(damaged)?,
            5 => 4,
            _ => return Err(damaged()),
        };
        let skipped = usize::try_from(skipped).ok().filter(|bytes| *bytes <= answer.len());
        answer.advance(skipped.ok_or_else(damaged)?);
    }
    Ok(status)
}

fn number(bytes: &mut Bytes) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = bytes.try_get_u8().ok()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
pub(super) mod tests {
    use std::convert::Infallible;

    use http::{HeaderValue, Response};
    use http_body_util::StreamBody;
    use http_body_util::combinators::BoxBody;
    use hyper::body::Frame;
    use hyper::service::service_fn;
    use tokio::net::TcpListener;

    use super::*;

    type Answer = Response<BoxBody<Bytes, Infallible>>;

    fn answer(message: &'static [u8], trailers: &[(&'static str, &'static str)]) -> Answer {
        let trailers: HeaderMap = trailers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect();
        let frames = [Frame::data(Bytes::from_static(message)), Frame::trailers(trailers)];
        let frames = futures::stream::iter(frames.map(Ok::<_, Infallible>));
        Response::new(BoxBody::new(StreamBody::new(frames)))
    }

    /// What a program does with the names that it is asked for.
    async fn respond(request: Request<Incoming>) -> Result<Answer, Infallible> {
        assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
        assert_eq!(request.headers()["te"], "trailers");
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let ok = [("grpc-status", "0")];
        let service = String::from_utf8_lossy(body.get(PREFIX + 2..).unwrap_or_default());
        Ok(match &*service {
            "" => answer(b"\0\0\0\0\x02\x08\x01", &ok),
            "sick" => answer(b"\0\0\0\0\x02\x08\x02", &ok),
            "odd" => answer(b"\0\0\0\0\x09\x08\x01", &ok),
            "none" => answer(b"", &[("grpc-status", "12"), ("grpc-message", "unknown service")]),
            "lost" => answer(b"", &[("grpc-status", "5"), ("grpc-message", "no%20such%2")]),
            "silent" => std::future::pending().await,
            other => panic!("{other}"),
        })
    }

    async fn serve(listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service_fn(respond)));
        }
    }

    /// A container's program that is asked for its health.
    pub(in crate::node) fn serve_health(port: u16) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            serve(TcpListener::bind(("0.0.0.0", port)).await.unwrap()).await;
        });
    }

    #[tokio::test]
    async fn what_a_program_says_is_told_as_a_kubelet_tells_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(serve(listener));
        // Nothing is told from the time that an answer takes; what never comes is not waited for.
        let (patient, limit) = (Duration::from_secs(30), Duration::from_millis(500));
        let ask = |service| {
            let limit = if service == "silent" { limit } else { patient };
            check(TcpStream::connect(at), "pod:1", service, limit)
        };
        assert_eq!(ask("").await, Ok(()));
        for (service, said) in [
            ("sick", "service unhealthy (responded with \"NOT_SERVING\")"),
            (
                "odd",
                "error: health rpc probe failed: rpc error: code = Internal desc = the answer cannot be understood",
            ),
            (
                "none",
                "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): unknown service",
            ),
            ("lost", "error: health rpc probe failed: rpc error: code = NotFound desc = no such%2"),
            ("silent", "timeout: health rpc did not complete within 500ms"),
        ] {
            assert_eq!(ask(service).await.unwrap_err(), said);
        }
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let error = check(async { Err(refused) }, "pod:1", "", patient).await.unwrap_err();
        assert_eq!(error, "error: failed to connect service at \"pod:1\": connection refused");
        let error = check(std::future::pending(), "pod:1", "", limit).await.unwrap_err();
        let late =
            "timeout: failed to connect service \"pod:1\" within 500ms: context deadline exceeded";
        assert_eq!(error, late);
    }

    #[tokio::test]
    async fn a_program_that_speaks_something_else_is_unhealthy() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 no\r\n\r\n")
                .await
                .unwrap();
        });
        let limit = Duration::from_secs(5);
        let error = check(TcpStream::connect(at), "pod:1", "", limit).await.unwrap_err();
        assert!(
            error.starts_with("error: health rpc probe failed: rpc error: code = Unavailable"),
            "{error}"
        );
    }

    #[test]
    fn a_long_name_and_unknown_fields_are_fine() {
        let question = question(&"n".repeat(300));
        assert_eq!(&question[..8], [0, 0, 0, 1, 47, 10, 0xac, 2]);
        let answer = b"\0\0\0\0\x09\x12\x02xx\x1d1234\x08\x03";
        let answer = [&answer[..4], &[(answer.len() - PREFIX) as u8], &answer[5..]].concat();
        assert_eq!(status(answer.into()), Ok(3));
        assert!(status(Bytes::from_static(b"\0\0\0\0\x03\x12\xff\x01")).is_err());
    }
}
