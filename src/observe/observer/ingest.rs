//! The collector's way in: its own port, its own ServiceAccount.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use curtain_control::identity::bearer;
use http::StatusCode;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;

use crate::wire::MAX_BATCH;

/// How long a reviewed token is believed.
const BELIEVED: Duration = Duration::from_secs(60);
const MAX_BELIEVED: usize = 64;

/// Knows the collector by a TokenReview of the cluster.
#[derive(Clone)]
pub(super) struct Doorman {
    reviews: Api<TokenReview>,
    /// The one user that may come in, such as `system:serviceaccount:NAMESPACE:collector`.
    user: Arc<str>,
    /// By a number that nobody outside can work out.
    believed: Arc<Mutex<HashMap<u64, Instant>>>,
    numbers: RandomState,
}

impl Doorman {
    pub(super) fn new(client: Client, user: &str) -> Self {
        Doorman {
            reviews: Api::all(client),
            user: user.into(),
            believed: Arc::default(),
            numbers: RandomState::new(),
        }
    }

    /// `Err` is what to answer.
    async fn admit(&self, token: &str) -> Result<(), (StatusCode, String)> {
        let key = self.numbers.hash_one(token);
        let fresh = |when: &Instant| when.elapsed() < BELIEVED;
        if self.believed.lock().unwrap_or_else(PoisonError::into_inner).get(&key).is_some_and(fresh)
        {
            return Ok(());
        }
        let review = TokenReview {
            spec: TokenReviewSpec { token: token.to_owned(), ..TokenReviewSpec::default() },
            ..TokenReview::default()
        };
        let review =
            self.reviews.create(&PostParams::default(), &review).await.map_err(|error| {
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    format!("cannot have the token reviewed by the cluster: {error}"),
                )
            })?;
        let status = review.status.unwrap_or_default();
        let user = status.user.and_then(|user| user.username).unwrap_or_default();
        if status.authenticated != Some(true) {
            return Err((StatusCode::UNAUTHORIZED, "the token is not of this cluster".into()));
        }
        if user != *self.user {
            return Err((
                StatusCode::FORBIDDEN,
                format!("only {} may post lines, not {user}", self.user),
            ));
        }
        let mut believed = self.believed.lock().unwrap_or_else(PoisonError::into_inner);
        if believed.len() >= MAX_BELIEVED {
            believed.retain(|_, when| fresh(when));
        }
        believed.insert(key, Instant::now());
        Ok(())
    }
}

/// `routes`, for the collector alone.
pub(super) fn guarded(routes: Router, doorman: Doorman) -> Router {
    routes
        .layer(middleware::from_fn_with_state(doorman, require))
        .layer(DefaultBodyLimit::max(MAX_BATCH))
}

async fn require(State(doorman): State<Doorman>, request: Request, next: Next) -> Response {
    let admitted = match bearer::token(request.headers()) {
        Some(token) => doorman.admit(token).await,
        None => Err((StatusCode::UNAUTHORIZED, "a bearer token of the cluster is required".into())),
    };
    match admitted {
        Ok(()) => next.run(request).await,
        Err((status, reason)) => {
            tracing::warn!(%status, reason, "a request for the collector's port was turned away");
            (status, Json(json!({"message": reason}))).into_response()
        }
    }
}
