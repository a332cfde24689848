//! The collector's routes for lines.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use super::Store;
use crate::database::run;
use crate::observer::intake;
use crate::wire::{Batch, LINES_PATH, POSITIONS_PATH};

pub(super) fn routes(store: Store) -> Router {
    let positions = Router::new().route(POSITIONS_PATH, get(positions)).with_state(store.clone());
    let ingest = |store: &Store, batch: Batch| store.ingest(&batch);
    intake::route(LINES_PATH, store, ingest).merge(positions)
}

async fn positions(State(store): State<Store>) -> Response {
    match run(&store, Store::positions).await {
        Ok(positions) => Json(positions).into_response(),
        Err(error) => intake::failed(&error),
    }
}
