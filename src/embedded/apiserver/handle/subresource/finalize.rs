//! `namespaces/finalize`.

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::Context;
use super::super::pipeline::{self, Door};
use super::super::update::{check_version, same_place};
use super::change;
use crate::apiserver::Api;
use crate::apiserver::kinds::{Subresource, ValueExt};
use crate::apiserver::reply::Reply;
use crate::apiserver::status::ApiError;

/// Says that the content of a namespace is gone.
pub(in crate::apiserver) const FINALIZE: Subresource = Subresource {
    name: "finalize",
    verbs: &["update"],
    speaks: None,
    answer: |api, context, body| Box::pin(finalize(api, context, body)),
};

/// Only `spec.finalizers` changes here; a deleted namespace without any is gone.
async fn finalize(api: &Api, context: &Context, body: &Bytes) -> Result<Reply, ApiError> {
    let (given, warnings) = pipeline::decode(context, body)?;
    same_place(context, &given)?;
    let edit = |old: &Value| {
        check_version(context, &given, old)?;
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
