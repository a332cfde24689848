//! `/api/v1/authz/names`: whether what a caller names is there, and if not, what is.
//!
//! The other roles ask it in their callers' names before they answer that nothing was found. It answers what the caller
//! could read and list as well, but is no read of theirs: like a question about permissions it leaves no record.

use axum::{Json, Router, extract::State, routing::get};
use serde::Serialize;

use super::{Api, ApiError, extract::Call};
use crate::objects::{Error, Names, kind};

/// Names that are listed at most.
const MOST_NAMES: usize = 50;

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/api/v1/authz/names", get(names))
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

#[derive(Serialize)]
struct Answer {
    absent: bool,
    #[serde(flatten)]
    names: Option<Names>,
}
