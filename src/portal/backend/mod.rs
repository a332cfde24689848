//! The REST API, the observer and the SRE agent, called with a person's own token.

mod changes;
mod observer;

use crate::error::BackendError;
use crate::model::taken;
use crate::token::Token;
use bytes::Bytes;
use curtain_role::{HttpClient, http_client};
use futures::Stream;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};
use std::time::Duration;

/// The longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer read, in bytes.
const LONGEST_ANSWER: usize = 8 << 20;
/// Pages of a list that are read, of 100 items each.
const MOST_PAGES: usize = 10;

/// What the portal is a client of.
#[derive(Debug, Clone)]
pub(crate) struct Backend {
    client: HttpClient,
    api: String,
    observer: String,
    sre: String,
}

impl Backend {
    /// Base URLs of the three.
    pub(crate) fn new(api: &str, observer: &str, sre: &str) -> Backend {
        let [api, observer, sre] =
            [api, observer, sre].map(|url| url.trim_end_matches('/').to_owned());
        Backend { client: http_client(), api, observer, sre }
    }

    /// Gets a token by one of identity's grants.
    pub(crate) async fn token(
        &self,
        form: &[(&str, &str)],
    ) -> Result<(Token, Duration), BackendError> {
        let body: Vec<String> = form
            .iter()
            .map(|(name, value)| format!("{name}={}", crate::login::encode(value)))
            .collect();
        let request = Request::post(format!("{}/oauth2/token", self.api))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json");
        let (status, _, answer) = self.send(request, body.join("&").into()).await?;
        let described = answer["error_description"].as_str().unwrap_or("sign-in was refused");
        if !status.is_success() {
            return Err(match status {
                status if status.is_server_error() => unavailable("identity", described),
                _ => BackendError::Refused(described.to_owned()),
            });
        }
        let token = answer["access_token"].as_str().unwrap_or_default();
        if token.is_empty() {
            return Err(unavailable("identity", "it answered without a token"));
        }
        let seconds = answer["expires_in"].as_u64().unwrap_or(3600);
        Ok((Token::new(token.to_owned()), Duration::from_secs(seconds)))
    }

    /// The backends as one person sees them.
    pub(crate) fn of<'a>(&'a self, token: &'a Token) -> User<'a> {
        User { backend: self, token }
    }

    async fn send(
        &self,
        request: http::request::Builder,
        body: Bytes,
    ) -> Result<(StatusCode, HeaderMap, Value), BackendError> {
        let (status, headers, bytes) = self.bytes(request, body, TIMEOUT).await?;
        Ok((status, headers, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }

    /// The whole answer, if it comes within `limit`.
    async fn bytes(
        &self,
        request: http::request::Builder,
        body: Bytes,
        limit: Duration,
    ) -> Result<(StatusCode, HeaderMap, Bytes), BackendError> {
        let asked = host(&request);
        let exchange = async {
            let response = self.response(request, body).await?;
            let (head, body) = response.into_parts();
            let bytes = Limited::new(body, LONGEST_ANSWER)
                .collect()
                .await
                .map_err(|error| unavailable(&asked, &error.to_string()))?
                .to_bytes();
            Ok((head.status, head.headers, bytes))
        };
        tokio::time::timeout(limit, exchange).await.unwrap_or_else(|_| {
            let waited = format!("no answer within {} seconds", limit.as_secs());
            Err(unavailable(&asked, &waited))
        })
    }

    async fn response(
        &self,
        request: http::request::Builder,
        body: Bytes,
    ) -> Result<http::Response<Incoming>, BackendError> {
        let asked = host(&request);
        let request = request
            .body(Full::new(body))
            .map_err(|error| BackendError::Refused(error.to_string()))?;
        self.client.request(request).await.map_err(|error| unavailable(&asked, &cause(&error)))
    }
}

/// Who is asked, as errors name them.
fn host(request: &http::request::Builder) -> String {
    let authority = request.uri_ref().and_then(|uri| uri.authority());
    authority.map_or_else(|| "the platform".to_owned(), ToString::to_string)
}

/// The innermost cause of an error, which is what people understand.
fn cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), cause)
}

fn unavailable(what: &str, why: &str) -> BackendError {
    BackendError::Unavailable(format!("{what} cannot be reached: {why}"))
}

/// The backends as one person sees them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct User<'a> {
    backend: &'a Backend,
    token: &'a Token,
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

    fn request(&self, method: Method, url: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(url)
            .header(header::AUTHORIZATION, self.token.header())
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/json")
    }

    /// Answers whether the person may do these things, each `(action, hierarchy, environment)` with
    /// the environment as `namespace/name`, with the reason for a no.
    pub(crate) async fn may(
        &self,
        questions: &[(&str, Value, String)],
    ) -> Result<Vec<Result<(), String>>, BackendError> {
        if questions.is_empty() {
            return Ok(Vec::new());
        }
        let asked: Vec<Value> = questions
            .iter()
            .map(|(action, hierarchy, environment)| {
                json!({
                    "resource": {
                        "type": action.split(':').next().unwrap_or_default(),
                        "hierarchy": hierarchy,
                    },
                    "action": action,
                    "context": {"resource": {"environment": environment}},
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

fn refused(status: StatusCode, answer: &Value) -> BackendError {
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
