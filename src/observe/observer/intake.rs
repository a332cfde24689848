//! Taking in what the collector posts.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::database::{DatabaseError, run};

/// The route on which the collector posts batches.
pub(crate) fn route<S, B>(
    path: &str,
    store: S,
    ingest: fn(&S, B) -> Result<usize, DatabaseError>,
) -> Router
where
    S: Clone + Send + Sync + 'static,
    B: DeserializeOwned + Send + 'static,
{
    let posted = async move |State(store): State<S>, body: Bytes| take(&store, body, ingest).await;
    Router::new().route(path, post(posted)).with_state(store)
}

/// Stores a batch; answers how much of it was new.
async fn take<S: Clone + Send + 'static, B: DeserializeOwned + Send + 'static>(
    store: &S,
    body: Bytes,
    ingest: fn(&S, B) -> Result<usize, DatabaseError>,
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
