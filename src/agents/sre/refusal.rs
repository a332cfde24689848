//! What is refused, and how that is told over HTTP.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use curtain_control::authz::{Absent, GateError};
use http::StatusCode;
use serde_json::{Value, json};

use super::store::StoreError;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("{0}")]
    Invalid(String),
    /// The place that is asked about.
    #[error("{0}")]
    Absent(Absent),
    #[error("there is no report {0}")]
    Missing(String),
    #[error(transparent)]
    Gate(#[from] GateError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the report is {0}: there is nothing to talk about")]
    NoReport(&'static str),
    #[error(
        "no model is configured, which a chat needs: put RCA_MODEL_NAME and RCA_LLM_API_KEY into the Secret \
         rca-agent-secret beside this agent"
    )]
    NoModel,
    #[error("the model cannot be asked: {0}")]
    Model(String),
    #[error("the platform cannot be looked at: {0}")]
    Tools(String),
    #[error("{0} questions are being answered already; ask again in a while")]
    Crowded(usize),
    #[error("a question of yours is being answered already; ask again when its answer is there")]
    OneAtATime,
}

/// An answer, or why there is none.
pub(super) fn reply(answer: Result<Value, Refusal>) -> Response {
    answer.map_or_else(|refusal| refuse(&refusal), |answer| Json(answer).into_response())
}

/// Why there is no answer.
pub(super) fn refuse(refusal: &Refusal) -> Response {
    let (status, code) = match refusal {
        Refusal::Invalid(_) => (StatusCode::BAD_REQUEST, "BAD_REQUEST"),
        Refusal::Absent(_) | Refusal::Missing(_) => (StatusCode::NOT_FOUND, "NOT_FOUND"),
        Refusal::Gate(GateError::Denied(_)) => (StatusCode::FORBIDDEN, "FORBIDDEN"),
        Refusal::Gate(GateError::Token(_)) => (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"),
        Refusal::Gate(error @ GateError::Unavailable { .. }) => {
            tracing::warn!(%error, "a request could not be authorized");
            (StatusCode::SERVICE_UNAVAILABLE, "AUTHZ_UNAVAILABLE")
        }
        Refusal::Store(error) => {
            tracing::error!(%error, "a request failed");
            (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR")
        }
        Refusal::NoReport(_) => (StatusCode::CONFLICT, "NO_REPORT"),
        Refusal::NoModel => (StatusCode::SERVICE_UNAVAILABLE, "MODEL_NOT_CONFIGURED"),
        Refusal::Model(_) => (StatusCode::SERVICE_UNAVAILABLE, "MODEL_UNAVAILABLE"),
        Refusal::Tools(_) => (StatusCode::BAD_GATEWAY, "PLATFORM_UNAVAILABLE"),
        Refusal::Crowded(_) | Refusal::OneAtATime => {
            (StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_CHATS")
        }
    };
    (status, Json(json!({"error": code, "message": refusal.to_string()}))).into_response()
}
