//! `/api/v1/authz/names`: whether what a caller names is there, and if not, what is; and `/api/v1/authz/choices`: what
//! there is for a name that was left out.
//!
//! The other roles ask in their callers' names before they answer that nothing was found, or that a name is missing. It is
//! answered what the caller could read and list as well, but is no read of theirs: like a question about permissions it
//! leaves no record.

use axum::{Json, Router, extract::State, routing::get};
use serde::Serialize;

use super::{Api, ApiError, extract::Call};
use crate::objects::{Error, Names, kind};

/// Names that are listed at most.
const MOST_NAMES: usize = 50;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/authz/names", get(names))
        .route("/api/v1/authz/choices", get(choices))
}

/// Of `namespace`, and of `project`, `component` of a project or `environment` in it, if one is named. Who may not see it
/// is not told that it is absent.
async fn names(State(api): State<Api>, call: Call) -> Result<Json<Answer>, ApiError> {
    let named = |name: &str| call.parameter(name);
    let (within, project) = (call.required("namespace")?, named("project"));
    let (kind, name) = match (named("component"), project, named("environment")) {
        (Some(component), Some(_), None) => (kind("Component"), component),
        (None, Some(project), None) => (kind("Project"), project),
        (None, None, Some(environment)) => (kind("Environment"), environment),
        (None, None, None) => (kind("Namespace"), within),
        _ => {
            let error = "name a project, a component of a project, or an environment";
            return Err(ApiError::bad_request(error));
        }
    };
    let namespace = if kind.is_namespaced() { within } else { "" };
    let project = project.filter(|_| kind.kind == "Component");
    let absent = match api.objects.get(call.ask(), kind, namespace, name).await {
        // A component of another project is not the one that was named.
        Ok(object) => {
            project.is_some_and(|project| object.data["spec"]["owner"]["projectName"] != project)
        }
        Err(Error::Denied(_)) => false,
        // What cannot be a name is none.
        Err(Error::NotFound { .. } | Error::BadRequest(_)) => true,
        Err(error) => return Err(error.into()),
    };
    let names = match absent {
        false => None,
        true => match api.objects.names(call.ask(), kind, (namespace, project), MOST_NAMES).await {
            Err(Error::BadRequest(_)) => Some(Names::default()),
            names => Some(names?),
        },
    };
    Ok(Json(Answer { absent, names }))
}

/// What there is of a kind, in a namespace and of a project where the kind has one. Nothing, where the caller may see none.
async fn choices(State(api): State<Api>, call: Call) -> Result<Json<Option<Names>>, ApiError> {
    let (of, project) = (call.required("of")?, call.parameter("project"));
    let (kind, project) = match (of, project) {
        ("namespace", _) => (kind("Namespace"), None),
        ("project", _) => (kind("Project"), None),
        ("environment", _) => (kind("Environment"), None),
        ("component", Some(project)) => (kind("Component"), Some(project)),
        _ => {
            let error =
                "of is namespace, project, environment, or component with the project of it";
            return Err(ApiError::bad_request(error));
        }
    };
    let namespace = if kind.is_namespaced() { call.required("namespace")? } else { "" };
    Ok(Json(api.objects.choices(call.ask(), kind, (namespace, project)).await))
}

#[derive(Serialize)]
struct Answer {
    absent: bool,
    #[serde(flatten)]
    names: Option<Names>,
}
