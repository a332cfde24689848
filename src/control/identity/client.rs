//! Fetching tokens, for clients of ours.

use std::time::Duration;

use bytes::Bytes;
use curtain_role::{HttpClient, Instance, http_client};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};

use super::Secret;

/// The longest an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// A token with less left than this is fetched anew.
const MARGIN: Duration = Duration::from_secs(120);
/// The longest answer read, in bytes.
const LONGEST: usize = 64 * 1024;

/// How a client proves who it is.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A person.
    Password {
        /// User name.
        username: String,
        /// Password.
        password: Secret,
    },
    /// An agent or service.
    Client {
        /// Client id.
        id: String,
        /// Client secret.
        secret: Secret,
    },
    /// A one-time code of `POST /oauth2/login-code`.
    LoginCode(Secret),
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenClientError {
    /// The endpoint did not answer.
    #[error(
        "cannot reach the token endpoint {endpoint}: {reason}; `{}` says whether the instance is up",
        .instance.command("status")
    )]
    Unreachable {
        /// The URL.
        endpoint: String,
        /// What happened.
        reason: String,
        /// The instance it is of.
        instance: Instance,
    },
    /// The endpoint said no.
    #[error("{endpoint} refused the credentials: {reason}")]
    Refused {
        /// The URL.
        endpoint: String,
        /// The status it answered.
        status: StatusCode,
        /// Its explanation.
        reason: String,
    },
    /// The endpoint's URL is not one.
    #[error("{0:?} is not the URL of an instance")]
    Url(String),
}

/// Keeps a fresh token at hand.
#[derive(Debug)]
pub struct TokenClient {
    endpoint: http::Uri,
    instance: Instance,
    credentials: Credentials,
    http: HttpClient,
    kept: Mutex<Option<(Secret, Instant)>>,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: u64,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    error_description: String,
}

impl TokenClient {
    /// A client of `instance` at `api` (its base URL, plain HTTP). Nothing is sent yet.
    ///
    /// # Errors
    /// [`TokenClientError::Url`].
    pub fn new(
        api: &str,
        instance: Instance,
        credentials: Credentials,
    ) -> Result<Self, TokenClientError> {
        let endpoint = format!("{}/oauth2/token", api.trim_end_matches('/'));
        let endpoint = endpoint.parse().map_err(|_| TokenClientError::Url(api.to_owned()))?;
        Ok(Self { endpoint, instance, credentials, http: http_client(), kept: Mutex::default() })
    }

    /// A token with at least two minutes left, from memory or fetched.
    ///
    /// # Errors
    /// [`TokenClientError`].
    pub async fn token(&self) -> Result<Secret, TokenClientError> {
        // Held across the fetch on purpose: callers share one request.
        let mut kept = self.kept.lock().await;
        if let Some((token, until)) = &*kept
            && *until > Instant::now()
        {
            return Ok(token.clone());
        }
        let answer = self.fetch().await?;
        let good_for = Duration::from_secs(answer.expires_in).saturating_sub(MARGIN);
        let token = Secret::new(answer.access_token);
        *kept = Some((token.clone(), Instant::now() + good_for));
        Ok(token)
    }

    /// Forgets the kept token: a server said it is not good any more.
    pub async fn forget(&self) {
        *self.kept.lock().await = None;
    }

    async fn fetch(&self) -> Result<Answer, TokenClientError> {
        let unreachable = |reason: String| TokenClientError::Unreachable {
            endpoint: self.endpoint.to_string(),
            reason,
            instance: self.instance.clone(),
        };
        let request = Request::post(self.endpoint.clone())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(self.form())))
            .map_err(|error| unreachable(error.to_string()))?;
        let exchange = async {
            let response = self.http.request(request).await.map_err(|error| root_cause(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), LONGEST).collect().await;
            Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
        };
        let (status, body) = tokio::time::timeout(PATIENCE, exchange)
            .await
            .map_err(|_| unreachable(format!("no answer within {} s", PATIENCE.as_secs())))?
            .map_err(unreachable)?;
        if status != StatusCode::OK {
            let reason = serde_json::from_slice::<Refusal>(&body)
                .map(|refusal| refusal.error_description)
                .ok()
                .filter(|reason| !reason.is_empty())
                .unwrap_or_else(|| status.to_string());
            return Err(TokenClientError::Refused {
                endpoint: self.endpoint.to_string(),
                status,
                reason,
            });
        }
        serde_json::from_slice(&body).map_err(|error| unreachable(error.to_string()))
    }

    fn form(&self) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        match &self.credentials {
            Credentials::Password { username, password } => form
                .append_pair("grant_type", "password")
                .append_pair("username", username)
                .append_pair("password", password.expose()),
            Credentials::Client { id, secret } => form
                .append_pair("grant_type", "client_credentials")
                .append_pair("client_id", id)
                .append_pair("client_secret", secret.expose()),
            Credentials::LoginCode(code) => form
                .append_pair("grant_type", super::routes::LOGIN_CODE_GRANT)
                .append_pair("code", code.expose()),
        };
        form.finish()
    }
}

/// The innermost reason: hyper's own text only says that connecting failed.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
