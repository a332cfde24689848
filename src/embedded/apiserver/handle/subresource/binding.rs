//! `pods/binding`: puts a pod on a node.

use bytes::Bytes;
use curtain_schema::FieldError;
use serde_json::json;

use super::super::Context;
use super::super::pipeline::{self, SubKind};
use super::super::update::{TRIES, check_uid};
use crate::apiserver::admission::Operation;
use crate::apiserver::kinds::{Subresource, ValueExt};
use crate::apiserver::reply::{self, Reply};
use crate::apiserver::status::{self, ApiError, Qualified};
use crate::apiserver::store::WriteError;
use crate::apiserver::{Api, time};

/// Says on which node the pod runs, once and for ever.
pub(in crate::apiserver) const BINDING: Subresource = Subresource {
    name: "binding",
    verbs: &["create"],
    speaks: Some(("", "v1", "Binding")),
    answer: |api, context, body| Box::pin(bind(api, context, body)),
};

async fn bind(api: &Api, context: &Context, body: &Bytes) -> Result<Reply, ApiError> {
    let mut binding = pipeline::decode_as(context, body, SubKind::BINDING)?;
    let admission = context.admission(api, Operation::Create);
    admission.change(&mut binding, None).await?;
    let node = binding.text(&["target", "name"]).to_owned();
    if node.is_empty() {
        let error = FieldError::required("target.name", "");
        return Err(ApiError::invalid("", "Binding", &context.path.name, vec![error]));
    }
    admission.check(Some(&binding), None).await?;
    let dry_run = context.query.dry_run();
    for _ in 0..TRIES {
        let live = context.latest(api)?;
        let old = live.value();
        check_uid(context, &binding, &old)?;
        let taken = old.text(&["spec", "nodeName"]);
        if !taken.is_empty() || old.at(&["metadata", "deletionTimestamp"]).is_some() {
            let why = if taken.is_empty() {
                format!("pod {} is being deleted, cannot be assigned to a host", context.path.name)
            } else {
                format!("pod {} is already assigned to node {taken:?}", context.path.name)
            };
            return Err(ApiError::conflict(
                Qualified { group: "", plural: "pods/binding" },
                &context.path.name,
                &why,
            ));
        }
        let mut new = old.clone();
        new["spec"]["nodeName"] = node.clone().into();
        let condition = json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": time::now()});
        new.sub("status").default_to("conditions", json!([]));
        if let Some(conditions) = new["status"]["conditions"].as_array_mut() {
            conditions.retain(|c| c["type"] != "PodScheduled");
            conditions.push(condition);
        }
        if dry_run {
            return Ok(bound(context));
        }
        match pipeline::commit(api, context, Some(live.rv), new, false).await {
            Err(WriteError::Raced) => {}
            Err(error) => return Err(context.write_error(&error)),
            Ok(_) => return Ok(bound(context)),
        }
    }
    Err(ApiError::modified(Qualified { group: "", plural: "pods/binding" }, &context.path.name))
}

fn bound(context: &Context) -> Reply {
    reply::json(201, &status::success(json!({"name": context.path.name, "kind": "pods"})))
}
