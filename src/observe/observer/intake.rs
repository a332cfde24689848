//! Taking in what the collector posts.

use axum::Json;
use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::database::{DatabaseError, run};

/// Stores a batch; answers how much of it was new.
pub(crate) async fn take<S: Clone + Send + 'static, B: DeserializeOwned + Send + 'static>(
    store: &S,
    body: Bytes,
    ingest: impl FnOnce(&S, B) -> Result<usize, DatabaseError> + Send + 'static,
) -> Response {
    let batch: B = match serde_json::from_slice(&body) {
        Ok(batch) => batch,
        Err(error) => {
            return (StatusCode::BAD_REQUEST, Json(json!({"message": error.to_string()})))
                .into_response();
        }
    };
    drop(body);
    match run(store, move |store| ingest(store, batch)).await {
        Ok(stored) => Json(json!({"stored": stored})).into_response(),
        Err(error) => failed(&error),
    }
}

/// 503: the collector keeps what it has and tries again, for example once the disk has room.
pub(crate) fn failed(error: &DatabaseError) -> Response {
    tracing::error!(%error, "the database refused");
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"message": error.to_string()}))).into_response()
}
