//! create, and the kinds that are only answers.

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::admission::Operation;
use super::super::kinds::{Review, ValueExt};
use super::super::reply::{self, Reply};
use super::super::status::ApiError;
use super::super::store::WriteError;
use super::super::{Api, random_suffix, time};
use super::Context;
use super::pipeline::{self, Door, Outcome};

/// A generated name that is taken is tried again so often.
const NAME_TRIES: usize = 8;

pub(super) fn review(
    api: &Api,
    context: &Context,
    body: &Bytes,
    review: Review,
) -> Result<Reply, ApiError> {
    let (mut value, warnings) = pipeline::decode(context, body)?;
    if context.resource.namespaced {
        value["spec"]
            .sub("resourceAttributes")
            .default_to("namespace", context.path.namespace.as_str());
    }
    let mut reply = reply::json(201, &review(api, &context.user, value)?);
    for warning in &warnings {
        reply::warn(&mut reply, warning);
    }
    Ok(reply)
}

pub(super) async fn answer(api: &Api, context: &Context, body: &Bytes) -> Result<Reply, ApiError> {
    context.check_creation(api)?;
    let (value, warnings) = pipeline::decode(context, body)?;
    create(api, context, value, false).await?.reply(context, 201, &warnings)
}

/// Creates the object. `booked`: its managers are up to date already (apply).
pub(super) async fn create(
    api: &Api,
    context: &Context,
    mut value: Value,
    booked: bool,
) -> Result<Outcome, ApiError> {
    let resource = &context.resource;
    let dry_run = context.query.dry_run();
    place(context, &mut value)?;
    pipeline::default(context, &mut value);
    if !booked {
        pipeline::book(context, None, &mut value, Door::Main);
    }
    if resource.has_status && !resource.strategy.status_on_create {
        value.drop_field("status");
    }
    let generated = value.text(&["metadata", "name"]).is_empty();
    let prefix = value.text(&["metadata", "generateName"]).to_owned();
    for attempt in 1.. {
        if generated && !prefix.is_empty() {
            let short: String = prefix.chars().take(58).collect();
            value["metadata"]["name"] = format!("{short}{}", random_suffix()).into();
            pipeline::default(context, &mut value);
        }
        let metadata = &mut value["metadata"];
        metadata["uid"] = uuid::Uuid::new_v4().to_string().into();
        metadata["creationTimestamp"] = time::now().into();
        if resource.generation {
            metadata["generation"] = json!(1);
        }
        // Each attempt is prepared anew: what a kind makes of its name must be of the one that is free.
        let mut new = value.clone();
        (resource.strategy.prepare)(&mut new, None);
        pipeline::tidy(&mut new);
        let admission = context.admission(api, Operation::Create);
        admission.change(&mut new, None).await?;
        let reserved = admission.reserved(&new, None);
        pipeline::validate(context, &new, None, Door::Main)?;
        admission.check(Some(&new), None).await?;
        let name = new.text(&["metadata", "name"]).to_owned();
        let key = super::super::store::Key::new(new.text(&["metadata", "namespace"]), &name);
        if dry_run {
            if api.store.latest(&resource.table, &key).is_some() {
                return Err(ApiError::already_exists(resource.qualified(), &name));
            }
            return Ok(Outcome::Dry(new));
        }
        reserved.keep();
        match pipeline::commit(api, context, None, new.clone(), false).await {
            Ok(object) => return Ok(Outcome::Stored(object)),
            Err(error) => {
                pipeline::released_all(api, context, &new);
                match error {
                    WriteError::Raced if generated && attempt < NAME_TRIES => {}
                    WriteError::Raced => {
                        return Err(ApiError::already_exists(resource.qualified(), &name));
                    }
                    WriteError::Refused(why) => {
                        return Err(ApiError::forbidden(resource.qualified(), &name, &why));
                    }
                    other => return Err(context.write_error(&other)),
                }
            }
        }
    }
    Err(ApiError::internal("no free name was found"))
}

/// Puts the document where the path says, without what only the server writes.
fn place(context: &Context, value: &mut Value) -> Result<(), ApiError> {
    let metadata = value.sub("metadata");
    if !metadata.text(&["resourceVersion"]).is_empty() {
        return Err(ApiError::bad_request(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    if context.resource.namespaced {
        let namespace = metadata.text(&["namespace"]);
        if !namespace.is_empty() && namespace != context.path.namespace {
            return Err(ApiError::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        metadata["namespace"] = context.path.namespace.as_str().into();
    } else {
        metadata.drop_field("namespace");
    }
    for field in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "resourceVersion",
    ] {
        metadata.drop_field(field);
    }
    Ok(())
}
