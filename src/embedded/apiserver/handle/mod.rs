//! Requests on resources. Nothing here knows a kind: everything special comes from its descriptor.

mod context;
mod create;
mod delete;
mod list;
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
use super::reply::Reply;
use super::status::ApiError;

pub(super) use context::Context;

/// Answers a request on a resource that has passed authorization.
pub(super) async fn resource(
    api: &Arc<Api>,
    context: Context,
    body: Bytes,
) -> Result<Reply, ApiError> {
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
