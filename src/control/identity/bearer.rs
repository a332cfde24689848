//! The layer that turns a bearer token into a [`Caller`](super::Caller).

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;

use super::{Secret, TokenError, Validator};

/// For [`axum::middleware::from_fn_with_state`]: puts the [`Caller`](super::Caller) and its token, a [`Secret`], into the request's
/// extensions, or answers 401 with `{"error": CODE, "message"}`.
pub async fn require(
    State(validator): State<Arc<Validator>>,
    mut request: Request,
    next: Next,
) -> Response {
    let checked = match token(request.headers()) {
        Some(token) => validator.validate(token).await.map(|caller| (caller, Secret::new(token))),
        None => Err(validator.missing()),
    };
    match checked {
        Ok((caller, token)) => {
            request.extensions_mut().insert(caller);
            request.extensions_mut().insert(token);
            next.run(request).await
        }
        Err(error) => refuse(&error),
    }
}

/// The token of an `Authorization: Bearer` header; nothing is known of it yet.
pub fn token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

fn refuse(error: &TokenError) -> Response {
    let body = Json(json!({"error": error.code(), "message": error.to_string()}));
    if matches!(error, TokenError::KeysUnavailable { .. }) {
        tracing::warn!(%error, "cannot check tokens");
        return (StatusCode::SERVICE_UNAVAILABLE, body).into_response();
    }
    tracing::info!(%error, "request without a valid token");
    let challenge = match error {
        TokenError::Missing(_) => "Bearer",
        _ => r#"Bearer error="invalid_token""#,
    };
    let challenge = [(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))];
    (StatusCode::UNAUTHORIZED, challenge, body).into_response()
}
