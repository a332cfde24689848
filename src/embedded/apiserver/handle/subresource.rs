//! Subresources: status and scale of every kind that has them; log and binding of pods; proxy of nodes; token of service accounts;
//! finalize of namespaces.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::super::kinds::{Scale, ValueExt};
use super::super::reply::{self, Reply};
use super::super::request::body;
use super::super::status::{self, ApiError};
use super::super::store::WriteError;
use super::super::{Api, time};
use super::pipeline::{self, Door, Outcome, SubKind};
use super::update::{TRIES, check_uid, same_place};
use super::{Context, list, logs, patch, proxy, show, update};

pub(super) async fn answer(
    api: &Arc<Api>,
    context: Context,
    body: Bytes,
) -> Result<Reply, ApiError> {
    if context.path.name.is_empty() {
        return Err(ApiError::method_not_allowed());
    }
    context.check_namespace(api, false)?;
    let resource = context.resource.clone();
    let kind = (resource.group.as_str(), resource.plural.as_str());
    match (context.path.subresource.as_str(), &context.method) {
        ("status", &Method::GET) if resource.has_status => list::get(api, &context),
        ("status", &Method::PUT) if resource.has_status => {
            let (value, warnings) = pipeline::decode(&context, &body)?;
            same_place(&context, &value)?;
            update::replace(api, &context, value, Door::Status)
                .await?
                .reply(&context, 200, &warnings)
        }
        ("status", &Method::PATCH) if resource.has_status => {
            patch::through(api, &context, &body, Door::Status).await
        }
        ("status", _) if resource.has_status => Err(ApiError::method_not_allowed()),
        ("scale", method) => match &resource.scale {
            Some(paths) => scale(api, &context, &body, paths, method).await,
            None => Err(ApiError::no_such_path()),
        },
        ("log", &Method::GET) if kind == ("", "pods") => logs::answer(api, &context).await,
        ("proxy", &Method::GET) if kind == ("", "nodes") => proxy::answer(api, &context).await,
        ("proxy", _) if kind == ("", "nodes") => Err(ApiError::method_not_allowed()),
        ("binding", &Method::POST) if kind == ("", "pods") => bind(api, &context, &body).await,
        ("token", &Method::POST) if kind == ("", "serviceaccounts") => token(api, &context, &body),
        ("finalize", &Method::PUT) if kind == ("", "namespaces") => {
            finalize(api, &context, &body).await
        }
        ("log" | "binding", _) if kind == ("", "pods") => Err(ApiError::method_not_allowed()),
        ("exec" | "attach" | "portforward", _) if kind == ("", "pods") => {
            let what = &context.path.subresource;
            let why = format!("pods/{what} is not served by this API server yet");
            Err(ApiError::plain(404, "NotFound", why))
        }
        _ => Err(ApiError::no_such_path()),
    }
}

/// Changes one object through a door with a function of its live state.
async fn change(
    api: &Api,
    context: &Context,
    door: Door,
    edit: impl Fn(&Value) -> Result<Value, ApiError>,
) -> Result<Outcome, ApiError> {
    let dry_run = context.query.dry_run();
    for _ in 0..TRIES {
        let live = context.latest(api)?;
        let old = show::value(&context.resource, live.value());
        let mut new = edit(&old)?;
        pipeline::book(context, Some(&old), &mut new, door);
        match pipeline::revise(api, context, &live, &old, new, door, dry_run).await? {
            Err(WriteError::Raced) => {}
            Err(error) => return Err(context.write_error(&error)),
            Ok(outcome) => return Ok(outcome),
        }
    }
    Err(ApiError::modified(context.resource.qualified(), &context.path.name))
}

