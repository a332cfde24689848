//! Projects: a cell, that is a namespace of its own, in every environment of the pipeline.
//!
//! The cell is applied like everything else in a plane: a RenderedRelease without component, named and labelled as the
//! release of a project, that holds the Namespace. The project controls it. The one project type is what upstream ships
//! as `ClusterProjectType default`, the namespace and nothing else; other types are refused as not found.

use super::context::{Context, Error, now};
use super::names;
use super::queue::Outcome;
use super::rendered::{Ground, Wanted, Written, controlled_by, ground, write};
use super::store::{Entry, Key, Store, What};
use crate::render::cell_namespace;
use crate::types::{
    Conditions, DeploymentPipeline, Project, ProjectSpec, ProjectStatus, ProjectTypeKind,
    RenderedReleaseOwner, RenderedResource, TargetPlane, labels,
};
use serde_json::{Value, json};

const FINALIZER: &str = "openchoreo.dev/project-cleanup";
/// The one project type.
const DEFAULT_TYPE: &str = "default";

/// One pass over a project.
pub(super) async fn reconcile(ctx: &Context, key: &Key) -> Result<Outcome, Error> {
    let Some(project) = ctx.get(What::Project, &key.namespace, &key.name) else {
        return Ok(Outcome::Settled);
    };
    if project.deleting() {
        return finalize(ctx, &project).await;
    }
    ctx.add_finalizer::<Project>(&project, FINALIZER).await?;
    let spec = project.spec::<Project>()?;
    let mut status = project.status::<Project>()?;
    status.observed_generation = project.meta.generation;
    set(&project, &mut status, "Created", true, "ProjectCreated", "The project is known");
    let outcome = match spec.r#type.kind == ProjectTypeKind::ClusterProjectType
        && spec.r#type.name == DEFAULT_TYPE
    {
        true => cells(ctx, &project, &spec).await,
        false => {
            let message = format!(
                "{:?} {} does not exist; ClusterProjectType {DEFAULT_TYPE} does",
                spec.r#type.kind, spec.r#type.name
            );
            set(&project, &mut status, "Ready", false, "ProjectTypeNotFound", &message);
            ctx.write_status::<Project>(&project, &status).await?;
            return Ok(Outcome::Settled);
        }
    };
    let message = "The project has a cell in every environment";
    match &outcome {
        Ok(()) => set(&project, &mut status, "Ready", true, "Reconciled", message),
        // As a binding of the project says it upstream, where bindings own the cells.
        Err(error @ Error::Reported(_)) => {
            let message = error.to_string();
            set(&project, &mut status, "Ready", false, "ReleaseOwnershipConflict", &message);
        }
        // Nothing is known to stand in the way: the next try tells.
        Err(_) => {}
    }
    ctx.write_status::<Project>(&project, &status).await?;
    outcome.map(|()| Outcome::Settled)
}

fn set(
    project: &Entry,
    status: &mut ProjectStatus,
    condition: &str,
    holds: bool,
    reason: &str,
    message: &str,
) {
    status.conditions.set_condition(
        condition,
        holds.into(),
        reason,
        message,
        project.meta.generation,
        &now(),
    );
}

/// Makes the cell of every environment that exists; the others get theirs when they are made.
async fn cells(ctx: &Context, project: &Entry, spec: &ProjectSpec) -> Result<(), Error> {
    for ground in ctx.read(|store| grounds(store, project, spec)) {
        let environment = ground.environment.name();
        let object = namespace(project, &ground);
        let wanted = Wanted {
            name: names::project_release(project.name(), environment),
            owner: RenderedReleaseOwner {
                project_name: project.name().to_owned(),
                ..Default::default()
            },
            environment,
            target_plane: TargetPlane::DataPlane,
            plane: &ground.data_plane_ref(),
            resources: vec![RenderedResource { id: "namespace".into(), object }],
        };
        let name = wanted.name.clone();
        if write::<Project>(ctx, project, wanted).await? == Written::Foreign {
            return Err(Error::Reported(format!(
                "RenderedRelease {name} exists and does not belong to project {}",
                project.name()
            )));
        }
    }
    Ok(())
}

fn grounds(store: &Store, project: &Entry, spec: &ProjectSpec) -> Vec<Ground> {
    let pipeline = store
        .get(What::DeploymentPipeline, project.namespace(), &spec.deployment_pipeline_ref.name)
        .and_then(|pipeline| pipeline.spec::<DeploymentPipeline>().ok());
    let names = pipeline.iter().flat_map(|p| p.environments());
    names
        .filter_map(|name| ground(store, project.namespace(), name).ok())
        .filter(|ground| !ground.environment.deleting())
        .collect()
}

fn namespace(project: &Entry, ground: &Ground) -> Value {
    let environment = &ground.environment;
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": cell_namespace(project.namespace(), project.name(), environment.name()),
            "labels": {
                labels::NAMESPACE: project.namespace(),
                labels::PROJECT: project.name(),
                labels::PROJECT_UID: project.uid(),
                labels::ENVIRONMENT: environment.name(),
                labels::ENVIRONMENT_UID: environment.uid(),
            },
        },
    })
}

/// Components go first, then the cells, then the project. Each end brings it back here.
async fn finalize(ctx: &Context, project: &Entry) -> Result<Outcome, Error> {
    let mut status = project.status::<Project>()?;
    set(
        project,
        &mut status,
        "Finalizing",
        true,
        "ProjectFinalizing",
        "Deleting components, then the cells",
    );
    ctx.write_status::<Project>(project, &status).await?;
    let components: Vec<Entry> = ctx.read(|store| {
        let all = store.of(What::Component, project.namespace());
        all.filter(|c| *c.links.project == *project.name()).cloned().collect()
    });
    for component in &components {
        ctx.delete(What::Component, component).await?;
    }
    if !components.is_empty() {
        return Ok(Outcome::Settled);
    }
    let cells = controlled_by(ctx, project);
    for cell in &cells {
        ctx.delete(What::RenderedRelease, cell).await?;
    }
    if cells.is_empty()
        && let Some(current) = ctx.get(What::Project, project.namespace(), project.name())
    {
        ctx.drop_finalizer::<Project>(&current, FINALIZER).await?;
    }
    Ok(Outcome::Settled)
}
