//! Components: check what they refer to, cut releases, keep the first environment on the newest one, and clean up.

mod deletion;
mod release;

use super::context::{Context, Error, SOON, is_new, now};
use super::queue::Outcome;
use super::store::{Key, Store, What};
use super::watch::Object;
use crate::types::{
    Component, ComponentSpec, ComponentStatus, ComponentTypeKind, ComponentTypeSpec, Conditions,
    DeploymentPipeline, DeploymentPipelineSpec, Project, TraitKind, TraitSnapshot, TraitSpec,
    Workload, WorkloadSpec,
};
use std::collections::BTreeSet;

/// Keeps a component until what it owns is gone.
pub(super) const FINALIZER: &str = "openchoreo.dev/component-cleanup";

/// What a component refers to, complete.
pub(super) struct Inputs {
    pub(super) component_type: ComponentTypeSpec,
    pub(super) traits: Vec<TraitSnapshot>,
    pub(super) workload: WorkloadSpec,
    /// The environment that releases enter.
    pub(super) root: String,
}

/// Why a component cannot go on: the condition's reason and message.
pub(super) struct Obstacle(pub(super) &'static str, pub(super) String);

/// One pass over a component.
pub(super) async fn reconcile(ctx: &Context, key: &Key) -> Result<Outcome, Error> {
    let Some(component) = ctx.get(What::Component, &key.namespace, &key.name) else {
        return Ok(Outcome::Settled);
    };
    if component.deleting() {
        return deletion::finalize(ctx, &component).await;
    }
    ctx.add_finalizer::<Component>(&component, FINALIZER).await?;
    let spec = component.spec::<Component>()?;
    let mut status = component.status::<Component>()?;
    let generation = component.meta.generation;
    let inputs = ctx.read(|store| gather(store, &component, &spec));
    let (reason, message, failure) = match inputs {
        Err(Obstacle("WorkloadNotFound", _))
            if component.status.is_empty() && is_new(&component) =>
        {
            return Ok(Outcome::Again(SOON));
        }
        Err(Obstacle(reason, message)) => (reason, message, None),
        Ok(_) if spec.auto_deploy != Some(true) => {
            ("Reconciled", "The component is valid; releases are cut on demand".to_owned(), None)
        }
        Ok(inputs) => match release::deploy(ctx, &component, &spec, inputs, &mut status).await {
            Ok(name) => ("ComponentReleaseReady", format!("Release {name} is ready"), None),
            Err(error) => ("AutoDeployFailed", error.to_string(), Some(error)),
        },
    };
    let ready = matches!(reason, "Reconciled" | "ComponentReleaseReady");
    status.conditions.set_condition("Ready", ready.into(), reason, &message, generation, &now());
    status.observed_generation = generation;
    report(ctx, &component, &status).await?;
    match failure {
        Some(error) => Err(Error::Reported(error.to_string())),
        None => Ok(Outcome::Settled),
    }
}

async fn report(ctx: &Context, component: &Object, status: &ComponentStatus) -> Result<(), Error> {
    ctx.write_status::<Component>(component, status).await.map(drop)
}

/// Finds and checks everything the component refers to.
pub(super) fn gather(
    store: &Store,
    component: &Object,
    spec: &ComponentSpec,
) -> Result<Inputs, Obstacle> {
    let namespace = component.namespace();
    let component_type = component_type(store, spec)?;
    if let Some(workflow) = &spec.workflow {
        let allowed = component_type
            .allowed_workflows
            .iter()
            .any(|w| w.kind == workflow.kind && w.name == workflow.name);
        return Err(match allowed {
            false => Obstacle(
                "WorkflowNotAllowed",
                format!(
                    "workflow {} is not in the allowedWorkflows of {}",
                    workflow.name, spec.component_type.name
                ),
            ),
            true => Obstacle(
                "WorkflowNotFound",
                format!(
                    "workflow {} does not exist: this control plane serves no workflows yet",
                    workflow.name
                ),
            ),
        });
    }
    let workload = workload(store, namespace, &spec.owner.project_name, component.name())?;
    check_traits(spec, &component_type)?;
    let traits = traits(store, namespace, spec, &component_type)?;
    let pipeline = pipeline(store, namespace, &spec.owner.project_name)?;
    let root = pipeline.root().map(str::to_owned).ok_or_else(|| {
        invalid("the deployment pipeline has no first environment: every source is also a target")
    })?;
    Ok(Inputs { component_type, traits, workload, root })
}

fn invalid(message: impl Into<String>) -> Obstacle {
    Obstacle("InvalidConfiguration", message.into())
}

fn component_type(store: &Store, spec: &ComponentSpec) -> Result<ComponentTypeSpec, Obstacle> {
    let reference = &spec.component_type;
    let Some((workload_type, name)) = reference.split() else {
        return Err(invalid(format!(
            "componentType.name is {:?}, but must be workloadType/typeName",
            reference.name
        )));
    };
    let missing =
        |kind: &str| Obstacle("ComponentTypeNotFound", format!("{kind} {name} does not exist"));
    let found = match reference.kind {
        ComponentTypeKind::ClusterComponentType => store
            .get(What::ClusterComponentType, "", name)
            .ok_or_else(|| missing("ClusterComponentType"))?,
        ComponentTypeKind::ComponentType => return Err(missing("ComponentType")),
    };
    let found = found
        .spec::<crate::types::ClusterComponentType>()
        .map_err(|error| invalid(error.to_string()))?;
    if found.workload_type.as_str() != workload_type {
        return Err(invalid(format!(
            "componentType.name says {workload_type}, but the type {name} is for {}",
            found.workload_type.as_str()
        )));
    }
    Ok(found)
}

fn workload(
    store: &Store,
    namespace: &str,
    project: &str,
    component: &str,
) -> Result<WorkloadSpec, Obstacle> {
    let mut found = store.of(What::Workload, namespace).filter(|w| {
        *w.links.project == *project && *w.links.component == *component && !w.deleting()
    });
    let Some(workload) = found.next() else {
        return Err(Obstacle(
            "WorkloadNotFound",
            format!("no Workload has the owner {project}/{component}; create one"),
        ));
    };
    if let Some(other) = found.next() {
        return Err(invalid(format!(
            "the Workloads {} and {} both have the owner {project}/{component}; keep one",
            workload.name(),
            other.name()
        )));
    }
    workload.spec::<Workload>().map_err(|error| invalid(error.to_string()))
}

fn check_traits(spec: &ComponentSpec, component_type: &ComponentTypeSpec) -> Result<(), Obstacle> {
    let mut names: BTreeSet<&str> =
        component_type.traits.iter().map(|t| t.instance_name.as_str()).collect();
    for t in &spec.traits {
        if !component_type.allowed_traits.iter().any(|a| a.kind == t.kind && a.name == t.name) {
            return Err(invalid(format!(
                "{} {} is not in the allowedTraits of {}",
                t.kind.as_str(),
                t.name,
                spec.component_type.name
            )));
        }
        if !names.insert(&t.instance_name) {
            return Err(invalid(format!(
                "the trait instance name {} is used twice",
                t.instance_name
            )));
        }
    }
    Ok(())
}

/// Every trait in use, once, sorted by kind and name.
fn traits(
    store: &Store,
    namespace: &str,
    spec: &ComponentSpec,
    component_type: &ComponentTypeSpec,
) -> Result<Vec<TraitSnapshot>, Obstacle> {
    let embedded = component_type.traits.iter().map(|t| (t.kind, t.name.as_str()));
    let own = spec.traits.iter().map(|t| (t.kind, t.name.as_str()));
    let mut all: Vec<(TraitKind, &str)> = embedded.chain(own).collect();
    all.sort_by_key(|(kind, name)| (kind.as_str(), *name));
    all.dedup();
    all.into_iter().map(|(kind, name)| snapshot(store, namespace, kind, name)).collect()
}

fn snapshot(
    store: &Store,
    namespace: &str,
    kind: TraitKind,
    name: &str,
) -> Result<TraitSnapshot, Obstacle> {
    let found = match kind {
        TraitKind::Trait => store.get(What::Trait, namespace, name),
        TraitKind::ClusterTrait => store.get(What::ClusterTrait, "", name),
    };
    let found = found.ok_or_else(|| {
        Obstacle("TraitNotFound", format!("{} {name} does not exist", kind.as_str()))
    })?;
    let spec: TraitSpec =
        found.spec::<crate::types::Trait>().map_err(|error| invalid(error.to_string()))?;
    Ok(TraitSnapshot { kind, name: name.to_owned(), spec })
}

fn pipeline(
    store: &Store,
    namespace: &str,
    project: &str,
) -> Result<DeploymentPipelineSpec, Obstacle> {
    let found = store
        .get(What::Project, namespace, project)
        .ok_or_else(|| Obstacle("ProjectNotFound", format!("Project {project} does not exist")))?;
    let project = found.spec::<Project>().map_err(|error| invalid(error.to_string()))?;
    let name = &project.deployment_pipeline_ref.name;
    store
        .get(What::DeploymentPipeline, namespace, name)
        .ok_or_else(|| {
            Obstacle(
                "DeploymentPipelineNotFound",
                format!("DeploymentPipeline {name} does not exist"),
            )
        })?
        .spec::<DeploymentPipeline>()
        .map_err(|error| invalid(error.to_string()))
}
