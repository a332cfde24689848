//! `pods/log`.

use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::Context;
use crate::apiserver::Api;
use crate::apiserver::kinds::{Subresource, ValueExt};
use crate::apiserver::node::{LogError, LogOptions, PodRef};
use crate::apiserver::reply::{self, Reply};
use crate::apiserver::status::ApiError;

/// What the containers wrote.
pub(in crate::apiserver) const LOG: Subresource = Subresource {
    name: "log",
    verbs: &["get"],
    speaks: None,
    answer: |api, context, _| Box::pin(answer(api, context)),
};

async fn answer(api: &Api, context: &Context) -> Result<Reply, ApiError> {
    let object = api
        .store
        .get(&context.resource.table, &context.key())
        .ok_or_else(|| context.not_found())?;
    let options = options(context, &object.value())?;
    let pod = PodRef {
        namespace: object.key.namespace.to_string(),
        name: object.key.name.to_string(),
        uid: object.uid().to_owned(),
    };
    let Some(node) = api.node() else {
        return Err(ApiError::plain(
            503,
            "ServiceUnavailable",
            "the node is not running yet: its logs cannot be read",
        ));
    };
    let lines = node.logs(pod, options).await.map_err(|error| match error {
        LogError::NotAvailable(_) => ApiError::bad_request(error.to_string()),
        LogError::Io { .. } => ApiError::internal(error),
    })?;
    let stopping = api.stopping.clone().cancelled_owned();
    let pieces = lines.take_until(stopping).map(|piece| piece.map_err(Into::into));
    Ok(reply::reply(200, "text/plain", reply::stream(pieces.boxed())))
}

fn options(context: &Context, pod: &Value) -> Result<LogOptions, ApiError> {
    let query = &context.query;
    let since = match (query.number::<i64>("sinceSeconds")?, query.get("sinceTime")) {
        (Some(_), Some(_)) => {
            return Err(ApiError::bad_request(
                "at most one of `sinceTime` or `sinceSeconds` may be specified",
            ));
        }
        (Some(seconds), None) => {
            Timestamp::now().checked_sub(SignedDuration::from_secs(seconds)).ok()
        }
        (None, Some(time)) => Some(time.parse().map_err(|_| {
            ApiError::bad_request(format!("sinceTime={time:?} is not an RFC 3339 time"))
        })?),
        (None, None) => None,
    };
    Ok(LogOptions {
        container: container(context, pod)?,
        follow: query.flag("follow"),
        previous: query.flag("previous"),
        since,
        tail: query.number("tailLines")?,
        timestamps: query.flag("timestamps"),
        limit_bytes: query.number("limitBytes")?,
    })
}

/// The container that is asked for, or the only one.
pub(super) fn container(context: &Context, pod: &Value) -> Result<String, ApiError> {
    let names = |field: &str| -> Vec<String> {
        pod.list(&["spec", field]).iter().map(|c| c.text(&["name"]).to_owned()).collect()
    };
    let (containers, inits) = (names("containers"), names("initContainers"));
    let added = names("ephemeralContainers");
    let pod_name = &context.path.name;
    match (context.query.get("container"), containers.as_slice()) {
        (Some(name), _) if containers.iter().chain(&inits).chain(&added).any(|c| c == name) => {
            Ok(name.to_owned())
        }
        (Some(name), _) => {
            Err(ApiError::bad_request(format!("container {name} is not valid for pod {pod_name}")))
        }
        (None, [only]) => Ok(only.clone()),
        (None, _) => {
            let mut choices = format!("choose one of: [{}]", containers.join(" "));
            if !inits.is_empty() {
                choices.push_str(&format!(" or one of the init containers: [{}]", inits.join(" ")));
            }
            let why = format!("a container name must be specified for pod {pod_name}, {choices}");
            Err(ApiError::bad_request(why))
        }
    }
}
