//! What a person can change: which release an environment runs, whether it runs at all, and whether there is a component.

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
    // Where releases enter, auto-deploy would bring the newest one back at once.
    let enters = view.environments.first().is_some_and(|first| first.name == form.environment);
    let switched_off = enters && view.component["spec"]["autoDeploy"] == true;
    if switched_off {
        set_auto_deploy(&user, &place, false).await?;
    }
    let back =
        update(&user, &place, &binding.name, |spec| spec["releaseName"] = json!(form.release));
    if let Err(error) = back.await {
        if switched_off {
            // What was switched off for it is of no use without it.
            set_auto_deploy(&user, &place, true).await?;
        }
        return Err(error.into());
    }
    tracing::info!(component = place.component, to = form.release, "rolled back");
    Ok(Redirect::to(&place.href()).into_response())
}

#[derive(Deserialize)]
pub(crate) struct AutoDeploy {
    on: String,
}

/// Lets new releases go to the first environment by themselves, or not.
pub(crate) async fn auto_deploy(
    State(portal): State<Arc<Portal>>,
    Path(place): Path<Place>,
    Submitted { session, form }: Submitted<AutoDeploy>,
) -> Result<Response, PageError> {
    let user = portal.backend.of(&session.token);
    set_auto_deploy(&user, &place, form.on == "true").await?;
    Ok(Redirect::to(&format!("{}/releases", place.href())).into_response())
}

async fn set_auto_deploy(user: &User<'_>, place: &Place, on: bool) -> Result<(), BackendError> {
    let (namespace, component) = (encode(&place.namespace), encode(&place.component));
    let path = format!("/namespaces/{namespace}/components/{component}");
    let (object, version) = user.get_versioned(&path).await?;
    crate::model::belongs(&object, place)?;
    write(user, &path, object, version, |spec| spec["autoDeploy"] = json!(on)).await
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

#[derive(Deserialize)]
pub(crate) struct Removal {
    confirmed: String,
}

/// Deletes a component, whose name was typed for that.
pub(crate) async fn delete(
    State(portal): State<Arc<Portal>>,
    Path(place): Path<Place>,
    Submitted { session, form }: Submitted<Removal>,
) -> Result<Response, PageError> {
    let name = &place.component;
    if form.confirmed.trim() != name {
        let message = format!("nothing was deleted: its name, {name}, has to be typed to confirm");
        return Err(BackendError::Refused(message).into());
    }
    let user = portal.backend.of(&session.token);
    let path = format!("/namespaces/{}/components/{}", encode(&place.namespace), encode(name));
    crate::model::belongs(&user.get(&path).await?, &place)?;
    user.delete(&path).await?;
    tracing::info!(component = place.component, "deleted");
    let project = crate::pages::project::href(&place.namespace, &place.project);
    Ok(Redirect::to(&project).into_response())
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
    let (object, version) = user.get_versioned(&path).await?;
    if object["spec"]["owner"]["componentName"] != json!(place.component) {
        let message = format!("`{binding}` does not belong to {}", place.component);
        return Err(BackendError::Refused(message));
    }
    write(user, &path, object, version, change).await
}

/// Writes an object back with another spec, if it still has this version.
async fn write(
    user: &User<'_>,
    path: &str,
    mut object: Value,
    version: Option<String>,
    change: impl FnOnce(&mut Value),
) -> Result<(), BackendError> {
    change(&mut object["spec"]);
    if let Value::Object(map) = &mut object {
        map.remove("status");
    }
    user.put(path, &object, version.as_deref()).await.map(drop)
}
