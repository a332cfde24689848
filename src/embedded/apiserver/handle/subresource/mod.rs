//! Subresources: `status` and `scale` of every kind that has them, and what kinds declare beside.

mod binding;
mod ephemeral_containers;
mod eviction;
mod finalize;
mod log;
mod proxy;
pub(in crate::apiserver) mod scale;
mod stream;
mod token;

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use super::pipeline::{self, Door, Outcome};
use super::update::{TRIES, same_place};
use super::{Context, list, patch, show, update};
use crate::apiserver::Api;
use crate::apiserver::reply::Reply;
use crate::apiserver::status::ApiError;
use crate::apiserver::store::WriteError;

pub(in crate::apiserver) use binding::BINDING;
pub(in crate::apiserver) use ephemeral_containers::EPHEMERAL_CONTAINERS;
pub(in crate::apiserver) use eviction::EVICTION;
pub(in crate::apiserver) use finalize::FINALIZE;
pub(in crate::apiserver) use log::LOG;
pub(in crate::apiserver) use proxy::PROXY;
pub(in crate::apiserver) use stream::{ATTACH, EXEC, PORT_FORWARD};
pub(in crate::apiserver) use token::TOKEN;

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
    let name = context.path.subresource.as_str();
    match name {
        "status" if resource.has_status => {
            return part(api, &context, &body, Door::Status).await;
        }
        "scale" if resource.scale.is_some() => return scale::answer(api, &context, &body).await,
        _ => {}
    }
    if let Some(declared) = resource.subresources.iter().find(|sub| sub.name == name) {
        let asked = match context.method {
            Method::GET => "get",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            _ => "",
        };
        if !declared.verbs.contains(&asked) {
            return Err(ApiError::method_not_allowed());
        }
        return (declared.answer)(api, &context, &body).await;
    }
    Err(ApiError::no_such_path())
}

/// A part of the object, as the whole object.
async fn part(
    api: &Arc<Api>,
    context: &Context,
    body: &Bytes,
    door: Door,
) -> Result<Reply, ApiError> {
    match context.method {
        Method::GET => list::get(api, context),
        Method::PUT => {
            let (value, warnings) = pipeline::decode(context, body)?;
            same_place(context, &value)?;
            update::replace(api, context, value, door).await?.reply(context, 200, &warnings)
        }
        Method::PATCH => patch::through(api, context, body, door).await,
        _ => Err(ApiError::method_not_allowed()),
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
        let old = show::value(&context.resource, &live);
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
