//! Errors: of the role, and of a page.

use crate::pages;
use axum::response::{Html, IntoResponse, Redirect, Response};
use curtain_role::{HealthError, ServeError};
use http::{StatusCode, header};

/// Why the portal cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The door cannot be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The health endpoint.
    #[error(transparent)]
    Health(#[from] HealthError),
}

/// Why a backend did not give what a page needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BackendError {
    /// The token is missing, wrong or expired.
    #[error("you are signed out")]
    SignedOut,
    /// The person may not do this; the API says what is missing.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such object.
    #[error("{0}")]
    NotFound(String),
    /// Somebody else changed it meanwhile.
    #[error("{0}")]
    Conflict(String),
    /// The request was refused for another reason.
    #[error("{0}")]
    Refused(String),
    /// No answer in time, or one that is no answer.
    #[error("{0}")]
    Unavailable(String),
}

impl BackendError {
    /// How a page that says it answers, and in few words what it is.
    pub(crate) fn status(&self) -> (StatusCode, &'static str) {
        match self {
            BackendError::Forbidden(_) => (StatusCode::FORBIDDEN, "Not allowed"),
            BackendError::NotFound(_) => (StatusCode::NOT_FOUND, "Not found"),
            BackendError::Conflict(_) => (StatusCode::CONFLICT, "Changed meanwhile"),
            BackendError::Refused(_) => (StatusCode::UNPROCESSABLE_ENTITY, "Refused"),
            BackendError::SignedOut | BackendError::Unavailable(_) => {
                (StatusCode::BAD_GATEWAY, "The platform does not answer")
            }
        }
    }
}

/// What a page can do without, as a sentence that says why; except for a session that is over.
pub(crate) fn softly<T>(
    answer: Result<T, BackendError>,
) -> Result<Result<T, String>, BackendError> {
    match answer {
        Err(BackendError::SignedOut) => Err(BackendError::SignedOut),
        Err(error) => Ok(Err(error.to_string())),
        Ok(answer) => Ok(Ok(answer)),
    }
}

/// What a handler answers instead of its page.
pub(crate) enum PageError {
    /// Sign in first, then go on here.
    SignIn(String),
    /// A live part whose session is over: its script goes to the sign-in page.
    StreamEnded,
    /// A form that did not come from one of our pages.
    Forged(&'static str),
    /// What a backend said, for the signed-in person (whose name heads the page).
    Backend(BackendError),
}

impl From<BackendError> for PageError {
    fn from(error: BackendError) -> Self {
        PageError::Backend(error)
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let error = match self {
            PageError::SignIn(next) => {
                return Redirect::to(&format!("/login?next={}", crate::login::encode(&next)))
                    .into_response();
            }
            PageError::StreamEnded => {
                let event = "event: end\ndata: signed out\n\n";
                return ([(header::CONTENT_TYPE, "text/event-stream")], event).into_response();
            }
            PageError::Backend(BackendError::SignedOut) => {
                return Redirect::to("/login?reason=expired").into_response();
            }
            PageError::Forged(message) => {
                let page = pages::problem("This form cannot be used", message);
                return (StatusCode::FORBIDDEN, Html(page.into_string())).into_response();
            }
            PageError::Backend(error) => error,
        };
        let (status, title) = error.status();
        (status, Html(pages::problem(title, &error.to_string()).into_string())).into_response()
    }
}
