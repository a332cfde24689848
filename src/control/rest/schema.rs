//! Schemas of parameters, and releases on demand.

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::{Api, ApiError, extract::Call, handlers::answer};
use crate::objects::{KINDS, Kind, parameters_schema};

pub(super) fn routes() -> Router<Api> {
    let mut router = Router::new().route(
        "/api/v1/namespaces/{namespace}/components/{name}/generate-release",
        post(generate_release),
    );
    for kind in KINDS.iter().filter(|kind| kind.schema) {
        let base = if kind.is_namespaced() { "/api/v1/namespaces/{namespace}" } else { "/api/v1" };
        let path = format!("{base}/{}/{{name}}/schema", kind.plural);
        router = match kind.kind {
            "Component" => router.route(&path, get(component)),
            _ => router.route(&path, get(move |state, call| of_type(state, kind, call))),
        };
    }
    router
}

/// What a component of this type, or a user of this trait, may set as parameters.
async fn of_type(
    State(api): State<Api>,
    kind: &'static Kind,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    let object = api.objects.get(call.ask(), kind, call.namespace(), call.name()).await?;
    Ok(Json(parameters_schema(&object)))
}

/// What a binding of this component may set per environment.
async fn component(State(api): State<Api>, call: Call) -> Result<Json<Value>, ApiError> {
    Ok(Json(api.objects.component_schema(call.ask(), call.namespace(), call.name()).await?))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GenerateRelease {
    #[serde(default)]
    release_name: Option<String>,
}

async fn generate_release(
    State(api): State<Api>,
    call: Call,
    body: Bytes,
) -> Result<Response, ApiError> {
    let wish: GenerateRelease = if body.is_empty() {
        GenerateRelease::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| ApiError::bad_request(error.to_string()))?
    };
    let (namespace, name) = (call.namespace(), call.name());
    let wished = wish.release_name.as_deref();
    let release = api.objects.generate_release(call.ask(), namespace, name, wished).await?;
    Ok(answer(StatusCode::CREATED, &release).into_response())
}
