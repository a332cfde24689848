//! Questions of a person about a report, which the SRE agent answers where a model is configured.

use crate::error::{BackendError, PageError};
use crate::forms::Submitted;
use crate::incidents::current;
use crate::model::text;
use crate::pages::incident::{self, Place};
use crate::server::Portal;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;
use std::sync::Arc;

/// The longest question, in characters.
pub(crate) const LONGEST: usize = 2000;

#[derive(Deserialize)]
pub(crate) struct Question {
    question: String,
}

/// Has the SRE agent answer a question about its report, and leads to the page that shows the answer: to load that again asks
/// nobody.
pub(crate) async fn ask(
    State(portal): State<Arc<Portal>>,
    Path(place): Path<Place>,
    Submitted { session, form }: Submitted<Question>,
) -> Result<Response, PageError> {
    let user = portal.backend.of(&session.token);
    let question = form.question.trim().to_owned();
    let answered = async {
        if question.is_empty() || question.chars().count() > LONGEST {
            let why = format!("ask in 1 to {LONGEST} characters");
            return Err(BackendError::Refused(why));
        }
        let report = current(&user, &place).await?;
        user.question(text(&report, "/reportId"), &question).await
    };
    match answered.await {
        Ok(answer) => {
            let id = session.answers.keep(&place.incident, question, &answer);
            Ok(Redirect::to(&format!("{}?answer={id}", place.href())).into_response())
        }
        Err(error) => incident::with_problem(&portal, &session, place, error).await,
    }
}
