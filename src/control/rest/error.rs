//! Errors as the API answers them: `{"error", "code"}`.

use axum::{
    Extension, Json,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde_json::json;

use crate::objects::Error;

/// An error on its way to the client.
#[derive(Debug)]
pub(crate) struct ApiError(pub(crate) Error);

/// What an error answer says, for whoever keeps a record of the call.
#[derive(Clone, Debug)]
pub(super) struct Told(pub(super) String);

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl ApiError {
    pub(crate) fn bad_request(reason: impl Into<String>) -> Self {
        Self(Error::BadRequest(reason.into()))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = match &self.0 {
            Error::BadRequest(_) => (StatusCode::BAD_REQUEST, "BAD_REQUEST"),
            Error::Denied(_) => (StatusCode::FORBIDDEN, "FORBIDDEN"),
            Error::NotFound { .. } => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            Error::Exists { .. } | Error::Changed { .. } => (StatusCode::CONFLICT, "CONFLICT"),
            Error::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "UNPROCESSABLE_CONTENT"),
            Error::PlaneUnavailable(_) => (StatusCode::BAD_GATEWAY, "PLANE_UNAVAILABLE"),
            Error::Audit(_) | Error::Cluster(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR")
            }
        };
        let message = match &self.0 {
            Error::Audit(source) => {
                tracing::error!(error = %source, "audit records cannot be read");
                "Internal server error".to_owned()
            }
            Error::Cluster(source) => {
                // The cause may speak of the cluster's inside; it is for the log.
                tracing::error!(error = %source, "request failed");
                "Internal server error".to_owned()
            }
            other => other.to_string(),
        };
        let body = Json(json!({"error": message, "code": code}));
        (status, Extension(Told(message)), body).into_response()
    }
}
