//! `…/releasebindings/{name}/k8sresources/*`: what runs in the plane.

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse as _, Response},
    routing::get,
};
use futures::StreamExt as _;
use serde_json::{Value, json};

use super::{Api, ApiError, extract::Call, sse};
use crate::live::LogQuery;

pub(super) fn routes() -> Router<Api> {
    let base = "/api/v1/namespaces/{namespace}/releasebindings/{name}/k8sresources";
    Router::new()
        .route(&format!("{base}/tree"), get(tree))
        .route(&format!("{base}/events"), get(events))
        .route(&format!("{base}/logs"), get(logs))
}

async fn tree(State(api): State<Api>, call: Call) -> Result<Json<Value>, ApiError> {
    Ok(Json(api.live.tree(call.ask(), call.namespace(), call.name()).await?))
}

async fn events(State(api): State<Api>, call: Call) -> Result<Json<Value>, ApiError> {
    call.required("version")?;
    let (kind, name) = (call.required("kind")?, call.required("name")?);
    let events = api.live.events(call.ask(), call.namespace(), call.name(), kind, name).await?;
    Ok(Json(events))
}

async fn logs(State(api): State<Api>, call: Call) -> Result<Response, ApiError> {
    let query = LogQuery {
        pod: call.required("podName")?,
        container: call.parameter("container"),
        since_seconds: call.number("sinceSeconds")?,
        tail_lines: call.number("tailLines")?,
    };
    let (namespace, name) = (call.namespace(), call.name());
    if call.flag("follow") {
        let lines = api.live.follow(call.ask(), namespace, name, query).await?;
        let events = lines.map(|line| sse::event("log", &json!(line)));
        return Ok(sse::stream(&api, &call, events));
    }
    let lines = api.live.logs(call.ask(), namespace, name, query).await?;
    Ok(Json(json!({ "logEntries": lines })).into_response())
}
