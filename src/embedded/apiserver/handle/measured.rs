//! get and list of what is measured when it is read.

use http::Method;
use serde_json::json;

use super::super::Api;
use super::super::kinds::Measure;
use super::super::reply::Reply;
use super::super::status::{ApiError, Qualified};
use super::super::store::Object;
use super::{Context, list, show};

pub(super) async fn answer(
    api: &Api,
    context: &Context,
    measure: Measure,
) -> Result<Reply, ApiError> {
    if !context.path.subresource.is_empty() {
        return Err(ApiError::no_such_path());
    }
    // There is no history to watch, and no pages of one moment.
    if context.method != Method::GET || context.query.flag("watch") {
        return Err(ApiError::method_not_allowed());
    }
    context.check_namespace(api, false)?;
    if context.path.name.is_empty() {
        let (labels, fields) = (context.labels()?, context.fields()?);
        let pick = |object: &Object| labels.matches(object) && fields.matches(object);
        let objects = measure(api, context.scope(), &pick).await?;
        return list::send(context, json!({}), objects);
    }
    let key = context.key();
    let pick = |object: &Object| object.key == key;
    let objects = measure(api, context.scope(), &pick).await?;
    show::object(context, 200, objects.first().ok_or_else(|| missing(api, context))?)
}

/// There is no such object, or nothing is known of it yet: the usual server of these kinds says which.
fn missing(api: &Api, context: &Context) -> ApiError {
    let (resource, key) = (&context.resource, context.key());
    // What is measured is named as what it is about.
    let about = Qualified { group: "", plural: &resource.plural };
    if api.store.get(&format!("/{about}").as_str().into(), &key).is_none() {
        return ApiError::not_found(about, &key.name);
    }
    let unknown = Qualified { group: &resource.group, plural: &resource.singular };
    match &*key.namespace {
        "" => ApiError::not_found(unknown, &key.name),
        namespace => ApiError::not_found(unknown, &format!("{namespace}/{}", key.name)),
    }
}
