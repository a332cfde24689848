//! The platform as one person sees it: the REST API, with the person's own token.

use super::{Backend, TIMEOUT, changes, unavailable};
use crate::error::BackendError;
use crate::model::taken;
use crate::token::Token;
use bytes::Bytes;
use futures::Stream;
use http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};

/// Pages of a list that are read, of 100 items each.
const MOST_PAGES: usize = 10;

/// The backends as one person sees them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct User<'a> {
    pub(super) backend: &'a Backend,
    pub(super) token: &'a Token,
}

impl User<'_> {
    /// An object of the REST API; `path` begins behind `/api/v1`.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, BackendError> {
        self.call(Method::GET, path, None, None).await.map(|(value, _)| value)
    }

    /// Like [`User::get`], with the version for a later [`User::put`].
    pub(crate) async fn get_versioned(
        &self,
        path: &str,
    ) -> Result<(Value, Option<String>), BackendError> {
        self.call(Method::GET, path, None, None).await
    }

    /// Every item of a list, page by page.
    pub(crate) async fn list(&self, path: &str) -> Result<Vec<Value>, BackendError> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        for _ in 0..MOST_PAGES {
            let joint = if path.contains('?') { '&' } else { '?' };
            let mut page_path = format!("{path}{joint}limit=100");
            if !cursor.is_empty() {
                page_path.push_str(&format!("&cursor={}", crate::login::encode(&cursor)));
            }
            let mut page = self.get(&page_path).await?;
            items.extend(taken(&mut page["items"]));
            match page["pagination"]["nextCursor"].as_str().filter(|next| !next.is_empty()) {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        Ok(items)
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, BackendError> {
        self.call(Method::POST, path, Some(body), None).await.map(|(value, _)| value)
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Value, BackendError> {
        self.call(Method::DELETE, path, None, None).await.map(|(value, _)| value)
    }

    /// Replaces an object, if it still has this version.
    pub(crate) async fn put(
        &self,
        path: &str,
        body: &Value,
        version: Option<&str>,
    ) -> Result<Value, BackendError> {
        self.call(Method::PUT, path, Some(body), version).await.map(|(value, _)| value)
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        version: Option<&str>,
    ) -> Result<(Value, Option<String>), BackendError> {
        let url = format!("{}/api/v1{path}", self.backend.api);
        let mut request = self.request(method, &url);
        if let Some(version) = version {
            request = request.header(header::IF_MATCH, version);
        }
        let body = body.map(|body| body.to_string().into()).unwrap_or_default();
        let (status, headers, value) = self.backend.send(request, body).await?;
        if status.is_success() {
            let version = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok());
            return Ok((value, version.map(str::to_owned)));
        }
        Err(refused(status, &value))
    }

    pub(super) fn request(&self, method: Method, url: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(url)
            .header(header::AUTHORIZATION, self.token.header())
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/json")
    }

    /// Answers whether the person may do these things, each `(action, hierarchy, attributes)` with what conditions of a
    /// grant look at, with the reason for a no.
    pub(crate) async fn may(
        &self,
        questions: &[(&str, Value, Value)],
    ) -> Result<Vec<Result<(), String>>, BackendError> {
        if questions.is_empty() {
            return Ok(Vec::new());
        }
        let asked: Vec<Value> = questions
            .iter()
            .map(|(action, hierarchy, attributes)| {
                json!({
                    "resource": {
                        "type": action.split(':').next().unwrap_or_default(),
                        "hierarchy": hierarchy,
                    },
                    "action": action,
                    "context": {"resource": attributes},
                })
            })
            .collect();
        let answer = self.post("/authz/evaluates", &Value::Array(asked)).await?;
        Ok((0..questions.len())
            .map(|index| match answer[index]["decision"].as_bool() {
                Some(true) => Ok(()),
                _ => Err(answer[index]["context"]["reason"]
                    .as_str()
                    .unwrap_or("you may not do this")
                    .to_owned()),
            })
            .collect())
    }

    /// Whether something changed in a list, again and again until the API ends the stream.
    pub(crate) async fn changes(
        &self,
        path: &str,
    ) -> Result<impl Stream<Item = ()> + Send + use<>, BackendError> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let url = format!("{}/api/v1{path}{joint}watch=true", self.backend.api);
        let request = Request::get(url)
            .header(header::AUTHORIZATION, self.token.header())
            .header(header::ACCEPT, "text/event-stream");
        let response = tokio::time::timeout(TIMEOUT, self.backend.response(request, Bytes::new()))
            .await
            .map_err(|_| unavailable("the platform", "no answer to a watch"))??;
        if !response.status().is_success() {
            return Err(refused(response.status(), &Value::Null));
        }
        Ok(changes::changes(response.into_body()))
    }
}

pub(super) fn refused(status: StatusCode, answer: &Value) -> BackendError {
    let message = ["error", "message", "title", "detail"]
        .iter()
        .filter_map(|field| answer[*field].as_str())
        .find(|text| text.contains(' '))
        .or_else(|| answer["message"].as_str())
        .map_or_else(|| format!("the answer was {status}"), str::to_owned);
    match status {
        StatusCode::UNAUTHORIZED => BackendError::SignedOut,
        StatusCode::FORBIDDEN => BackendError::Forbidden(message),
        StatusCode::NOT_FOUND => BackendError::NotFound(message),
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => BackendError::Conflict(message),
        status if status.is_server_error() => BackendError::Unavailable(message),
        _ => BackendError::Refused(message),
    }
}
