//! Environments: ready as soon as they are known, and not gone before their releases.

use super::context::{Context, Error, now};
use super::queue::Outcome;
use super::store::{Entry, Key, Store, What};
use crate::types::{Conditions, DeploymentPipeline, Environment};

const FINALIZER: &str = "openchoreo.dev/environment-cleanup";

/// One pass over an environment.
pub(super) async fn reconcile(ctx: &Context, key: &Key) -> Result<Outcome, Error> {
    let Some(environment) = ctx.get(What::Environment, &key.namespace, &key.name) else {
        return Ok(Outcome::Settled);
    };
    if environment.deleting() {
        return finalize(ctx, &environment).await;
    }
    ctx.add_finalizer::<Environment>(&environment, FINALIZER).await?;
    tell(ctx, &environment, true, "EnvironmentReady", "The environment is ready").await?;
    Ok(Outcome::Settled)
}

async fn tell(
    ctx: &Context,
    environment: &Entry,
    ready: bool,
    reason: &str,
    message: &str,
) -> Result<(), Error> {
    let mut status = environment.status::<Environment>()?;
    let generation = environment.meta.generation;
    status.observed_generation = generation;
    status.conditions.set_condition("Ready", ready.into(), reason, message, generation, &now());
    ctx.write_status::<Environment>(environment, &status).await.map(drop)
}

/// Waits for pipelines to let go of it, then takes its releases away, then the cells of projects, then goes.
async fn finalize(ctx: &Context, environment: &Entry) -> Result<Outcome, Error> {
    let namespace = environment.namespace();
    let pipeline = ctx.read(|store| {
        let uses = |pipeline: &&Entry| {
            pipeline
                .spec::<DeploymentPipeline>()
                .is_ok_and(|spec| spec.environments().contains(&environment.name()))
        };
        store.of(What::DeploymentPipeline, namespace).find(uses).map(|p| p.name().to_owned())
    });
    if let Some(pipeline) = pipeline {
        let message = format!(
            "DeploymentPipeline {pipeline} still mentions this environment; take it out there"
        );
        tell(ctx, environment, false, "DeletionBlocked", &message).await?;
        return Ok(Outcome::Settled);
    }
    for (what, words) in
        [(What::ReleaseBinding, "releases"), (What::RenderedRelease, "cells of projects")]
    {
        let left = ctx.read(|store| of(store, what, environment));
        for object in &left {
            ctx.delete(what, object).await?;
        }
        if !left.is_empty() {
            let message = format!("{} {words} are being deleted", left.len());
            tell(ctx, environment, false, "ReleaseBindingsPending", &message).await?;
            return Ok(Outcome::Settled);
        }
    }
    if let Some(current) = ctx.get(What::Environment, namespace, environment.name()) {
        ctx.drop_finalizer::<Environment>(&current, FINALIZER).await?;
    }
    Ok(Outcome::Settled)
}

/// The objects of a kind that belong to the environment.
fn of(store: &Store, what: What, environment: &Entry) -> Vec<Entry> {
    let all = store.of(what, environment.namespace());
    all.filter(|object| *object.links.environment == *environment.name()).cloned().collect()
}
