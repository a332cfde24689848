//! The identity routes, asked over HTTP requests in process.

use std::sync::Arc;

use axum::{Router, body::Body};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use curtain_role::Instance;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use super::{
    Directory, Issuer, Validator,
    directory::tests::secret,
    routes::{Identity, routes},
};
use crate::follow::Change;

fn app() -> Router {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("key");
    let issuer = Issuer::new(
        key.serialize_pem().as_bytes(),
        "http://openchoreo.localhost".into(),
        "openchoreo".into(),
    )
    .expect("issuer");
    let directory = Directory::default();
    directory.apply(Change::Reset(vec![
        secret(
            "persona-admin",
            "user",
            &[("username", "admin@openchoreo.dev"), ("password", "p+&= ä"), ("groups", "admins")],
        ),
        secret("agent-one", "agent", &[("client-id", "one"), ("client-secret", "s:1%")]),
    ]));
    let instance = Instance::new("ci");
    let validator = Arc::new(Validator::own(&issuer, directory.clone(), instance.clone()));
    routes(Arc::new(Identity::new(issuer, directory, instance)), validator)
}

async fn send(app: &Router, request: Request<Body>) -> (StatusCode, http::HeaderMap, Value) {
    let response = app.clone().oneshot(request).await.expect("answer");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("body").to_bytes();
    (parts.status, parts.headers, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn form(fields: &[(&str, &str)]) -> Request<Body> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    Request::post("/oauth2/token").body(Body::from(form.finish())).expect("request")
}

async fn token(app: &Router) -> String {
    let fields =
        [("grant_type", "password"), ("username", "admin@openchoreo.dev"), ("password", "p+&= ä")];
    let (status, headers, body) = send(app, form(&fields)).await;
    assert_eq!(
        (status, &body["token_type"], &body["expires_in"]),
        (StatusCode::OK, &"Bearer".into(), &3600.into())
    );
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    body["access_token"].as_str().expect("token").to_owned()
}

#[tokio::test]
async fn a_login_code_of_a_person_becomes_a_token_once() {
    let app = app();
    let bearer = format!("Bearer {}", token(&app).await);
    let ask = Request::post("/oauth2/login-code").header(header::AUTHORIZATION, bearer);
    let (status, _, body) = send(&app, ask.body(Body::empty()).expect("request")).await;
    assert_eq!((status, &body["expires_in"]), (StatusCode::OK, &60.into()));
    let code = body["code"].as_str().expect("code");
    let fields = [("grant_type", "urn:curtain:login-code"), ("code", code)];
    assert_eq!(send(&app, form(&fields)).await.0, StatusCode::OK);
    let (status, _, body) = send(&app, form(&fields)).await;
    assert_eq!((status, &body["error"]), (StatusCode::BAD_REQUEST, &"invalid_grant".into()));
    let why = "the code is unknown, used or too old; `curtain open --name ci` makes a new one";
    assert_eq!(body["error_description"], why);
}

#[tokio::test]
async fn a_client_may_use_http_basic_but_gets_no_login_code() {
    let app = app();
    let basic = format!("Basic {}", STANDARD.encode("one:s%3A1%25"));
    let mut request = form(&[("grant_type", "client_credentials")]);
    request.headers_mut().insert(header::AUTHORIZATION, basic.parse().expect("header"));
    let (status, _, body) = send(&app, request).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let bearer = format!("Bearer {}", body["access_token"].as_str().expect("token"));
    let ask = Request::post("/oauth2/login-code").header(header::AUTHORIZATION, bearer);
    assert_eq!(
        send(&app, ask.body(Body::empty()).expect("request")).await.0,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn refusals_follow_rfc_6749() {
    let app = app();
    type Fields = &'static [(&'static str, &'static str)];
    let cases: [(Fields, u16, &str); 5] = [
        (&[], 400, "invalid_request"),
        (&[("grant_type", "implicit")], 400, "unsupported_grant_type"),
        (&[("grant_type", "password"), ("username", "a"), ("password", "b")], 400, "invalid_grant"),
        (
            &[("grant_type", "client_credentials"), ("client_id", "one"), ("client_secret", "x")],
            401,
            "invalid_client",
        ),
        (&[("grant_type", "password"), ("grant_type", "password")], 400, "invalid_request"),
    ];
    for (fields, status, error) in cases {
        let (got, _, body) = send(&app, form(fields)).await;
        assert_eq!((got.as_u16(), &body["error"]), (status, &error.into()), "{fields:?}");
    }
}

#[tokio::test]
async fn guessing_is_slowed_down_for_that_name_only() {
    let app = app();
    let wrong = [("grant_type", "password"), ("username", "x"), ("password", "y")];
    for _ in 0..10 {
        assert_eq!(send(&app, form(&wrong)).await.0, StatusCode::BAD_REQUEST);
    }
    let (status, headers, _) = send(&app, form(&wrong)).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert!(headers.contains_key(header::RETRY_AFTER));
    token(&app).await;
}

#[tokio::test]
async fn discovery_points_at_the_host_that_was_asked() {
    let app = app();
    let request = Request::get("/.well-known/openid-configuration")
        .header(header::HOST, "openchoreo-api:8080")
        .body(Body::empty())
        .expect("request");
    let (_, _, body) = send(&app, request).await;
    assert_eq!(body["issuer"], "http://openchoreo.localhost");
    assert_eq!(body["jwks_uri"], "http://openchoreo-api:8080/oauth2/jwks");
    let request = Request::get("/oauth2/jwks").body(Body::empty()).expect("request");
    let (_, _, body) = send(&app, request).await;
    assert_eq!(
        (&body["keys"][0]["alg"], &body["keys"][0]["crv"]),
        (&"ES256".into(), &"P-256".into())
    );
    assert!(body["keys"][0]["kid"].is_string() && body["keys"][0].get("d").is_none());
}
