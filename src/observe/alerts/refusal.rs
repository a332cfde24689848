//! Why alerts and incidents are not shown or changed, in upstream's words for it.

use axum::Json;
use axum::response::{IntoResponse, Response};
use curtain_control::authz::GateError;
use http::StatusCode;
use serde_json::json;

use crate::observer::Refusal;

/// The codes of one kind of query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Codes {
    /// For a query that makes no sense.
    pub(super) invalid: &'static str,
    /// For one that failed.
    pub(super) failed: &'static str,
}

/// The answer that a refusal is.
pub(super) fn respond(codes: Codes, refusal: &Refusal) -> Response {
    let (status, title, code) = match refusal {
        Refusal::Invalid(_) => (StatusCode::BAD_REQUEST, "badRequest", codes.invalid),
        Refusal::Absent(_) => (StatusCode::BAD_REQUEST, "badRequest", "SCOPE_NOT_FOUND"),
        Refusal::Gate(GateError::Denied(_)) => (StatusCode::FORBIDDEN, "forbidden", "FORBIDDEN"),
        Refusal::Gate(GateError::Token(_)) => {
            (StatusCode::UNAUTHORIZED, "unauthorized", "UNAUTHORIZED")
        }
        Refusal::Gate(error @ GateError::Unavailable { .. }) => {
            tracing::warn!(%error, "a query could not be authorized");
            (StatusCode::SERVICE_UNAVAILABLE, "internalServerError", "AUTHZ_UNAVAILABLE")
        }
        Refusal::Missing(_) => (StatusCode::NOT_FOUND, "notFound", "NOT_FOUND"),
        Refusal::Database(error) => {
            tracing::error!(%error, "a query failed");
            (StatusCode::INTERNAL_SERVER_ERROR, "internalServerError", codes.failed)
        }
    };
    say(status, title, code, &refusal.to_string())
}

/// An error as all of the API's are.
pub(super) fn say(status: StatusCode, title: &str, code: &str, message: &str) -> Response {
    (status, Json(json!({"title": title, "errorCode": code, "message": message}))).into_response()
}
