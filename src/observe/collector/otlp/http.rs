//! OTLP over HTTP: protocol buffers or JSON, packed or not.

use ::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use curtain_otlp::prost::Message;
use curtain_otlp::trace::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use curtain_otlp::{HTTP_PROTOBUF, HTTP_TRACES};
use serde_json::json;

use super::grpc::Status;
use super::take::{AGAIN, Refusal, read, take, unpack};
use super::{Peer, Shared, json};

const JSON: &str = "application/json";

pub(super) fn router(shared: Shared) -> Router {
    Router::new().route(HTTP_TRACES, post(traces)).fallback(nothing).with_state(shared)
}

/// The other signals of OTLP, and everything else.
async fn nothing(uri: ::http::Uri) -> Response {
    let words = format!("nothing is taken at {}; spans are at {HTTP_TRACES}\n", uri.path());
    (StatusCode::NOT_FOUND, words).into_response()
}

async fn traces(
    State(shared): State<Shared>,
    peer: Peer,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let kind = text(header::CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let in_json = kind == JSON;
    if !in_json && kind != HTTP_PROTOBUF {
        let words = format!("Content-Type must be {HTTP_PROTOBUF} or {JSON}\n");
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, words).into_response();
    }
    let packed = match text(header::CONTENT_ENCODING).unwrap_or("identity") {
        "identity" | "" => false,
        "gzip" => true,
        _ => {
            let words = "Content-Encoding must be gzip, or none\n";
            return (StatusCode::UNSUPPORTED_MEDIA_TYPE, words).into_response();
        }
    };
    let taken = async {
        let (mut bytes, mut room) = read(&shared, body).await?;
        if packed {
            bytes = unpack(&shared, &bytes, &mut room)?;
        }
        let request = if in_json {
            json::read(&bytes).map_err(Refusal::Malformed)?
        } else {
            ExportTraceServiceRequest::decode(&bytes[..]).map_err(|error| {
                Refusal::Malformed(format!("the body is no export of traces: {error}"))
            })?
        };
        drop(bytes);
        take(&shared, &peer, request, room)
    };
    match taken.await {
        Ok((rejected, reason)) => success(in_json, rejected, reason),
        Err(refusal) => refuse(in_json, &refusal),
    }
}

fn success(in_json: bool, rejected: i64, reason: String) -> Response {
    let body = if in_json && rejected == 0 {
        b"{}".to_vec()
    } else if in_json {
        // A number of 64 bits is text in protocol buffers' JSON.
        let partial = json!({"rejectedSpans": rejected.to_string(), "errorMessage": reason});
        json!({"partialSuccess": partial}).to_string().into_bytes()
    } else {
        answer(rejected, reason).encode_to_vec()
    };
    ([(header::CONTENT_TYPE, if in_json { JSON } else { HTTP_PROTOBUF })], body).into_response()
}

/// The answer, which says something only when spans were left out.
pub(super) fn answer(rejected: i64, reason: String) -> ExportTraceServiceResponse {
    let partial = ExportTracePartialSuccess { rejected_spans: rejected, error_message: reason };
    ExportTraceServiceResponse { partial_success: (rejected > 0).then_some(partial) }
}

fn refuse(in_json: bool, refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::Busy => StatusCode::TOO_MANY_REQUESTS,
        Refusal::Large => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::Malformed(_) => StatusCode::BAD_REQUEST,
        Refusal::Interrupted(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let reason = Status::of(refusal);
    let body = if in_json {
        json!({"code": reason.code, "message": reason.message}).to_string().into_bytes()
    } else {
        reason.encode_to_vec()
    };
    let kind = if in_json { JSON } else { HTTP_PROTOBUF };
    let mut response = (status, [(header::CONTENT_TYPE, kind)], body).into_response();
    if matches!(refusal, Refusal::Busy | Refusal::Interrupted(_)) {
        response.headers_mut().insert(header::RETRY_AFTER, AGAIN.into());
    }
    response
}
