//! An image as a component, by the two objects that `curtain deploy --image` makes: the same again replaces it.

use crate::backend::User;
use crate::error::{BackendError, PageError};
use crate::forms::Submitted;
use crate::login::encode;
use crate::model::text;
use crate::pages::component::Place;
use crate::pages::deploy as page;
use crate::pages::deploy::command::Command;
use crate::server::Portal;
use crate::wish::{Faults, Wish};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use curtain_deploy::App;
use json_patch::merge;
use serde_json::{Value, json};
use std::sync::Arc;

/// Deploys an image of a registry; for one of the person's machine, says how.
pub(crate) async fn deploy(
    State(portal): State<Arc<Portal>>,
    Path((namespace, project)): Path<(String, String)>,
    Submitted { session, form }: Submitted<Wish>,
) -> Result<Response, PageError> {
    let at = (namespace.as_str(), project.as_str());
    let user = portal.backend.of(&session.token);
    if form.is_local() {
        let faults = match Command::of(&form) {
            Command::Wrong(faults) => faults,
            Command::Nothing | Command::Words { .. } => Faults::default(),
        };
        let page = page::Deploy { faults, ..page::Deploy::of(form) };
        return page.answer(&portal, &session, at).await;
    }
    let app = match form.check(at) {
        Ok(app) => app,
        Err(faults) => {
            let page = page::Deploy { faults, ..page::Deploy::of(form) };
            return page.answer(&portal, &session, at).await;
        }
    };
    match apply(&app, &user).await {
        Ok(()) => {
            tracing::info!(component = app.name, image = app.image, "deployed");
            let place = Place { namespace, project, component: app.name };
            Ok(Redirect::to(&place.href()).into_response())
        }
        Err(BackendError::SignedOut) => Err(BackendError::SignedOut.into()),
        Err(error) => {
            let page = page::Deploy { problem: Some(error), ..page::Deploy::of(form) };
            page.answer(&portal, &session, at).await
        }
    }
}

/// An object as it is there, with its version.
type There = Option<(Value, Option<String>)>;

/// Creates both objects, or gives those that were made this way what is wanted.
async fn apply(app: &App, user: &User<'_>) -> Result<(), BackendError> {
    let list = |kind: &str| format!("/namespaces/{}/{kind}", encode(&app.namespace));
    let (components, workloads) = (list("components"), list("workloads"));
    let component = there(user, &components, &app.name).await?;
    let workload = there(user, &workloads, &app.name).await?;
    let [former, runs] = [&component, &workload].map(|there| there.as_ref().map(|(it, _)| it));
    if let Some(taken) = app.taken(former, runs) {
        return Err(BackendError::Conflict(format!("{taken}; choose another name")));
    }
    // Who may give a component another image may not change the component.
    if !former.is_some_and(|there| app.is_as_wanted(there)) {
        put(user, &components, component, &app.component()).await?;
    }
    put(user, &workloads, workload, &app.workload()).await
}

async fn there(user: &User<'_>, list: &str, name: &str) -> Result<There, BackendError> {
    match user.get_versioned(&format!("{list}/{}", encode(name))).await {
        Ok(found) => Ok(Some(found)),
        Err(BackendError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Creates an object, or gives the one that is there what is wanted: what is not named stays.
async fn put(
    user: &User<'_>,
    list: &str,
    there: There,
    wanted: &Value,
) -> Result<(), BackendError> {
    let Some((mut object, version)) = there else {
        let mut object = json!({});
        merge(&mut object, wanted);
        return user.post(list, &object).await.map(drop);
    };
    merge(&mut object, wanted);
    if let Value::Object(map) = &mut object {
        map.remove("status");
    }
    let path = format!("{list}/{}", encode(text(wanted, "/metadata/name")));
    user.put(&path, &object, version.as_deref()).await.map(drop)
}
