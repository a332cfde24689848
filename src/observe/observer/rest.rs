//! `POST /api/v1/logs/query` and `GET /health`.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router, middleware};
use curtain_control::identity::{Caller, Secret, Validator, bearer};
use http::{HeaderMap, StatusCode, header};
use serde_json::json;

use super::ask::answer;
use super::gate::GateError;
use super::service::{Logs, Refusal};

const LONGEST_BODY: usize = 64 << 10;

pub(super) fn routes(logs: Logs, validator: Arc<Validator>) -> Router {
    Router::new()
        .route("/api/v1/logs/query", post(query))
        .layer(middleware::from_fn_with_state(validator, bearer::require))
        .route("/health", get(health))
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .with_state(logs)
}

async fn health() -> Response {
    let now = jiff::Timestamp::now().to_string();
    Json(json!({"status": "healthy", "timestamp": now})).into_response()
}

async fn query(
    State(logs): State<Logs>,
    Extension(caller): Extension<Caller>,
    Extension(token): Extension<Secret>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if kind.is_some_and(|kind| !kind.starts_with("application/json")) {
        return refuse(
            StatusCode::BAD_REQUEST,
            "OBS-V1-L-01",
            "Content-Type must be application/json",
        );
    }
    let query = match serde_json::from_slice(&body) {
        Ok(query) => query,
        Err(error) => {
            return refuse(
                StatusCode::BAD_REQUEST,
                "OBS-V1-L-01",
                &format!("the body is not a query: {error}"),
            );
        }
    };
    let started = Instant::now();
    match logs.query(&caller, &token, query).await {
        Ok(found) => Json(answer(&found, started.elapsed().as_millis())).into_response(),
        Err(Refusal::Invalid(reason)) => refuse(StatusCode::BAD_REQUEST, "OBS-V1-L-01", &reason),
        Err(Refusal::Gate(GateError::Denied(reason))) => {
            refuse(StatusCode::FORBIDDEN, "OBS-V1-L-02", &reason)
        }
        Err(Refusal::Gate(error @ GateError::Token(_))) => {
            refuse(StatusCode::UNAUTHORIZED, "OBS-V1-L-02", &error.to_string())
        }
        Err(Refusal::Gate(error)) => {
            tracing::warn!(%error, "a query could not be authorized");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "OBS-V1-L-02", &error.to_string())
        }
        Err(Refusal::Store(error)) => {
            tracing::error!(%error, "a query failed");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "OBS-V1-L-05", &error.to_string())
        }
    }
}

fn refuse(status: StatusCode, code: &str, message: &str) -> Response {
    let title = match status {
        StatusCode::BAD_REQUEST => "badRequest",
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::FORBIDDEN => "forbidden",
        _ => "internalServerError",
    };
    (status, Json(json!({"title": title, "errorCode": code, "message": message}))).into_response()
}
