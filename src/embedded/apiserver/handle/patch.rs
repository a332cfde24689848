//! The four patches.

use bytes::Bytes;
use curtain_json::managed::{self, ApplyError};
use serde_json::Value;

use super::super::kinds::{Schema, ValueExt};
use super::super::reply::Reply;
use super::super::request::body;
use super::super::status::{ApiError, Cause, Details};
use super::super::store::WriteError;
use super::super::{Api, route, time};
use super::pipeline::{self, Door, Outcome};
use super::update::{TRIES, same_place};
use super::{Context, create, show};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Json,
    Merge,
    Strategic,
    Apply,
}

impl Kind {
    fn of(context: &Context) -> Result<Self, ApiError> {
        let custom = matches!(context.resource.schema, Schema::Structural(_));
        match body::media_type(&context.content_type) {
            "application/json-patch+json" => Ok(Kind::Json),
            "application/merge-patch+json" => Ok(Kind::Merge),
            "application/strategic-merge-patch+json" if !custom => Ok(Kind::Strategic),
            "application/apply-patch+yaml" => Ok(Kind::Apply),
            _ => {
                let all = [
                    "application/json-patch+json",
                    "application/merge-patch+json",
                    "application/apply-patch+yaml",
                    "application/strategic-merge-patch+json",
                ];
                Err(ApiError::unsupported_media_type(&all[..if custom { 3 } else { 4 }]))
            }
        }
    }
}

/// Whether the request is a server-side apply.
pub(super) fn is_apply(context: &Context) -> bool {
    matches!(Kind::of(context), Ok(Kind::Apply))
}

pub(super) async fn answer(api: &Api, context: &Context, body: &Bytes) -> Result<Reply, ApiError> {
    through(api, context, body, Door::Main).await
}

/// Patches through a door.
pub(super) async fn through(
    api: &Api,
    context: &Context,
    body: &Bytes,
    door: Door,
) -> Result<Reply, ApiError> {
    let kind = Kind::of(context)?;
    if kind == Kind::Apply {
        return apply(api, context, body, door).await;
    }
    let decoded = body::decode("application/json", body)?;
    let patch = decoded.value;
    let dry_run = context.query.dry_run();
    for _ in 0..TRIES {
        let live = context.latest(api)?;
        let old = show::value(&context.resource, &live);
        let mut new = patched(context, &old, &patch, kind)?;
        // A patch that carries a resourceVersion is conditional.
        let asked = new.text(&["metadata", "resourceVersion"]).to_owned();
        if asked != old.text(&["metadata", "resourceVersion"]) && !asked.is_empty() {
            return Err(ApiError::modified(context.resource.qualified(), &context.path.name));
        }
        same_uid(context, &new, &old)?;
        pipeline::identify(context, &mut new)?;
        let warnings = pipeline::conform(context, &mut new, &decoded.duplicates)
            .map_err(|why| misfit(&patch, &why))?;
        same_place(context, &new)?;
        new = door.admit(context, &old, new);
        pipeline::default(context, &mut new);
        pipeline::keep_identity(&mut new, &old);
        pipeline::book(context, Some(&old), &mut new, door);
        match pipeline::revise(api, context, &live, &old, new, door, dry_run).await? {
            Err(WriteError::Raced) => {}
            Err(error) => return Err(context.write_error(&error)),
            Ok(outcome) => return outcome.reply(context, 200, &warnings),
        }
    }
    Err(ApiError::modified(context.resource.qualified(), &context.path.name))
}

/// 422: what the patch makes of the object is not of its kind.
pub(super) fn misfit(patch: &Value, why: &str) -> ApiError {
    let error = curtain_schema::FieldError::invalid("patch", patch.to_string().into(), why);
    ApiError::invalid("", "", "", vec![error])
}

/// 422 for another uid than the live one. (A document that replaces the object has it as a precondition instead.)
fn same_uid(context: &Context, new: &Value, old: &Value) -> Result<(), ApiError> {
    let path = ["metadata", "uid"];
    if matches!(new.at(&path), Some(uid) if Some(uid) != old.at(&path)) {
        let error = curtain_schema::FieldError::invalid(
            "metadata.uid",
            new.at(&path).cloned().unwrap_or_default(),
            "field is immutable",
        );
        return Err(context.resource.invalid(&context.path.name, vec![error]));
    }
    Ok(())
}

