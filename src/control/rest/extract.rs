//! What a handler needs of a request.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Path, Query};
use http::{header, request::Parts};
use serde_json::Value;

use super::ApiError;
use crate::{
    authz::Via,
    identity::Caller,
    objects::{Ask, Kind, ListQuery},
};

/// Items of a page when the client does not say.
const DEFAULT_LIMIT: usize = 20;

/// The caller, the names in the path and the query of a request.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) caller: Caller,
    path: HashMap<String, String>,
    query: HashMap<String, String>,
    if_match: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Call {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let bad = |error: &dyn std::fmt::Display| ApiError::bad_request(error.to_string());
        let Path(path) =
            Path::from_request_parts(parts, state).await.map_err(|error| bad(&error))?;
        let Query(query) =
            Query::from_request_parts(parts, state).await.map_err(|error| bad(&error))?;
        let if_match = parts.headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok());
        // Without a caller the bearer layer would not have let the request through.
        let caller = parts.extensions.get::<Caller>().cloned();
        let caller = caller.ok_or_else(|| ApiError::bad_request("the request has no caller"))?;
        Ok(Self {
            caller,
            path,
            query,
            if_match: if_match.map(|tag| tag.trim().trim_matches('"').to_owned()),
        })
    }
}

impl Call {
    pub(super) fn ask(&self) -> Ask<'_> {
        Ask { caller: &self.caller, via: Via::Rest }
    }

    /// The namespace in the path; empty for cluster kinds.
    pub(super) fn namespace(&self) -> &str {
        self.path.get("namespace").map_or("", String::as_str)
    }

    /// The object's name in the path.
    pub(super) fn name(&self) -> &str {
        self.path.get("name").map_or("", String::as_str)
    }

    /// A query parameter that was given a value.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.parameter(name)
            .ok_or_else(|| ApiError::bad_request(format!("the query parameter {name} is required")))
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.query.get(name).map(String::as_str), Some("true" | "1"))
    }

    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let parse = |value: &str| {
            value.parse().map_err(|_| {
                ApiError::bad_request(format!(
                    "the query parameter {name} must be a number, not {value:?}"
                ))
            })
        };
        self.parameter(name).map(parse).transpose()
    }

    /// The version that `If-Match` asks for; `*` asks for any.
    pub(super) fn expected(&self) -> Option<&str> {
        self.if_match.as_deref().filter(|tag| *tag != "*")
    }

    pub(super) fn list(&self, kind: &Kind) -> Result<ListQuery<'_>, ApiError> {
        let limit: i64 = self.number("limit")?.unwrap_or(DEFAULT_LIMIT as i64);
        Ok(ListQuery {
            namespace: self.namespace(),
            filter: kind.filter.and_then(|name| self.parameter(name)),
            label_selector: self.parameter("labelSelector"),
            limit: usize::try_from(limit).unwrap_or(1),
            cursor: self.parameter("cursor"),
        })
    }
}

/// A request body as JSON.
pub(super) fn json(body: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::bad_request(format!("the body is not JSON: {error}")))
}
