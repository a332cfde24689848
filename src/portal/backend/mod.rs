//! The REST API, the observer and the SRE agent, called with a person's own token.

mod changes;
mod observer;
mod user;

pub(crate) use user::User;

use crate::error::BackendError;
use crate::token::Token;
use bytes::Bytes;
use curtain_role::{HttpClient, http_client};
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use serde_json::Value;
use std::time::Duration;

/// The longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer read, in bytes.
const LONGEST_ANSWER: usize = 8 << 20;

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
