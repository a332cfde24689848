//! Answers: bodies, headers and status codes.

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use serde_json::Value;

use super::status::ApiError;

/// Errors of bodies that are streamed.
pub(super) type BodyError = Box<dyn std::error::Error + Send + Sync>;
/// What every answer carries.
pub(super) type Body = UnsyncBoxBody<Bytes, BodyError>;
/// An answer.
pub(super) type Reply = Response<Body>;

/// A body that is already there.
pub(super) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body that comes in pieces.
pub(super) fn stream(pieces: BoxStream<'static, Result<Bytes, BodyError>>) -> Body {
    StreamBody::new(pieces.map(|piece| piece.map(Frame::data))).boxed_unsync()
}

/// An answer with a body of the given type.
pub(super) fn reply(code: u16, content_type: &'static str, body: Body) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert("cache-control", HeaderValue::from_static("no-cache, private"));
    reply
}

/// JSON that is already encoded.
pub(super) fn json_bytes(code: u16, bytes: impl Into<Bytes>) -> Reply {
    reply(code, "application/json", full(bytes))
}

/// A document.
pub(super) fn json(code: u16, value: &Value) -> Reply {
    json_bytes(code, serde_json::to_vec(value).unwrap_or_default())
}

/// Plain text.
pub(super) fn text(code: u16, text: impl Into<Bytes>) -> Reply {
    reply(code, "text/plain; charset=utf-8", full(text))
}

/// Adds a `Warning` header, as kubectl prints them.
pub(super) fn warn(reply: &mut Reply, warning: &str) {
    let clean: String = warning.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let quoted = clean.replace('\\', "\\\\").replace('"', "\\\"");
    if let Ok(value) = HeaderValue::from_bytes(format!("299 - \"{quoted}\"").as_bytes()) {
        reply.headers_mut().append("warning", value);
    }
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Self {
        let retry = error.details.as_ref().map_or(0, |details| details.retry_after_seconds);
        let mut reply = json(error.code, &error.status());
        if retry > 0 {
            reply.headers_mut().insert("retry-after", retry.into());
        }
        reply
    }
}
