//! What a person lets an agent do, and takes back.

use crate::error::{BackendError, PageError};
use crate::forms::Submitted;
use crate::login::encode;
use crate::server::Portal;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

#[derive(Deserialize)]
pub(crate) struct Grant {
    agent: String,
    kind: String,
    #[serde(default)]
    environment: String,
    #[serde(default)]
    project: String,
    minutes: String,
}

/// Grants one kind of change for a while. The API decides whether the person may.
pub(crate) async fn grant(
    State(portal): State<Arc<Portal>>,
    Submitted { session, form }: Submitted<Grant>,
) -> Result<Response, PageError> {
    let minutes: u64 = form.minutes.parse().map_err(|_| {
        BackendError::Refused(format!("`{}` is no number of minutes", form.minutes))
    })?;
    let mut wish = json!({"kind": form.kind, "seconds": minutes.saturating_mul(60)});
    for (member, value) in [("environment", &form.environment), ("project", &form.project)] {
        if !value.is_empty() {
            wish[member] = json!(value);
        }
    }
    let user = portal.backend.of(&session.token);
    user.post(&format!("/agents/{}/grants", encode(&form.agent)), &wish).await?;
    tracing::info!(agent = form.agent, kind = form.kind, "granted");
    Ok(Redirect::to("/agents").into_response())
}

#[derive(Deserialize)]
pub(crate) struct Revocation {
    agent: String,
    kind: String,
}

/// Takes one kind of change back from an agent.
pub(crate) async fn revoke(
    State(portal): State<Arc<Portal>>,
    Submitted { session, form }: Submitted<Revocation>,
) -> Result<Response, PageError> {
    if form.kind.is_empty() {
        return Err(BackendError::Refused("name what is to be revoked".to_owned()).into());
    }
    let user = portal.backend.of(&session.token);
    let path = format!("/agents/{}/grants?kind={}", encode(&form.agent), encode(&form.kind));
    user.delete(&path).await?;
    tracing::info!(agent = form.agent, kind = form.kind, "revoked");
    Ok(Redirect::to("/agents").into_response())
}
