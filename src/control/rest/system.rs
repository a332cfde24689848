//! The few routes that need no token.

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse as _, Response},
    routing::get,
};
use curtain_role::Health;
use http::StatusCode;
use serde_json::{Value, json};

/// What the open routes tell.
#[derive(Debug, Clone)]
pub struct System {
    /// Whether the role is ready.
    pub health: Health,
    /// The version of the binary.
    pub version: String,
    /// The build of the binary.
    pub revision: String,
}

pub(super) fn routes(system: System) -> Router {
    Router::new()
        .route("/health", get(|| async { "OK" }))
        .route("/ready", get(ready))
        .route("/version", get(version))
        .fallback(nothing_here)
        .with_state(system)
}

async fn ready(State(system): State<System>) -> Response {
    let waiting = system.health.waiting_for();
    if waiting.is_empty() {
        return "Ready".into_response();
    }
    let text = format!("waiting for {}", waiting.join(", "));
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn version(State(system): State<System>) -> Json<Value> {
    Json(json!({
        "name": "openchoreo-api",
        "version": system.version,
        "gitRevision": system.revision,
        "goOS": std::env::consts::OS,
        "goArch": std::env::consts::ARCH,
    }))
}

async fn nothing_here(uri: http::Uri) -> Response {
    let error = format!("there is nothing at {}", uri.path());
    (StatusCode::NOT_FOUND, Json(json!({"error": error, "code": "NOT_FOUND"}))).into_response()
}
