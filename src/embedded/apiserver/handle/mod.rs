//! Requests on resources. Nothing here knows a kind: everything special comes from its descriptor.

mod context;
mod create;
mod delete;
mod list;
mod measured;
mod options;
mod patch;
mod pipeline;
mod show;
pub(super) mod subresource;
mod update;
mod watch;

use std::sync::Arc;

use bytes::Bytes;
use http::Method;

use super::Api;
use super::reply::{self, Reply};
use super::status::ApiError;

pub(super) use context::Context;
pub(super) use pipeline::{keep_identity, tidy};
pub(super) use show::value as served;
pub(super) use subresource::scale;

/// Answers a request on a resource that has passed authorization, with what admission has to say beside.
pub(super) async fn resource(
    api: &Arc<Api>,
    context: Context,
    body: Bytes,
) -> Result<Reply, ApiError> {
    let warnings = context.warnings.clone();
    let answer = handled(api, context, body).await;
    let warnings = warnings.take();
    if warnings.is_empty() {
        return answer;
    }
    let mut reply = answer.unwrap_or_else(Reply::from);
    warnings.iter().for_each(|warning| reply::warn(&mut reply, warning));
    Ok(reply)
}

async fn handled(api: &Arc<Api>, context: Context, body: Bytes) -> Result<Reply, ApiError> {
    options::check(&context)?;
    let review = context.resource.strategy.review;
    if let Some(review) = review {
        return match context.method {
            Method::POST if context.path.name.is_empty() => {
                create::review(api, &context, &body, review)
            }
            _ => Err(ApiError::method_not_allowed()),
        };
    }
    if let Some(measure) = context.resource.strategy.measure {
        return measured::answer(api, &context, measure).await;
    }
    if !context.path.subresource.is_empty() {
        return subresource::answer(api, context, body).await;
    }
    let one = !context.path.name.is_empty();
    match (&context.method, one) {
        (&Method::GET, true) if context.query.flag("watch") => watch::answer(api, context),
        (&Method::GET, true) => list::get(api, &context),
        (&Method::GET, false) if context.query.flag("watch") => watch::answer(api, context),
        (&Method::GET, false) => list::answer(api, &context),
        (&Method::POST, false) => create::answer(api, &context, &body).await,
        (&Method::PUT, true) => update::put(api, &context, &body).await,
        (&Method::PATCH, true) => patch::answer(api, &context, &body).await,
        (&Method::DELETE, true) => delete::one(api, &context, &body).await,
        (&Method::DELETE, false) => delete::collection(api, &context, &body).await,
        _ => Err(ApiError::method_not_allowed()),
    }
}
