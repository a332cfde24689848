//! Signing in, by a one-time link or a password, and out.

use crate::error::BackendError;
use crate::forms::{Nothing, Submitted};
use crate::pages;
use crate::server::Portal;
use crate::token::Token;
use axum::Form;
use axum::extract::{Query, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use std::sync::Arc;

const LOGIN_CODE_GRANT: &str = "urn:curtain:login-code";

#[derive(Deserialize)]
pub(crate) struct Asked {
    code: Option<String>,
    next: Option<String>,
    reason: Option<String>,
}

/// The sign-in page; with a code, the sign-in itself.
pub(crate) async fn show(
    State(portal): State<Arc<Portal>>,
    Query(asked): Query<Asked>,
) -> Response {
    let next = local(asked.next.as_deref());
    let Some(code) = asked.code else {
        let notice = match asked.reason.as_deref() {
            Some("expired") => Some("Your session has ended. Sign in again to go on."),
            Some("out") => Some("You are signed out."),
            _ => None,
        };
        return form(StatusCode::OK, &portal, next, notice, None);
    };
    let grant = [("grant_type", LOGIN_CODE_GRANT), ("code", code.as_str())];
    match portal.backend.token(&grant).await {
        Ok((token, lives)) => {
            let home = home(&portal, &token, next).await;
            let id = portal.sessions.open(token, lives);
            // A page, not a redirect: the cookie is Strict, and a redirect that began outside
            // would not carry it.
            let page = Html(pages::entering(&home).into_string());
            ([(header::SET_COOKIE, portal.cookie.set(&id, lives))], page).into_response()
        }
        Err(error) => form(status(&error), &portal, next, None, Some(&error.to_string())),
    }
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    username: String,
    password: String,
    next: Option<String>,
}

/// Signs in with a password.
pub(crate) async fn password(
    State(portal): State<Arc<Portal>>,
    Form(given): Form<Credentials>,
) -> Response {
    let next = local(given.next.as_deref());
    let grant = [
        ("grant_type", "password"),
        ("username", given.username.trim()),
        ("password", given.password.as_str()),
    ];
    match portal.backend.token(&grant).await {
        Ok((token, lives)) => {
            let home = home(&portal, &token, next).await;
            let id = portal.sessions.open(token, lives);
            let cookie = [(header::SET_COOKIE, portal.cookie.set(&id, lives))];
            (cookie, Redirect::to(&home)).into_response()
        }
        Err(error) => form(status(&error), &portal, next, None, Some(&error.to_string())),
    }
}

/// Ends the session.
pub(crate) async fn logout(
    State(portal): State<Arc<Portal>>,
    headers: HeaderMap,
    _: Submitted<Nothing>,
) -> Response {
    if let Some(id) = portal.cookie.read(&headers) {
        portal.sessions.close(id);
    }
    let cookie = [(header::SET_COOKIE, portal.cookie.clear())];
    (cookie, Redirect::to("/login?reason=out")).into_response()
}

fn form(
    status: StatusCode,
    portal: &Portal,
    next: &str,
    notice: Option<&str>,
    problem: Option<&str>,
) -> Response {
    (status, Html(pages::login(&portal.instance, next, notice, problem).into_string()))
        .into_response()
}

fn status(error: &BackendError) -> StatusCode {
    match error {
        BackendError::Unavailable(_) => StatusCode::BAD_GATEWAY,
        _ => StatusCode::UNAUTHORIZED,
    }
}

/// Where to go on after signing in: to what was asked for, or else to the one project that is in use.
async fn home(portal: &Portal, token: &Token, next: &str) -> String {
    if next != "/" {
        return next.to_owned();
    }
    // The list of projects is there for whoever may see no more, and when something does not answer.
    let only = crate::model::only_project(&portal.backend.of(token)).await.ok().flatten();
    only.map_or_else(
        || next.to_owned(),
        |(namespace, name)| pages::project::href(&namespace, &name),
    )
}

/// A path of ours to go on to, whatever was asked for.
fn local(next: Option<&str>) -> &str {
    let is_local = |next: &&str| {
        next.starts_with('/')
            && !next[1..].starts_with(['/', '\\'])
            && !next.starts_with("/login")
            && next.bytes().all(|byte| byte.is_ascii_graphic())
    };
    next.filter(is_local).unwrap_or("/")
}

/// Percent-encodes everything that is not plainly safe in a query or path segment.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::{encode, local};

    #[test]
    fn only_own_paths_are_gone_on_to() {
        assert_eq!(
            local(Some("/namespaces/default/projects/shop?x=1")),
            "/namespaces/default/projects/shop?x=1"
        );
        for elsewhere in ["//evil.example", "/\\evil.example", "https://evil.example", "/login", ""]
        {
            assert_eq!(local(Some(elsewhere)), "/", "{elsewhere}");
        }
        assert_eq!(local(None), "/");
    }

    #[test]
    fn text_is_safe_in_urls() {
        assert_eq!(encode("a b/ü&=?"), "a%20b%2F%C3%BC%26%3D%3F");
    }
}
