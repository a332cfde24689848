//! The layer that turns a bearer token into a [`Caller`].

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;

use super::{Caller, TokenError, Validator};

/// For [`axum::middleware::from_fn_with_state`]: puts the [`Caller`] into the request's extensions, or answers 401
/// with `{"error": CODE, "message"}`.
pub async fn require(
    State(validator): State<Arc<Validator>>,
    mut request: Request,
    next: Next,
) -> Response {
    match caller(&validator, request.headers()).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => refuse(&error),
    }
}

/// The caller that `headers` prove.
///
/// # Errors
/// [`TokenError::Missing`] without the header, else what is wrong with the token.
pub async fn caller(validator: &Validator, headers: &HeaderMap) -> Result<Caller, TokenError> {
    let value = headers.get(header::AUTHORIZATION).ok_or(TokenError::Missing)?;
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|value| value.trim().split_once(' '))
        .ok_or(TokenError::Missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(TokenError::Missing);
    }
    validator.validate(token.trim()).await
}

fn refuse(error: &TokenError) -> Response {
    let body = Json(json!({"error": error.code(), "message": error.to_string()}));
    if matches!(error, TokenError::KeysUnavailable { .. }) {
        tracing::warn!(%error, "cannot check tokens");
        return (StatusCode::SERVICE_UNAVAILABLE, body).into_response();
    }
    tracing::info!(%error, "request without a valid token");
    let challenge = match error {
        TokenError::Missing => "Bearer",
        _ => r#"Bearer error="invalid_token""#,
    };
    let challenge = [(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))];
    (StatusCode::UNAUTHORIZED, challenge, body).into_response()
}
