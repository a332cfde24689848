//! Admission: the station that every write of a client passes before it is committed, dry runs too.
//!
//! It has two passes. [`Admission::change`] may alter the document or refuse it, before it is validated;
//! [`Admission::check`] sees it as it would be stored, after it is validated, and only refuses. The order of the
//! first: what the kind itself admits, the plugins, and what the kind settles once nothing changes any more. Only
//! plugins wait for anything.
//!
//! What a cluster's administrator has to say of writes is in [`policy`]; others than the server are asked by [`webhook`].
//! When webhooks have changed the document, everybody is asked again, once.
//!
//! What a write is about is in [`Admission`]: a deletion has no document but an old one, and what is posted to
//! `binding` or `token` is a document of its own kind. Through `scale` the document is the one that is scaled.
//! The server's own writes (its first objects, aggregated roles, expiring Events) are requests too, and pass.

mod amend;
mod conditions;
mod expressions;
mod limit_range;
mod policy;
mod resource_quota;
mod rules;
mod seen;
mod warnings;
mod webhook;

use futures::future::BoxFuture;
use serde_json::Value;

use super::Api;
use super::auth::User;
use super::kinds::{Release, Resource};
use super::request::query::Query;
use super::status::ApiError;

pub(super) use warnings::Warnings;

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    Update,
    Delete,
}

impl Operation {
    /// As rules and reviews of others name it.
    fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// One write on its way through the station.
#[derive(Clone, Copy)]
pub(super) struct Admission<'a> {
    /// The server.
    pub api: &'a Api,
    /// The writer.
    pub user: &'a User,
    /// What is done.
    pub operation: Operation,
    /// The kind of the object, and of the document unless the subresource speaks another one.
    pub resource: &'a Resource,
    /// Empty for the object itself.
    pub subresource: &'a str,
    /// Namespace of the object, empty for cluster-scoped ones.
    pub namespace: &'a str,
    /// Name of the object, empty for a new one.
    pub name: &'a str,
    /// The request's options.
    pub query: &'a Query,
    /// What the client is told beside the answer.
    pub warnings: &'a Warnings,
    /// Nothing will be stored.
    pub dry_run: bool,
}

/// What the first pass remembers while it asks everybody.
#[derive(Default)]
pub(super) struct Round {
    /// It is the second round.
    again: bool,
    /// Others have changed the document: there is a second round.
    changed: bool,
    calls: webhook::Calls,
}

/// Looks at writes of all kinds. Both passes let everything through unless a plugin says otherwise.
pub(super) trait Plugin: Send + Sync {
    /// Alters or refuses the document. What it may not alter is the object's identity; what it adds is not
    /// defaulted again.
    fn change<'a>(
        &'a self,
        _: &'a Admission<'a>,
        _: &'a mut Round,
        _document: &'a mut Value,
        _old: Option<&'a Value>,
    ) -> BoxFuture<'a, Result<(), ApiError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Refuses the write; a deletion has no document.
    fn check<'a>(
        &'a self,
        _: &'a Admission<'a>,
        _document: Option<&'a Value>,
        _old: Option<&'a Value>,
    ) -> BoxFuture<'a, Result<(), ApiError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// The plugins of every server, in the order in which they are asked.
pub(super) fn plugins() -> Vec<Box<dyn Plugin>> {
    vec![
        Box::new(limit_range::LimitRanger),
        Box::<webhook::Mutating>::default(),
        Box::<policy::Policies>::default(),
        Box::<webhook::Validating>::default(),
        Box::new(resource_quota::Quotas),
    ]
}

impl<'a> Admission<'a> {
    /// The first pass.
    pub(super) async fn change(
        &self,
        document: &mut Value,
        old: Option<&Value>,
    ) -> Result<(), ApiError> {
        let strategy = &self.resource.strategy;
        let itself = self.subresource.is_empty();
        let mut round = Round::default();
        loop {
            if let (Some(admit), true) = (strategy.admit, itself) {
                admit(self, document, old)?;
            }
            for plugin in &self.api.plugins {
                plugin.change(self, &mut round, document, old).await?;
            }
            if round.again || !round.changed {
                break;
            }
            round.again = true;
        }
        if let (Some(settle), true) = (strategy.settle, itself) {
            settle(self, document, old)?;
        }
        Ok(())
    }

    /// The second pass. `None` as document: the object is deleted.
    pub(super) async fn check(
        &self,
        document: Option<&Value>,
        old: Option<&Value>,
    ) -> Result<(), ApiError> {
        for plugin in &self.api.plugins {
            plugin.check(self, document, old).await?;
        }
        Ok(())
    }

    /// What the first pass reserved for the document.
    pub(super) fn reserved(&self, document: &Value, old: Option<&Value>) -> Reserved<'a> {
        let release = self.resource.strategy.released;
        let reserves = self.subresource.is_empty() && !self.dry_run;
        Reserved(release.filter(|_| reserves).map(|release| Reservation {
            api: self.api,
            release,
            document: document.clone(),
            old: old.cloned(),
        }))
    }
}

struct Reservation<'a> {
    api: &'a Api,
    release: Release,
    document: Value,
    old: Option<Value>,
}

/// Gives back what is reserved for a write when the write is refused, or its client goes away while a plugin is
/// asked.
pub(super) struct Reserved<'a>(Option<Reservation<'a>>);

impl Reserved<'_> {
    /// The write is about to be committed: from here on its outcome decides.
    pub(super) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if let Some(it) = self.0.take() {
            (it.release)(it.api, &it.document, it.old.as_ref());
        }
    }
}
