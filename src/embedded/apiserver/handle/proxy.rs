//! `nodes/proxy`: reading what a kubelet serves.

use futures::StreamExt as _;

use super::super::Api;
use super::super::node::{PageError, PageRequest};
use super::super::reply::{self, Reply};
use super::super::status::ApiError;
use super::Context;

pub(super) async fn answer(api: &Api, context: &Context) -> Result<Reply, ApiError> {
    if api.store.get(&context.resource.table, &context.key()).is_none() {
        return Err(context.not_found());
    }
    let Some(node) = api.node().filter(|node| node.name() == context.path.name) else {
        return Err(ApiError::plain(
            503,
            "ServiceUnavailable",
            "this node is not running: it cannot be asked",
        ));
    };
    let query = context.query.pairs().to_vec();
    let request = PageRequest { path: context.path.rest.clone(), query };
    match node.page(request).await {
        Ok(page) => {
            let stopping = api.stopping.clone().cancelled_owned();
            let pieces = page.body.take_until(stopping).map(Ok);
            Ok(reply::reply(200, page.content_type, reply::stream(pieces.boxed())))
        }
        Err(PageError::NotFound) => Ok(reply::text(404, format!("{}\n", PageError::NotFound))),
        Err(PageError::BadRequest(why)) => Err(ApiError::bad_request(why)),
    }
}
