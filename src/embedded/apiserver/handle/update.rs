//! update (PUT).

use bytes::Bytes;
use serde_json::Value;

use super::super::kinds::ValueExt;
use super::super::reply::Reply;
use super::super::status::ApiError;
use super::super::store::WriteError;
use super::super::{Api, route};
use super::pipeline::{self, Door};
use super::{Context, create, show};

/// A change that keeps losing races gives up after so many tries.
pub(super) const TRIES: usize = 10;

pub(super) async fn put(api: &Api, context: &Context, body: &Bytes) -> Result<Reply, ApiError> {
    let (value, warnings) = pipeline::decode(context, body)?;
    same_place(context, &value)?;
    if context.resource.strategy.create_on_update
        && api.store.latest(&context.resource.table, &context.key()).is_none()
    {
        context.check_creation(api)?;
        route::authorize_create(api, context)?;
        return create::create(api, context, value, false).await?.reply(context, 201, &warnings);
    }
    replace(api, context, value, Door::Main).await?.reply(context, 200, &warnings)
}

/// The document must name the object that the path names.
pub(super) fn same_place(context: &Context, value: &Value) -> Result<(), ApiError> {
    let name = value.text(&["metadata", "name"]);
    if name != context.path.name {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            context.path.name
        )));
    }
    let namespace = value.text(&["metadata", "namespace"]);
    if context.resource.namespaced && !namespace.is_empty() && namespace != context.path.namespace {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}

/// The resourceVersion and uid that the client's copy carries must be the live ones.
pub(super) fn check_version(context: &Context, new: &Value, old: &Value) -> Result<(), ApiError> {
    let resource = &context.resource;
    let (asked, live) =
        (new.text(&["metadata", "resourceVersion"]), old.text(&["metadata", "resourceVersion"]));
    if asked.is_empty() {
        if !resource.strategy.unconditional_update || resource.is_custom() {
            let error = curtain_schema::FieldError::invalid(
                "metadata.resourceVersion",
                0.into(),
                "must be specified for an update",
            );
            return Err(resource.invalid(&context.path.name, vec![error]));
        }
    } else if asked != live && asked != "0" {
        return Err(ApiError::modified(resource.qualified(), &context.path.name));
    }
    check_uid(context, new, old)
}

/// A uid in the client's copy must be the live one.
pub(super) fn check_uid(context: &Context, new: &Value, old: &Value) -> Result<(), ApiError> {
    let (asked, live) = (new.text(&["metadata", "uid"]), old.text(&["metadata", "uid"]));
    if !asked.is_empty() && asked != live {
        let why = format!(
            "Precondition failed: UID in precondition: {asked}, UID in object meta: {live}"
        );
        return Err(ApiError::conflict(context.resource.qualified(), &context.path.name, &why));
    }
    Ok(())
}

/// Replaces the object, or the part of it that the door is for.
pub(super) async fn replace(
    api: &Api,
    context: &Context,
    value: Value,
    door: Door,
) -> Result<pipeline::Outcome, ApiError> {
    let dry_run = context.query.dry_run();
    for _ in 0..TRIES {
        let live = context.latest(api)?;
        let old = show::value(&context.resource, &live);
        check_version(context, &value, &old)?;
        let mut new = door.admit(context, &old, value.clone());
        pipeline::default(context, &mut new);
        pipeline::keep_identity(&mut new, &old);
        pipeline::book(context, Some(&old), &mut new, door);
        match pipeline::revise(api, context, &live, &old, new, door, dry_run).await? {
            Err(WriteError::Raced) if value.text(&["metadata", "resourceVersion"]).is_empty() => {}
            Err(error) => return Err(context.write_error(&error)),
            Ok(outcome) => return Ok(outcome),
        }
    }
    Err(ApiError::modified(context.resource.qualified(), &context.path.name))
}

/// The live object with the status of the given one. Built-in kinds also take labels and annotations, as in
/// real servers; custom resources take nothing else.
pub(super) fn with_status(context: &Context, old: &Value, given: &Value) -> Value {
    let mut new = old.clone();
    match given.get("status") {
        Some(status) => new["status"] = status.clone(),
        None => drop(new.drop_field("status")),
    }
    if let Some(managers) = given.at(&["metadata", "managedFields"]) {
        new["metadata"]["managedFields"] = managers.clone();
    }
    if !context.resource.is_custom() {
        for field in ["labels", "annotations"] {
            match given.at(&["metadata", field]) {
                Some(value) => new["metadata"][field] = value.clone(),
                None => drop(new["metadata"].drop_field(field)),
            }
        }
    }
    new
}