fn patched(context: &Context, old: &Value, patch: &Value, kind: Kind) -> Result<Value, ApiError> {
    let mut new = old.clone();
    match kind {
        Kind::Json => curtain_json::json_patch(&mut new, patch).map_err(|error| {
            use curtain_json::JsonPatchError as E;
            match error {
                E::Malformed(_) => ApiError::bad_request(error.to_string()),
                E::TooMany(_) => ApiError::plain(413, "RequestEntityTooLarge", error.to_string()),
                E::Missing { .. }
                | E::TestFailed { .. }
                | E::TooLarge(_)
                | E::TooDeep { .. } => ApiError::plain(
                    422,
                    "Invalid",
                    format!(
                        "the server rejected our request due to an error in our request: {error}"
                    ),
                ),
            }
        })?,
        Kind::Merge => {
            if !patch.is_object() {
                return Err(ApiError::bad_request("a merge patch must be an object"));
            }
            curtain_json::merge_patch(&mut new, patch);
        }
        _ => curtain_json::strategic_merge(&mut new, patch, context.resource.schema.node())
            .map_err(|error| ApiError::bad_request(error.to_string()))?,
    }
    Ok(new)
}

async fn apply(api: &Api, context: &Context, body: &Bytes, door: Door) -> Result<Reply, ApiError> {
    let manager = context.manager();
    let mut applied = body::yaml(body)?.value;
    if applied.text(&["apiVersion"]).is_empty() || applied.text(&["kind"]).is_empty() {
        return Err(ApiError::bad_request(
            "an applied configuration must have apiVersion and kind",
        ));
    }
    pipeline::identify(context, &mut applied)?;
    // An applied field that is dropped is lost without a trace: whatever `fieldValidation` says, it is an error.
    managed::check(&applied, context.resource.schema.node())
        .map_err(|error| untyped(context, &applied, &error))?;
    let (force, dry_run) = (context.query.flag("force"), context.query.dry_run());
    let resource = &context.resource;
    let metadata = applied.sub("metadata");
    metadata.default_to("name", context.path.name.as_str());
    if resource.namespaced {
        metadata.default_to("namespace", context.path.namespace.as_str());
    }
    same_place(context, &applied)?;
    let warnings = pipeline::typed(context, &mut applied, Vec::new())?;
    pipeline::drop_empty(&mut applied);
    let now = time::now();
    let writer = pipeline::writer(context, &manager, &now, door);
    for _ in 0..TRIES {
        let live = api.store.latest(&resource.table, &context.key());
        let old = live.as_ref().map(|live| show::value(resource, live));
        if let Some(old) = &old {
            same_uid(context, &applied, old)?;
            let asked = applied.text(&["metadata", "resourceVersion"]);
            if !asked.is_empty() && asked != old.text(&["metadata", "resourceVersion"]) {
                return Err(ApiError::modified(resource.qualified(), &context.path.name));
            }
        }
        let new = managed::apply(old.as_ref(), &applied, &writer, force, resource.schema.node())
            .map_err(refused)?;
        let (Some(live), Some(old)) = (live, old) else {
            if door != Door::Main {
                return Err(context.not_found());
            }
            let uid = applied.text(&["metadata", "uid"]);
            if !uid.is_empty() {
                let why = format!(
                    "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                );
                return Err(ApiError::conflict(resource.qualified(), &context.path.name, &why));
            }
            context.check_creation(api)?;
            route::authorize_create(api, context)?;
            match create::create(api, context, new, true).await {
                // Somebody else created it meanwhile: apply to that.
                Err(error) if error.reason == "AlreadyExists" => continue,
                outcome => return outcome?.reply(context, 201, &warnings),
            }
        };
        let mut new = new;
        pipeline::typed(context, &mut new, Vec::new())?;
        new = door.admit(context, &old, new);
        pipeline::default(context, &mut new);
        match pipeline::revise(api, context, &live, &old, new, door, dry_run).await? {
            Err(WriteError::Raced) => {}
            Err(error) => return Err(context.write_error(&error)),
            Ok(outcome @ Outcome::Gone(_)) => return outcome.reply(context, 200, &warnings),
            Ok(outcome) => return outcome.reply(context, 200, &warnings),
        }
    }
    Err(ApiError::modified(resource.qualified(), &context.path.name))
}

fn refused(error: ApplyError) -> ApiError {
    match error {
        ApplyError::Conflicts(conflicts) => {
            let causes = conflicts.0.iter().map(|conflict| Cause {
                reason: "FieldManagerConflict".into(),
                message: conflict.message(),
                field: conflict.field.clone(),
            });
            let details = Details { causes: causes.collect(), ..Details::default() };
            ApiError {
                details: Some(Box::new(details)),
                ..ApiError::plain(409, "Conflict", conflicts.to_string())
            }
        }
        ApplyError::ManagedFields => ApiError::bad_request(error.to_string()),
    }
}

/// 500, as real servers have it.
fn untyped(context: &Context, applied: &Value, error: &managed::TypedError) -> ApiError {
    let (namespace, name) =
        (applied.text(&["metadata", "namespace"]), applied.text(&["metadata", "name"]));
    let (version, kind) = (context.resource.api_version(), &context.resource.kind);
    let why = format!(
        "failed to create typed patch object ({namespace}/{name}; {version}, Kind={kind}): {error}"
    );
    ApiError::plain(500, "", why)
}
