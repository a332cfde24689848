//! `serviceaccounts/token`.

use bytes::Bytes;
use serde_json::json;

use super::super::Context;
use super::super::pipeline::{self, SubKind};
use crate::apiserver::admission::Operation;
use crate::apiserver::auth::token;
use crate::apiserver::kinds::{Subresource, ValueExt};
use crate::apiserver::reply::{self, Reply};
use crate::apiserver::status::ApiError;
use crate::apiserver::{Api, time};

/// Tokens of a service account.
pub(in crate::apiserver) const TOKEN: Subresource = Subresource {
    name: "token",
    verbs: &["create"],
    speaks: Some(("authentication.k8s.io", "v1", "TokenRequest")),
    answer: |api, context, body| Box::pin(answer(api, context, body)),
};

async fn answer(api: &Api, context: &Context, body: &Bytes) -> Result<Reply, ApiError> {
    let account = context.latest(api)?;
    let mut request = pipeline::decode_as(context, body, SubKind::TOKEN)?;
    let admission = context.admission(api, Operation::Create);
    admission.change(&mut request, None).await?;
    admission.check(Some(&request), None).await?;
    let issued = token::issue(api, &account, &request)?;
    request["kind"] = "TokenRequest".into();
    request["apiVersion"] = "authentication.k8s.io/v1".into();
    request["metadata"] = json!({"name": context.path.name, "namespace": context.path.namespace,
        "creationTimestamp": time::now()});
    let spec = request.sub("spec");
    spec["audiences"] = json!(issued.audiences);
    spec["expirationSeconds"] = issued.seconds.into();
    request["status"] = json!({"token": issued.token, "expirationTimestamp": issued.expires});
    Ok(reply::json(201, &request))
}
