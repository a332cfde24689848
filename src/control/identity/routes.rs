//! `/oauth2` and `/.well-known/openid-configuration`.
//!
//! A small, strict part of OAuth 2.0: three grants for clients of the instance itself. Answers follow RFC 6749 §5.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    Extension, Json, Router,
    extract::{DefaultBodyLimit, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use curtain_role::Instance;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use super::{
    Caller, Directory, Issuer, Limiter, LoginCodes, Subject, SubjectKind, TOKEN_SECONDS, Validator,
    bearer, codes::CODE_SECONDS,
};

/// The grant that turns a one-time login code into a token.
pub const LOGIN_CODE_GRANT: &str = "urn:curtain:login-code";

/// The longest form read, in bytes.
const LONGEST_FORM: usize = 16 * 1024;

/// What the identity routes share.
#[derive(Debug)]
pub struct Identity {
    /// Signs.
    pub issuer: Issuer,
    /// Knows the subjects.
    pub directory: Directory,
    /// Codes waiting to be used.
    pub codes: LoginCodes,
    /// Slows guessing down.
    pub limiter: Limiter,
    /// The instance whose subjects they are.
    pub instance: Instance,
}

impl Identity {
    /// Nothing handed out, nobody slowed down.
    pub fn new(issuer: Issuer, directory: Directory, instance: Instance) -> Self {
        let (codes, limiter) = (LoginCodes::default(), Limiter::default());
        Self { issuer, directory, codes, limiter, instance }
    }
}

/// The routes; `validator` guards the one that needs a token.
pub fn routes(identity: Arc<Identity>, validator: Arc<Validator>) -> Router {
    Router::new()
        .route("/oauth2/login-code", post(login_code))
        .layer(axum::middleware::from_fn_with_state(validator, bearer::require))
        .route("/oauth2/token", post(token))
        .route("/oauth2/jwks", get(jwks))
        .route("/.well-known/openid-configuration", get(configuration))
        .layer(DefaultBodyLimit::max(LONGEST_FORM))
        .with_state(identity)
}

async fn jwks(State(identity): State<Arc<Identity>>) -> Response {
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(identity.issuer.jwks())).into_response()
}

/// Endpoints are given below the host the client used, so that they are right inside and outside the cluster.
async fn configuration(State(identity): State<Arc<Identity>>, headers: HeaderMap) -> Json<Value> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    Json(json!({
        "issuer": identity.issuer.issuer(),
        "jwks_uri": format!("http://{host}/oauth2/jwks"),
        "token_endpoint": format!("http://{host}/oauth2/token"),
        "grant_types_supported": ["password", "client_credentials", LOGIN_CODE_GRANT],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "subject_types_supported": ["public"],
        "response_types_supported": [],
        "claims_supported": ["iss", "aud", "sub", "groups", "name", "typ", "iat", "exp", "jti"],
    }))
}

async fn login_code(
    State(identity): State<Arc<Identity>>,
    Extension(caller): Extension<Caller>,
) -> Response {
    if caller.kind != SubjectKind::User {
        let body = json!({
            "error": "FORBIDDEN",
            "message": format!("denied: only people sign in to a browser; {caller} is not one"),
        });
        return (StatusCode::FORBIDDEN, Json(body)).into_response();
    }
    let code = identity.codes.issue(&caller.subject, Instant::now());
    no_store(StatusCode::OK, json!({"code": code.expose(), "expires_in": CODE_SECONDS}))
}

async fn token(State(identity): State<Arc<Identity>>, headers: HeaderMap, body: Bytes) -> Response {
    match grant(&identity, &headers, &body) {
        Ok(subject) => issue(&identity, &subject),
        Err(refusal) => refusal.into_response(),
    }
}

fn issue(identity: &Identity, subject: &Subject) -> Response {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    match identity.issuer.issue(subject, now) {
        Ok(token) => {
            tracing::info!(subject = subject.name, kind = %subject.kind, "token issued");
            let body = json!({
                "access_token": token.expose(),
                "token_type": "Bearer",
                "expires_in": TOKEN_SECONDS,
            });
            no_store(StatusCode::OK, body)
        }
        Err(error) => {
            tracing::error!(%error, "cannot issue a token");
            no_store(StatusCode::INTERNAL_SERVER_ERROR, json!({"error": "server_error"}))
        }
    }
}

