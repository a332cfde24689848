//! The collector's way in: its own port, its own ServiceAccount.

use axum::extract::DefaultBodyLimit;
use axum::{Router, middleware};
use curtain_control::identity::{Doorman, require_role};

use crate::wire::MAX_BATCH;

/// `routes`, for the collector alone.
pub(super) fn guarded(routes: Router, doorman: Doorman) -> Router {
    routes
        .layer(middleware::from_fn_with_state(doorman, require_role))
        .layer(DefaultBodyLimit::max(MAX_BATCH))
}
