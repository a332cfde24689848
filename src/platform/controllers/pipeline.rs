//! Deployment pipelines: available as soon as they are known, and not gone before their projects.

use super::context::{Context, Error, now};
use super::queue::Outcome;
use super::store::{Entry, Key, What};
use crate::types::{Conditions, DeploymentPipeline, Project};

const FINALIZER: &str = "openchoreo.dev/deployment-pipeline-cleanup";

/// One pass over a pipeline.
pub(super) async fn reconcile(ctx: &Context, key: &Key) -> Result<Outcome, Error> {
    let Some(pipeline) = ctx.get(What::DeploymentPipeline, &key.namespace, &key.name) else {
        return Ok(Outcome::Settled);
    };
    if !pipeline.deleting() {
        ctx.add_finalizer::<DeploymentPipeline>(&pipeline, FINALIZER).await?;
        tell(ctx, &pipeline, true, "DeploymentPipelineAvailable", "The pipeline is available")
            .await?;
        return Ok(Outcome::Settled);
    }
    let project = ctx.read(|store| {
        let refers = |project: &&Entry| {
            project
                .spec::<Project>()
                .is_ok_and(|spec| spec.deployment_pipeline_ref.name == pipeline.name())
        };
        store.of(What::Project, pipeline.namespace()).find(refers).map(|p| p.name().to_owned())
    });
    match project {
        Some(project) => {
            let message = format!("Project {project} still uses this pipeline");
            tell(ctx, &pipeline, false, "DeletionBlocked", &message).await?;
        }
        None => ctx.drop_finalizer::<DeploymentPipeline>(&pipeline, FINALIZER).await?,
    }
    Ok(Outcome::Settled)
}

async fn tell(
    ctx: &Context,
    pipeline: &Entry,
    available: bool,
    reason: &str,
    message: &str,
) -> Result<(), Error> {
    let mut status = pipeline.status::<DeploymentPipeline>()?;
    let generation = pipeline.meta.generation;
    status.observed_generation = generation;
    status.conditions.set_condition(
        "Available",
        available.into(),
        reason,
        message,
        generation,
        &now(),
    );
    ctx.write_status::<DeploymentPipeline>(pipeline, &status).await.map(drop)
}
