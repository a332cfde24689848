//! Forms that change something: they come from our own pages, from who is signed in.

use crate::error::{BackendError, PageError};
use crate::server::Portal;
use crate::session::{Session, SignedIn, same};
use axum::Form;
use axum::extract::{FromRequest, FromRequestParts as _, Request};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// What was filled in, and by whom. The hidden field of every form of ours proves where it was.
pub(crate) struct Submitted<T> {
    pub(crate) session: Arc<Session>,
    pub(crate) form: T,
}

/// A form without fields of its own.
#[derive(Deserialize)]
pub(crate) struct Nothing {}

#[derive(Deserialize)]
struct Keyed<T> {
    form_key: String,
    #[serde(flatten)]
    form: T,
}

impl<T: DeserializeOwned> FromRequest<Arc<Portal>> for Submitted<T> {
    type Rejection = PageError;

    async fn from_request(request: Request, portal: &Arc<Portal>) -> Result<Self, PageError> {
        let (mut parts, body) = request.into_parts();
        let SignedIn(session) = SignedIn::from_request_parts(&mut parts, portal).await?;
        let request = Request::from_parts(parts, body);
        let Form(keyed) =
            Form::<Keyed<T>>::from_request(request, portal).await.map_err(|error| {
                BackendError::Refused(format!("the form cannot be read: {}", error.body_text()))
            })?;
        if !same(&keyed.form_key, &session.form_key) {
            let message = "It belongs to an older session. Go back, reload and try again.";
            return Err(PageError::Forged(message));
        }
        Ok(Submitted { session, form: keyed.form })
    }
}