fn path(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

/// The `autoscaling/v1` Scale of an object.
fn scale_of(object: &Value, paths: &Scale) -> Value {
    let selector = paths.selector.as_ref().and_then(|p| object.at(&path(p)));
    let selector = selector.map_or(String::new(), |selector| match selector {
        Value::String(text) => text.clone(),
        selector => super::super::request::selector::Labels::from_selector(selector)
            .map(|labels| labels.to_string())
            .unwrap_or_default(),
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
fn set(object: &mut Value, path: &[String], number: i64) -> Result<(), &'static str> {
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

async fn scale(
    api: &Api,
    context: &Context,
    body: &Bytes,
    paths: &Scale,
    method: &Method,
) -> Result<Reply, ApiError> {
    let decoded = match *method {
        Method::GET => {
            let object = api
                .store
                .get(&context.resource.table, &context.key())
                .ok_or_else(|| context.not_found())?;
            return Ok(reply::json(200, &scale_of(&object.value(), paths)));
        }
        Method::PUT => pipeline::decode_as(context, body, SubKind::SCALE)?,
        Method::PATCH => body::yaml(body)?.value,
        _ => return Err(ApiError::method_not_allowed()),
    };
    let put = *method == Method::PUT;
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
            let error = curtain_schema::FieldError::invalid("spec.replicas", replicas.into(), why);
            return Err(ApiError::invalid("autoscaling", "Scale", &context.path.name, vec![error]));
        }
        let mut new = old.clone();
        set(&mut new, &paths.replicas, replicas).map_err(|why| {
            let field = paths.replicas.join(".");
            let error = curtain_schema::FieldError::invalid(field, replicas.into(), why);
            context.resource.invalid(&context.path.name, vec![error])
        })?;
        Ok(new)
    };
    Ok(match change(api, context, Door::Scale, edit).await? {
        Outcome::Stored(object) | Outcome::Gone(object) => {
            reply::json(200, &scale_of(&object.value(), paths))
        }
        Outcome::Dry(value) => reply::json(200, &scale_of(&value, paths)),
    })
}

/// Puts a pod on a node.
async fn bind(api: &Api, context: &Context, body: &Bytes) -> Result<Reply, ApiError> {
    let binding = pipeline::decode_as(context, body, SubKind::BINDING)?;
    let node = binding.text(&["target", "name"]).to_owned();
    if node.is_empty() {
        let error = curtain_schema::FieldError::required("target.name", "");
        return Err(ApiError::invalid("", "Binding", &context.path.name, vec![error]));
    }
    let dry_run = context.query.dry_run();
    for _ in 0..TRIES {
        let live = context.latest(api)?;
        let old = live.value();
        check_uid(context, &binding, &old)?;
        let taken = old.text(&["spec", "nodeName"]);
        if !taken.is_empty() || old.at(&["metadata", "deletionTimestamp"]).is_some() {
            let why = if taken.is_empty() {
                format!("pod {} is being deleted, cannot be assigned to a host", context.path.name)
            } else {
                format!("pod {} is already assigned to node {taken:?}", context.path.name)
            };
            return Err(ApiError::conflict(
                super::super::status::Qualified { group: "", plural: "pods/binding" },
                &context.path.name,
                &why,
            ));
        }
        let mut new = old.clone();
        new["spec"]["nodeName"] = node.clone().into();
        let condition = json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": time::now()});
        new.sub("status").default_to("conditions", json!([]));
        if let Some(conditions) = new["status"]["conditions"].as_array_mut() {
            conditions.retain(|c| c["type"] != "PodScheduled");
            conditions.push(condition);
        }
        if dry_run {
            break;
        }
        match pipeline::commit(api, context, Some(live.rv), new, false).await {
            Err(WriteError::Raced) => {}
            Err(error) => return Err(context.write_error(&error)),
            Ok(_) => break,
        }
    }
    Ok(reply::json(201, &status::success(json!({"name": context.path.name, "kind": "pods"}))))
}

/// Only `spec.finalizers` changes here; a deleted namespace without any is gone.
async fn finalize(api: &Api, context: &Context, body: &Bytes) -> Result<Reply, ApiError> {
    let (given, warnings) = pipeline::decode(context, body)?;
    same_place(context, &given)?;
    let edit = |old: &Value| {
        update::check_version(context, &given, old)?;
        let mut new = old.clone();
        new.sub("spec")["finalizers"] =
            given.at(&["spec", "finalizers"]).cloned().unwrap_or_else(|| json!([]));
        if new.list(&["spec", "finalizers"]).is_empty() {
            new["spec"].drop_field("finalizers");
        }
        Ok(new)
    };
    change(api, context, Door::Finalize, edit).await?.reply(context, 200, &warnings)
}

/// TokenRequest.
fn token(api: &Api, context: &Context, body: &Bytes) -> Result<Reply, ApiError> {
    let account = context.latest(api)?;
    let mut request = pipeline::decode_as(context, body, SubKind::TOKEN)?;
    let issued = super::super::auth::token::issue(api, &account, &request)?;
    request["kind"] = "TokenRequest".into();
    request["apiVersion"] = "authentication.k8s.io/v1".into();
    request["metadata"] = json!({"name": context.path.name, "namespace": context.path.namespace,
        "creationTimestamp": time::now()});
    let spec = request.sub("spec");
    spec["audiences"] = json!(issued.audiences);
    spec["expirationSeconds"] = issued.seconds.into();
    request["status"] = json!({"token": issued.token, "expirationTimestamp": issued.expires});
    Ok(reply::json(201, &request))
}
