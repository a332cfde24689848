//! The five things that can be done with any kind.

use axum::{
    Json,
    body::Bytes,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::{Api, ApiError, extract::Call, extract::json as parse, sse};
use crate::objects::{Kind, Object, represent};

pub(super) async fn list(
    State(api): State<Api>,
    kind: &'static Kind,
    call: Call,
) -> Result<Response, ApiError> {
    let query = call.list(kind)?;
    if call.flag("watch") {
        return sse::watch(&api, &call, kind, query, None);
    }
    let page = api.objects.list(call.ask(), kind, query).await?;
    let items: Vec<Value> = page.items.iter().map(represent).collect();
    let mut pagination = json!({});
    if let Some(cursor) = page.next_cursor {
        pagination["nextCursor"] = json!(cursor);
    }
    Ok(Json(json!({"items": items, "pagination": pagination})).into_response())
}

pub(super) async fn read(
    State(api): State<Api>,
    kind: &'static Kind,
    call: Call,
) -> Result<Response, ApiError> {
    let object = api.objects.get(call.ask(), kind, call.namespace(), call.name()).await?;
    if call.flag("watch") {
        let query = call.list(kind)?;
        return sse::watch(&api, &call, kind, query, Some(call.name()));
    }
    Ok(answer(StatusCode::OK, &object))
}

pub(super) async fn create(
    State(api): State<Api>,
    kind: &'static Kind,
    call: Call,
    body: Bytes,
) -> Result<Response, ApiError> {
    let object = api.objects.create(call.ask(), kind, call.namespace(), parse(&body)?).await?;
    Ok(answer(StatusCode::CREATED, &object))
}

pub(super) async fn replace(
    State(api): State<Api>,
    kind: &'static Kind,
    call: Call,
    body: Bytes,
) -> Result<Response, ApiError> {
    let (namespace, name, expected) = (call.namespace(), call.name(), call.expected());
    let value = parse(&body)?;
    let object = api.objects.replace(call.ask(), kind, namespace, name, value, expected).await?;
    Ok(answer(StatusCode::OK, &object))
}

pub(super) async fn remove(
    State(api): State<Api>,
    kind: &'static Kind,
    call: Call,
) -> Result<Response, ApiError> {
    api.objects.delete(call.ask(), kind, call.namespace(), call.name()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The object and its version as `ETag`.
pub(super) fn answer(status: StatusCode, object: &Object) -> Response {
    let mut response = (status, Json(represent(object))).into_response();
    let version = object.metadata.resource_version.as_deref().unwrap_or_default();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
