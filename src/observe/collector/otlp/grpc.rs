//! OTLP over gRPC: one method, a message there and one back.
//!
//! A message has five bytes before it: whether it is packed, and its length. How a call ended is in the trailers, or in
//! the headers when there is no message.

use ::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use bytes::Bytes;
use curtain_otlp::GRPC_TRACES;
use curtain_otlp::prost::Message;
use curtain_otlp::trace::ExportTraceServiceRequest;
use http_body_util::{BodyExt, Full};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::http::answer;
use super::take::{AGAIN, Refusal, read, take, unpack};
use super::{Peer, Shared};

const INVALID_ARGUMENT: i32 = 3;
const RESOURCE_EXHAUSTED: i32 = 8;
const UNIMPLEMENTED: i32 = 12;
const UNAVAILABLE: i32 = 14;

/// Bytes before a message.
const HEAD: usize = 5;
const KIND: &str = "application/grpc";
/// What a message in a header may not have as it is.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// `google.rpc.Status`: how a call ended, with more than a sentence.
#[derive(Clone, PartialEq, Message)]
#[prost(prost_path = "curtain_otlp::prost")]
pub(super) struct Status {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
#[prost(prost_path = "curtain_otlp::prost")]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(message, optional, tag = "2")]
    value: Option<RetryInfo>,
}

/// `google.rpc.RetryInfo`. The bytes of an `Any` are those of its message.
#[derive(Clone, PartialEq, Message)]
#[prost(prost_path = "curtain_otlp::prost")]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
#[prost(prost_path = "curtain_otlp::prost")]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
}

impl Status {
    fn new(code: i32, message: impl Into<String>) -> Status {
        Status { code, message: message.into(), details: Vec::new() }
    }

    /// As exporters understand it: with a time to wait they come again.
    pub(super) fn of(refusal: &Refusal) -> Status {
        let code = match refusal {
            Refusal::Busy | Refusal::Large => RESOURCE_EXHAUSTED,
            Refusal::Malformed(_) => INVALID_ARGUMENT,
            Refusal::Interrupted(_) => UNAVAILABLE,
        };
        let mut status = Status::new(code, refusal.to_string());
        if *refusal == Refusal::Busy {
            let delay = Some(Delay { seconds: AGAIN.into() });
            status.details.push(Detail {
                type_url: "type.googleapis.com/google.rpc.RetryInfo".into(),
                value: Some(RetryInfo { delay }),
            });
        }
        status
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", self.code.into());
        let message = utf8_percent_encode(&self.message, ESCAPED).to_string();
        if let Some(message) = HeaderValue::from_str(&message).ok().filter(|one| !one.is_empty()) {
            headers.insert("grpc-message", message);
        }
        if !self.details.is_empty()
            && let Ok(details) =
                HeaderValue::from_str(&BASE64_STANDARD_NO_PAD.encode(self.encode_to_vec()))
        {
            headers.insert("grpc-status-details-bin", details);
        }
        headers
    }

    /// The whole answer, without a message.
    fn response(&self) -> Response {
        let mut response = ([(header::CONTENT_TYPE, KIND)], ()).into_response();
        response.headers_mut().extend(self.headers());
        response
    }
}

pub(super) fn router(shared: Shared) -> Router {
    Router::new().route(GRPC_TRACES, post(export)).fallback(nothing).with_state(shared)
}

async fn nothing(uri: ::http::Uri) -> Response {
    let words = format!("there is no {}; only traces are taken", uri.path());
    Status::new(UNIMPLEMENTED, words).response()
}

