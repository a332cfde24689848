//! `nodes/proxy`: reading what a kubelet serves.

use futures::StreamExt as _;

use super::super::Context;
use crate::apiserver::Api;
use crate::apiserver::kinds::Subresource;
use crate::apiserver::node::{PageError, PageRequest};
use crate::apiserver::reply::{self, Reply};
use crate::apiserver::status::ApiError;

/// What the kubelet serves.
pub(in crate::apiserver) const PROXY: Subresource = Subresource {
    name: "proxy",
    verbs: &["get"],
    speaks: Some(("", "v1", "NodeProxyOptions")),
    answer: |api, context, _| Box::pin(answer(api, context)),
};

async fn answer(api: &Api, context: &Context) -> Result<Reply, ApiError> {
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
