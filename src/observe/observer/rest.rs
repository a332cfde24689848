//! From a request to its answer, for the queries of all signals.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router, middleware};
use curtain_control::authz::GateError;
use curtain_control::identity::{Caller, Secret, Validator, bearer};
use curtain_control::mcp::Call;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::refusal::Refusal;

const LONGEST_BODY: usize = 64 << 10;

/// `queries` for callers with a token, and the health check for everybody.
pub(super) fn routes(queries: Router, validator: Arc<Validator>) -> Router {
    queries
        .layer(middleware::from_fn_with_state(validator, bearer::require))
        .route("/health", get(health))
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
}

async fn health() -> Response {
    let now = jiff::Timestamp::now().to_string();
    Json(json!({"status": "healthy", "timestamp": now})).into_response()
}

/// A query as it came: who asks, and the body.
pub(crate) type Request = (Extension<Caller>, Extension<Secret>, HeaderMap, Bytes);

/// Reads the query, has `answer` answer it, and says in the signal's own codes (`OBS-V1-L-…` for the letter `L`) why
/// there is no answer.
pub(crate) async fn ask<Q: DeserializeOwned>(
    letter: &str,
    (Extension(caller), Extension(token), headers, body): Request,
    answer: impl AsyncFnOnce(Call<'_>, Q) -> Result<Value, Refusal>,
) -> Response {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if kind.is_some_and(|kind| !kind.starts_with("application/json")) {
        let reason = Refusal::Invalid("Content-Type must be application/json".into());
        return refuse(letter, &reason);
    }
    let query = match serde_json::from_slice(&body) {
        Ok(query) => query,
        Err(error) => {
            let reason = Refusal::Invalid(format!("the body is not a query: {error}"));
            return refuse(letter, &reason);
        }
    };
    reply(letter, answer(Call { caller: &caller, token: &token }, query).await)
}

/// The answer, or in the signal's own codes why there is none.
pub(crate) fn reply(letter: &str, answer: Result<Value, Refusal>) -> Response {
    match answer {
        Ok(answer) => Json(answer).into_response(),
        Err(refusal) => refuse(letter, &refusal),
    }
}

fn refuse(letter: &str, refusal: &Refusal) -> Response {
    let (status, title, number) = match refusal {
        Refusal::Invalid(_) => (StatusCode::BAD_REQUEST, "badRequest", "01"),
        Refusal::Missing(_) => (StatusCode::NOT_FOUND, "notFound", "07"),
        Refusal::Absent(_) => (StatusCode::BAD_REQUEST, "badRequest", "04"),
        Refusal::Gate(GateError::Denied(_)) => (StatusCode::FORBIDDEN, "forbidden", "02"),
        Refusal::Gate(GateError::Token(_)) => (StatusCode::UNAUTHORIZED, "unauthorized", "02"),
        Refusal::Gate(error @ GateError::Unavailable { .. }) => {
            tracing::warn!(%error, "a query could not be authorized");
            (StatusCode::INTERNAL_SERVER_ERROR, "internalServerError", "02")
        }
        Refusal::Database(error) => {
            tracing::error!(%error, "a query failed");
            (StatusCode::INTERNAL_SERVER_ERROR, "internalServerError", "05")
        }
    };
    let code = format!("OBS-V1-{letter}-{number}");
    let body = json!({"title": title, "errorCode": code, "message": refusal.to_string()});
    (status, Json(body)).into_response()
}