async fn export(
    State(shared): State<Shared>,
    peer: Peer,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if !text("content-type").is_some_and(|kind| kind.starts_with(KIND)) {
        let words = "this is a door for gRPC; spans by HTTP are taken on port 4318\n";
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, words).into_response();
    }
    let encoding = text("grpc-encoding").unwrap_or("identity").to_owned();
    let taken = async {
        let (bytes, mut room) = read(&shared, body).await?;
        let (packed, message) = message(&bytes)?;
        let request = if packed {
            if encoding != "gzip" {
                return Ok(Err(encoding));
            }
            let message = unpack(&shared, message, &mut room)?;
            ExportTraceServiceRequest::decode(&message[..])
        } else {
            ExportTraceServiceRequest::decode(message)
        };
        let request = request.map_err(|error| {
            Refusal::Malformed(format!("the message is no export of traces: {error}"))
        })?;
        drop(bytes);
        take(&shared, &peer, request, room).map(Ok)
    };
    match taken.await {
        Ok(Ok((rejected, reason))) => success(rejected, reason),
        Ok(Err(encoding)) => {
            let words = format!("messages packed with {encoding} are not understood");
            let mut response = Status::new(UNIMPLEMENTED, words).response();
            let known = HeaderValue::from_static("identity,gzip");
            response.headers_mut().insert("grpc-accept-encoding", known);
            response
        }
        Err(refusal) => Status::of(&refusal).response(),
    }
}

/// Whether the only message in a body is packed, and the message.
fn message(body: &[u8]) -> Result<(bool, &[u8]), Refusal> {
    let wrong = |words: &str| Refusal::Malformed(format!("the body is no message: {words}"));
    let Some((&[packed, ref length @ ..], message)) = body.split_first_chunk::<HEAD>() else {
        return Err(wrong("it is shorter than five bytes"));
    };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if message.len() != length {
        return Err(wrong("its length is not the one it says"));
    }
    match packed {
        0 | 1 => Ok((packed == 1, message)),
        _ => Err(wrong("its first byte is neither 0 nor 1")),
    }
}

fn success(rejected: i64, reason: String) -> Response {
    let message = answer(rejected, reason).encode_to_vec();
    let length = u32::try_from(message.len()).unwrap_or_default();
    let body: Vec<u8> = [&[0], &length.to_be_bytes()[..], &message].concat();
    let trailers = Status::new(0, "").headers();
    let body = Full::new(Bytes::from(body)).with_trailers(async { Some(Ok(trailers)) });
    ([(header::CONTENT_TYPE, KIND)], Body::new(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_one_message_with_its_length() {
        assert_eq!(message(&[0, 0, 0, 0, 2, 7, 8]), Ok((false, &[7, 8][..])));
        assert_eq!(message(&[1, 0, 0, 0, 0]), Ok((true, &[][..])));
        for wrong in [&[0, 0, 0, 0][..], &[0, 0, 0, 0, 2, 7], &[0, 0, 0, 0, 0, 7], &[2, 0, 0, 0, 0]]
        {
            assert!(message(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn who_is_to_come_again_is_told_when() {
        let headers = Status::of(&Refusal::Busy).headers();
        assert_eq!(headers["grpc-status"], "8");
        let details = headers["grpc-status-details-bin"].to_str().expect("text");
        let details = BASE64_STANDARD_NO_PAD.decode(details).expect("base64");
        let words = "too many spans wait to be stored; send them again in a second";
        let name = "type.googleapis.com/google.rpc.RetryInfo";
        let length = |text: &str| u8::try_from(text.len()).expect("short");
        // Put together by hand as the format describes it.
        let any = [&[0x0a, length(name)], name.as_bytes(), &[0x12, 4, 0x0a, 2, 0x08, 1]].concat();
        let any_length = u8::try_from(any.len()).expect("short");
        let status =
            [&[0x08, 8, 0x12, length(words)], words.as_bytes(), &[0x1a, any_length], &any].concat();
        assert_eq!(details, status);
        assert!(!Status::of(&Refusal::Large).headers().contains_key("grpc-status-details-bin"));
        let escaped = Status::new(3, "é\n50%").headers();
        assert_eq!(escaped["grpc-message"], "%C3%A9%0A50%25");
    }
}
