//! Knows roles of the platform by their ServiceAccounts' tokens, which the cluster reviews.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::{Api, Client, api::PostParams};
use serde_json::json;

use super::bearer;

/// How long a reviewed token is believed.
const BELIEVED: Duration = Duration::from_secs(60);
const MAX_BELIEVED: usize = 64;

/// Lets some users of the cluster in, and nobody else. Clones share what is believed.
#[derive(Clone)]
pub struct Doorman {
    reviews: Api<TokenReview>,
    /// Such as `system:serviceaccount:NAMESPACE:NAME`.
    users: Arc<[String]>,
    /// By a number that nobody outside can work out.
    believed: Arc<Mutex<HashMap<u64, Instant>>>,
    numbers: RandomState,
}

impl std::fmt::Debug for Doorman {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Doorman").field("users", &self.users).finish_non_exhaustive()
    }
}

impl Doorman {
    /// Lets in `users` of the cluster behind `client`.
    pub fn new(client: Client, users: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            reviews: Api::all(client),
            users: users.into_iter().map(Into::into).collect(),
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
        if !self.users.contains(&user) {
            let users = self.users.join(" and ");
            return Err((StatusCode::FORBIDDEN, format!("this is for {users}, not {user}")));
        }
        let mut believed = self.believed.lock().unwrap_or_else(PoisonError::into_inner);
        if believed.len() >= MAX_BELIEVED {
            believed.retain(|_, when| fresh(when));
        }
        believed.insert(key, Instant::now());
        Ok(())
    }
}

/// The layer: what the doorman does not let in is answered here.
pub async fn require_role(
    State(doorman): State<Doorman>,
    request: Request,
    next: Next,
) -> Response {
    let admitted = match bearer::token(request.headers()) {
        Some(token) => doorman.admit(token).await,
        None => Err((StatusCode::UNAUTHORIZED, "a bearer token of the cluster is required".into())),
    };
    match admitted {
        Ok(()) => next.run(request).await,
        Err((status, reason)) => {
            let path = request.uri().path();
            tracing::warn!(%status, path, reason, "a request for a role's door was turned away");
            (status, Json(json!({"message": reason}))).into_response()
        }
    }
}
