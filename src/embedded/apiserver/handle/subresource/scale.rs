//! `scale`: the replicas of whatever has them, as an `autoscaling/v1` Scale.

use bytes::Bytes;
use curtain_schema::FieldError;
use http::Method;
use serde_json::{Value, json};

use super::super::pipeline::{self, Door, Outcome, SubKind};
use super::super::update::check_uid;
use super::super::{Context, patch, show};
use super::change;
use crate::apiserver::Api;
use crate::apiserver::kinds::{Scale, ValueExt};
use crate::apiserver::reply::{self, Reply};
use crate::apiserver::request::body;
use crate::apiserver::request::selector::Labels;
use crate::apiserver::status::ApiError;

fn path(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

/// The `autoscaling/v1` Scale of an object.
pub(in crate::apiserver) fn scale_of(object: &Value, paths: &Scale) -> Value {
    let selector = paths.selector.as_ref().and_then(|p| object.at(&path(p)));
    let selector = selector.map_or(String::new(), |selector| match selector {
        Value::String(text) => text.clone(),
        selector => {
            Labels::from_selector(selector).map(|labels| labels.to_string()).unwrap_or_default()
        }
    });
    let metadata = &object["metadata"];
    let mut kept = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = metadata.at(&[field]) {
            kept[field] = value.clone();
        }
    }
    let mut scale = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": kept,
        "spec": {"replicas": object.int(&path(&paths.replicas)).unwrap_or(0)},
        "status": {"replicas": object.int(&path(&paths.status_replicas)).unwrap_or(0)},
    });
    if !selector.is_empty() {
        scale["status"]["selector"] = selector.into();
    }
    scale
}

/// Puts a number where the path says; `Err` when something on the way is no object.
pub(in crate::apiserver) fn set(
    object: &mut Value,
    path: &[String],
    number: i64,
) -> Result<(), &'static str> {
    let mut at = object;
    for step in path {
        if at.is_null() {
            *at = json!({});
        }
        let fields = at.as_object_mut().ok_or("cannot be set: what holds it is not an object")?;
        at = fields.entry(step.as_str()).or_insert(Value::Null);
    }
    *at = number.into();
    Ok(())
}

pub(super) async fn answer(api: &Api, context: &Context, body: &Bytes) -> Result<Reply, ApiError> {
    let Some(paths) = &context.resource.scale else { return Err(ApiError::no_such_path()) };
    let decoded = match context.method {
        Method::GET => {
            let object = api
                .store
                .get(&context.resource.table, &context.key())
                .ok_or_else(|| context.not_found())?;
            return Ok(reply::json(
                200,
                &scale_of(&show::value(&context.resource, &object), paths),
            ));
        }
        Method::PUT => pipeline::decode_as(context, body, SubKind::SCALE)?,
        Method::PATCH => body::yaml(body)?.value,
        _ => return Err(ApiError::method_not_allowed()),
    };
    let put = context.method == Method::PUT;
    let edit = |old: &Value| {
        let mut scale = scale_of(old, paths);
        if put {
            scale = decoded.clone();
        } else {
            match body::media_type(&context.content_type) {
                "application/json-patch+json" => curtain_json::json_patch(&mut scale, &decoded)
                    .map_err(|error| ApiError::plain(422, "Invalid", error.to_string()))?,
                "application/merge-patch+json"
                | "application/strategic-merge-patch+json"
                | "application/apply-patch+yaml" => curtain_json::merge_patch(&mut scale, &decoded),
                _ => {
                    return Err(ApiError::unsupported_media_type(&[
                        "application/merge-patch+json",
                    ]));
                }
            }
            // Read as zero, a number that is none would take everything down.
            SubKind::SCALE.check(&mut scale).map_err(|why| patch::misfit(&decoded, &why))?;
        }
        check_uid(context, &scale, old)?;
        let asked = scale.text(&["metadata", "resourceVersion"]);
        if !asked.is_empty() && asked != old.text(&["metadata", "resourceVersion"]) {
            return Err(ApiError::modified(context.resource.qualified(), &context.path.name));
        }
        let replicas = scale.int(&["spec", "replicas"]).unwrap_or(0);
        if replicas < 0 {
            let why = "must be greater than or equal to 0";
            let error = FieldError::invalid("spec.replicas", replicas.into(), why);
            return Err(ApiError::invalid("autoscaling", "Scale", &context.path.name, vec![error]));
        }
        let mut new = old.clone();
        set(&mut new, &paths.replicas, replicas).map_err(|why| {
            let field = paths.replicas.join(".");
            let error = FieldError::invalid(field, replicas.into(), why);
            context.resource.invalid(&context.path.name, vec![error])
        })?;
        Ok(new)
    };
    Ok(match change(api, context, Door::Scale, edit).await? {
        Outcome::Stored(object) | Outcome::Gone(object) => {
            reply::json(200, &scale_of(&show::value(&context.resource, &object), paths))
        }
        Outcome::Dry(value) => reply::json(200, &scale_of(&value, paths)),
    })
}
