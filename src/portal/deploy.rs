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
use crate::wish::{App, Faults, Wish};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Value, json};
use std::sync::Arc;

/// A label of every component that was made this way, and who is said to manage it.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "curtain-deploy");
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
    let app = match form.check() {
        Ok(app) => app,
        Err(faults) => {
            let page = page::Deploy { faults, ..page::Deploy::of(form) };
            return page.answer(&portal, &session, at).await;
        }
    };
    match app.apply(&user, at).await {
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

impl App {
    /// Creates both objects, or replaces those that were made this way.
    async fn apply(&self, user: &User<'_>, at: (&str, &str)) -> Result<(), BackendError> {
        let (component, workload) = self.objects(at.1);
        let base = format!("/namespaces/{}", encode(at.0));
        let mine = |found: &Value| {
            let managed = found["metadata"]["labels"][MANAGED_BY.0] == MANAGED_BY.1;
            let there = text(found, "/spec/owner/projectName");
            if managed && there == at.1 {
                return Ok(());
            }
            let why = match managed {
                true => format!("component {} is in project {there} already", self.name),
                false => format!("there is a component {} that was made in another way", self.name),
            };
            Err(BackendError::Conflict(format!("{why}; choose another name")))
        };
        // Before anything is made: a component that can have no workload would stay behind.
        match user.get(&format!("{base}/workloads/{}", encode(&self.name))).await {
            Ok(found) if text(&found, "/spec/owner/componentName") != self.name => {
                let owner = text(&found, "/spec/owner/componentName");
                let why = format!("there is a workload {} of component {owner}", self.name);
                return Err(BackendError::Conflict(format!("{why}; choose another name")));
            }
            Ok(_) | Err(BackendError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        put(user, &format!("{base}/components"), &self.name, component, mine).await?;
        put(user, &format!("{base}/workloads"), &self.name, workload, |_| Ok(())).await
    }

    fn objects(&self, project: &str) -> (Value, Value) {
        let component = json!({
            "metadata": {"name": self.name, "labels": {MANAGED_BY.0: MANAGED_BY.1}},
            "spec": {
                "owner": {"projectName": project},
                "componentType": {"kind": "ClusterComponentType", "name": "deployment/service"},
                "autoDeploy": true,
            },
        });
        let workload = json!({
            "metadata": {"name": self.name},
            "spec": {
                "owner": {"projectName": project, "componentName": self.name},
                "container": {"image": self.image},
                "endpoints": {"http": {
                    "type": "HTTP", "port": self.port, "visibility": ["external"], "basePath": "/",
                }},
            },
        });
        (component, workload)
    }
}

/// Creates an object, or gives the one that is there another spec if `may` lets it.
async fn put(
    user: &User<'_>,
    list: &str,
    name: &str,
    object: Value,
    may: impl FnOnce(&Value) -> Result<(), BackendError>,
) -> Result<(), BackendError> {
    let path = format!("{list}/{}", encode(name));
    match user.get_versioned(&path).await {
        Err(BackendError::NotFound(_)) => user.post(list, &object).await.map(drop),
        Err(other) => Err(other),
        Ok((mut found, version)) => {
            may(&found)?;
            found["spec"] = object["spec"].clone();
            if let Value::Object(map) = &mut found {
                map.remove("status");
            }
            user.put(&path, &found, version.as_deref()).await.map(drop)
        }
    }
}
