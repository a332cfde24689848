//! `/api/v1`: the platform's objects over REST.
//!
//! The routes follow from the [table of kinds](crate::objects::KINDS): every kind gets list, create, read, replace and
//! delete as its row says. What is more than that has a file of its own.
//!
//! Five things go beyond OpenChoreo's API, and clients that do not know them are not disturbed:
//! - Reads carry an `ETag`; a `PUT` with `If-Match` fails with 409 when the object changed meanwhile.
//! - A `GET` of a list or an object with `?watch=true` is answered by Server-Sent Events: `snapshot` with
//!   `{"items": […]}` first and after every interruption, then `applied` and `deleted` with one object each.
//! - `/api/v1/agents` shows the agents and what is granted to them, and grants and revokes.
//! - `/api/v1/audit` shows who did what, to whoever may see it, and to everybody what they did themselves.
//! - `…/k8sresources/logs` with `?follow=true` is a stream of `log` events, one line each.

mod agents;
mod audit;
mod error;
mod extract;
mod handlers;
mod live;
mod names;
mod schema;
mod sse;
mod system;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{MethodRouter, delete, get, post, put},
};

use curtain_role::Shutdown;

use crate::{
    audit::Audit,
    authz,
    identity::{Directory, Validator, bearer},
    live::Live,
    objects::{KINDS, Kind, Objects, Verb},
};

pub(crate) use error::ApiError;

/// The longest request body, in bytes.
const LONGEST_BODY: usize = 1024 * 1024;

/// What the handlers share.
#[derive(Debug, Clone)]
pub struct Api {
    /// The objects.
    pub objects: Objects,
    /// The way into the planes.
    pub live: Live,
    /// Who exists.
    pub directory: Directory,
    /// Who did what.
    pub audit: Audit,
    /// Ends streams when the role ends.
    pub shutdown: Shutdown,
}

/// All of `/api/v1`, behind `validator`, and the few open routes beside it.
pub fn routes(api: Api, validator: Arc<Validator>, system: system::System) -> Router {
    let mut guarded = Router::new();
    for kind in KINDS {
        guarded = with_kind(guarded, kind);
    }
    guarded
        .merge(live::routes())
        .merge(schema::routes())
        .merge(agents::routes())
        .merge(audit::routes())
        .merge(names::routes())
        .with_state(api.clone())
        .merge(authz::routes::routes(api.objects.authorizer().clone()))
        .layer(axum::middleware::from_fn_with_state(api.audit.clone(), audit::follow))
        .layer(axum::middleware::from_fn_with_state(validator, bearer::require))
        .merge(system::routes(system))
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
}

pub use system::System;

fn with_kind(router: Router<Api>, kind: &'static Kind) -> Router<Api> {
    let base = if kind.is_namespaced() { "/api/v1/namespaces/{namespace}" } else { "/api/v1" };
    let (list, one) =
        (format!("{base}/{}", kind.plural), format!("{base}/{}/{{name}}", kind.plural));
    let (mut of_list, mut of_one) = (MethodRouter::new(), MethodRouter::new());
    for verb in kind.verbs {
        match verb {
            Verb::View => {
                of_list =
                    of_list.merge(get(move |state, request| handlers::list(state, kind, request)));
                of_one =
                    of_one.merge(get(move |state, request| handlers::read(state, kind, request)));
            }
            Verb::Create => {
                of_list = of_list.merge(post(move |state, request, body| {
                    handlers::create(state, kind, request, body)
                }));
            }
            Verb::Update => {
                of_one = of_one.merge(put(move |state, request, body| {
                    handlers::replace(state, kind, request, body)
                }));
            }
            Verb::Delete => {
                of_one = of_one
                    .merge(delete(move |state, request| handlers::remove(state, kind, request)));
            }
        }
    }
    router.route(&list, of_list).route(&one, of_one)
}

#[cfg(test)]
mod tests;
