//! What a person can change: which release an environment runs, and whether it runs at all.

use crate::backend::User;
use crate::error::{BackendError, PageError};
use crate::forms::Submitted;
use crate::login::encode;
use crate::pages::component::Place;
use crate::server::Portal;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Deserialize)]
pub(crate) struct Promotion {
    from: String,
    to: String,
}

/// Lets an environment run the release of another. The pipeline decides what may follow what.
pub(crate) async fn promote(
    State(portal): State<Arc<Portal>>,
    Path(place): Path<Place>,
    Submitted { session, form }: Submitted<Promotion>,
) -> Result<Response, PageError> {
    let user = portal.backend.of(&session.token);
    let view = crate::model::component(&user, &place).await?;
    let (_, targets) = view
        .environments
        .iter()
        .map(|lane| (&lane.name, &lane.targets))
        .find(|(name, _)| **name == form.from)
        .ok_or_else(|| BackendError::NotFound(format!("no environment `{}`", form.from)))?;
    if !targets.contains(&form.to) {
        let message = format!("the pipeline does not lead from {} to {}", form.from, form.to);
        return Err(BackendError::Refused(message).into());
    }
    let source = view
        .environments
        .iter()
        .find(|lane| lane.name == form.from)
        .and_then(|lane| lane.binding.as_ref());
    let release = source
        .map(|binding| binding.release.clone())
        .filter(|release| !release.is_empty())
        .ok_or_else(|| BackendError::Refused(format!("{} runs no release", form.from)))?;

    let existing = view
        .environments
        .iter()
        .find(|lane| lane.name == form.to)
        .and_then(|lane| lane.binding.as_ref());
    let list = format!("/namespaces/{}/releasebindings", encode(&place.namespace));
    match existing {
        Some(binding) => {
            update(&user, &place, &binding.name, |spec| {
                spec["releaseName"] = json!(release);
                spec["state"] = json!("Active");
            })
            .await?;
        }
        None => {
            let body = json!({
                "metadata": {"name": format!("{}-{}", place.component, form.to)},
                "spec": {
                    "owner": {"projectName": place.project, "componentName": place.component},
                    "environment": form.to,
                    "releaseName": release,
                },
            });
            user.post(&list, &body).await?;
        }
    }
    tracing::info!(component = place.component, from = form.from, to = form.to, "promoted");
    Ok(Redirect::to(&place.href()).into_response())
}

#[derive(Deserialize)]
pub(crate) struct Rollback {
    environment: String,
    release: String,
}

/// Lets an environment run an earlier release again.
pub(crate) async fn rollback(
    State(portal): State<Arc<Portal>>,
    Path(place): Path<Place>,
    Submitted { session, form }: Submitted<Rollback>,
) -> Result<Response, PageError> {
    let user = portal.backend.of(&session.token);
    let view = crate::model::component(&user, &place).await?;
    let releases = crate::model::releases(&user, &place).await?;
    let lane = view.environments.iter().find(|lane| lane.name == form.environment);
    let binding = lane
        .filter(|lane| crate::model::is_way_back(&releases, lane, &form.release))
        .and_then(|lane| lane.binding.as_ref())
        .ok_or_else(|| {
            let (release, environment) = (&form.release, &form.environment);
            let why = format!(
                "{release} is not earlier than what {environment} runs; promote to go forward"
            );
            BackendError::Refused(why)
        })?;
    update(&user, &place, &binding.name, |spec| spec["releaseName"] = json!(form.release)).await?;
    tracing::info!(component = place.component, to = form.release, "rolled back");
    Ok(Redirect::to(&place.href()).into_response())
}

#[derive(Deserialize)]
pub(crate) struct StateForm {
    binding: String,
    state: String,
}

/// Takes a component out of an environment, or puts it back.
pub(crate) async fn state(
    State(portal): State<Arc<Portal>>,
    Path(place): Path<Place>,
    Submitted { session, form }: Submitted<StateForm>,
) -> Result<Response, PageError> {
    if !["Active", "Undeploy"].contains(&form.state.as_str()) {
        return Err(BackendError::Refused(format!("`{}` is not a state", form.state)).into());
    }
    let user = portal.backend.of(&session.token);
    update(&user, &place, &form.binding, |spec| spec["state"] = json!(form.state)).await?;
    Ok(Redirect::to(&place.href()).into_response())
}

/// Reads a binding of the component, changes its spec and writes it back, unless somebody else
/// wrote it meanwhile.
async fn update(
    user: &User<'_>,
    place: &Place,
    binding: &str,
    change: impl FnOnce(&mut Value),
) -> Result<(), BackendError> {
    let path =
        format!("/namespaces/{}/releasebindings/{}", encode(&place.namespace), encode(binding));
    let (mut object, version) = user.get_versioned(&path).await?;
    if object["spec"]["owner"]["componentName"] != json!(place.component) {
        let message = format!("`{binding}` does not belong to {}", place.component);
        return Err(BackendError::Refused(message));
    }
    change(&mut object["spec"]);
    if let Value::Object(map) = &mut object {
        map.remove("status");
    }
    user.put(&path, &object, version.as_deref()).await.map(drop)
}