/// Why a grant was refused.
#[derive(Debug)]
enum Refusal {
    Request(String),
    Grant(String),
    Client { basic: bool },
    UnsupportedGrant(String),
    Wait(std::time::Duration),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let answer = |status, error: &str, description: &str| {
            no_store(status, json!({"error": error, "error_description": description}))
        };
        match self {
            Self::Request(why) => answer(StatusCode::BAD_REQUEST, "invalid_request", &why),
            Self::Grant(why) => answer(StatusCode::BAD_REQUEST, "invalid_grant", &why),
            Self::Client { basic } => {
                let why = "unknown client or wrong secret";
                let mut response = answer(StatusCode::UNAUTHORIZED, "invalid_client", why);
                if basic {
                    let challenge = header::HeaderValue::from_static(r#"Basic realm="curtain""#);
                    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                }
                response
            }
            Self::UnsupportedGrant(grant) => {
                let why = format!(
                    "{grant:?} is not supported; use password, client_credentials or {LOGIN_CODE_GRANT}"
                );
                answer(StatusCode::BAD_REQUEST, "unsupported_grant_type", &why)
            }
            Self::Wait(pause) => {
                let seconds = pause.as_secs().max(1);
                let why = format!("too many wrong secrets for this name; try again in {seconds} s");
                let mut response = answer(StatusCode::TOO_MANY_REQUESTS, "slow_down", &why);
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
                response
            }
        }
    }
}

fn grant(identity: &Identity, headers: &HeaderMap, body: &[u8]) -> Result<Subject, Refusal> {
    let mut form = HashMap::new();
    for (key, value) in form_urlencoded::parse(body) {
        if form.insert(key.clone().into_owned(), value.into_owned()).is_some() {
            return Err(Refusal::Request(format!("{key} is given twice")));
        }
    }
    let field = |name: &str| form.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let required =
        |name: &str| field(name).ok_or_else(|| Refusal::Request(format!("{name} is required")));
    match required("grant_type")? {
        "password" => {
            let (name, secret) = (required("username")?, required("password")?);
            let wrong = Refusal::Grant("unknown user or wrong password".to_owned());
            authenticate(identity, name, secret, true, wrong)
        }
        "client_credentials" => {
            let basic = basic(headers)?;
            let (name, secret) = match &basic {
                Some((name, secret)) => (name.as_str(), secret.as_str()),
                None => (required("client_id")?, required("client_secret")?),
            };
            let wrong = Refusal::Client { basic: basic.is_some() };
            authenticate(identity, name, secret, false, wrong)
        }
        LOGIN_CODE_GRANT => identity
            .codes
            .redeem(required("code")?, Instant::now())
            .and_then(|name| identity.directory.find(&name, SubjectKind::User))
            .ok_or_else(|| {
                let open = identity.instance.command("open");
                Refusal::Grant(format!(
                    "the code is unknown, used or too old; `{open}` makes a new one"
                ))
            }),
        other => Err(Refusal::UnsupportedGrant(other.to_owned())),
    }
}

fn authenticate(
    identity: &Identity,
    name: &str,
    secret: &str,
    person: bool,
    wrong: Refusal,
) -> Result<Subject, Refusal> {
    identity.limiter.admit(name, Instant::now()).map_err(Refusal::Wait)?;
    identity.directory.authenticate(name, secret, person).ok_or_else(|| {
        identity.limiter.failed(name, Instant::now());
        tracing::warn!(subject = name, "wrong secret");
        wrong
    })
}

/// Client id and secret of an `Authorization: Basic` header, form-decoded as RFC 6749 §2.3.1 asks.
fn basic(headers: &HeaderMap) -> Result<Option<(String, String)>, Refusal> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let malformed = || Refusal::Request("the Authorization header is not HTTP Basic".to_owned());
    let text = value.to_str().map_err(|_| malformed())?;
    let (scheme, encoded) = text.split_once(' ').ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let decoded = STANDARD.decode(encoded.trim()).map_err(|_| malformed())?;
    let decoded = String::from_utf8(decoded).map_err(|_| malformed())?;
    let (name, secret) = decoded.split_once(':').ok_or_else(malformed)?;
    let plain = |part: &str| {
        form_urlencoded::parse(part.as_bytes())
            .next()
            .map(|(key, _)| key.into_owned())
            .unwrap_or_default()
    };
    Ok(Some((plain(name), plain(secret))))
}

fn no_store(status: StatusCode, body: Value) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
