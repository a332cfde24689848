//! Subresources besides `status` and `scale`: what a kind declares, discovery lists and requests are routed by.

use std::sync::Arc;

use bytes::Bytes;
use curtain_schema::FieldError;
use futures::future::BoxFuture;
use serde_json::Value;

use super::Resource;
use crate::apiserver::Api;
use crate::apiserver::handle::Context;
use crate::apiserver::reply::Reply;
use crate::apiserver::status::ApiError;

/// Answers a request on a subresource that has passed authorization.
pub(crate) type Answer =
    for<'a> fn(&'a Arc<Api>, &'a Context, &'a Bytes) -> BoxFuture<'a, Result<Reply, ApiError>>;

/// A subresource of a kind.
#[derive(Clone, Copy)]
pub(crate) struct Subresource {
    /// Its name in paths.
    pub name: &'static str,
    /// What may be done with it, sorted; anything else is answered with 405.
    pub verbs: &'static [&'static str],
    /// Group, version and kind of its documents; `None` when they are the resource's own.
    pub speaks: Option<(&'static str, &'static str, &'static str)>,
    /// Its handler.
    pub answer: Answer,
}

/// A part of a kind that changes through a subresource of that name only.
pub(crate) struct Part {
    pub subresource: &'static str,
    /// The live object (first) with that part of the given one.
    pub take: fn(&Value, &Value) -> Value,
    /// What is wrong with the new object (first) as a change of the old one.
    pub validate: fn(&Value, &Value, &mut Vec<FieldError>),
}

/// A subresource as discovery lists it: name, verbs, and the group, version and kind of what it speaks.
pub(crate) struct Listed<'a> {
    pub name: &'static str,
    pub verbs: &'static [&'static str],
    pub kind: (&'a str, &'a str, &'a str),
}

/// What may be done with a subresource that shows a part of its object.
pub(crate) const CHANGED: &[&str] = &["get", "patch", "update"];

impl Resource {
    /// All subresources, `status` and `scale` with them.
    pub(crate) fn subresources(&self) -> Vec<Listed<'_>> {
        let own = (self.group.as_str(), self.version.as_str(), self.kind.as_str());
        let declared = self.subresources.iter().map(|sub| Listed {
            name: sub.name,
            verbs: sub.verbs,
            kind: sub.speaks.unwrap_or(own),
        });
        let scale = self.scale.iter().map(|_| Listed {
            name: "scale",
            verbs: CHANGED,
            kind: ("autoscaling", "v1", "Scale"),
        });
        let status =
            self.has_status.then_some(Listed { name: "status", verbs: CHANGED, kind: own });
        declared.chain(scale).chain(status).collect()
    }
}
