//! `ephemeralcontainers` of a pod: what is added to it while it runs, to look at it.

use futures::FutureExt as _;

use super::super::pipeline::Door;
use super::part;
use crate::apiserver::kinds::{self, CHANGED, Subresource};

pub(in crate::apiserver) const EPHEMERAL_CONTAINERS: Subresource = Subresource {
    name: "ephemeralcontainers",
    verbs: CHANGED,
    speaks: None,
    answer: |api, context, body| {
        part(api, context, body, Door::Part(&kinds::EPHEMERAL_CONTAINERS)).boxed()
    },
};
