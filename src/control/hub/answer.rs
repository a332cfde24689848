//! Answers of the hub's own. Those to Kubernetes clients are `Status` objects,
//! so that a client shows the reason instead of a parse error.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use serde::Serialize;
use serde_json::json;

/// A body from an agent, or one of our own.
pub(super) type Body = Either<Incoming, Full<Bytes>>;

/// A refusal with the status it is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// The refusal as a Kubernetes `Status`.
    pub(super) fn into_response(self) -> Response<Body> {
        let reason = match self.status {
            StatusCode::BAD_REQUEST => "BadRequest",
            StatusCode::FORBIDDEN => "Forbidden",
            StatusCode::NOT_FOUND => "NotFound",
            StatusCode::METHOD_NOT_ALLOWED => "MethodNotAllowed",
            StatusCode::PAYLOAD_TOO_LARGE => "RequestEntityTooLarge",
            StatusCode::GATEWAY_TIMEOUT => "Timeout",
            StatusCode::BAD_GATEWAY => "ServiceUnavailable",
            _ => "",
        };
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": reason, "code": self.status.as_u16(),
        });
        json_response(self.status, &body)
    }
}

/// A JSON answer.
pub(super) fn json_response(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    // Only maps with keys that are no text fail, and there are none.
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Either::Right(Full::from(bytes)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A text answer.
pub(super) fn text_response(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    let mut response = Response::new(Either::Right(Full::from(text.into())));
    *response.status_mut() = status;
    response
}
