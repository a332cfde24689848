//! The collector's routes for lines.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};

use super::Store;
use crate::database::run;
use crate::observer::intake;
use crate::wire::{Batch, LINES_PATH, POSITIONS_PATH};

pub(super) fn routes(store: Store) -> Router {
    Router::new()
        .route(LINES_PATH, post(lines))
        .route(POSITIONS_PATH, get(positions))
        .with_state(store)
}

async fn lines(State(store): State<Store>, body: Bytes) -> Response {
    intake::take(&store, body, |store: &Store, batch: Batch| store.ingest(&batch)).await
}

async fn positions(State(store): State<Store>) -> Response {
    match run(&store, Store::positions).await {
        Ok(positions) => Json(positions).into_response(),
        Err(error) => intake::failed(&error),
    }
}
