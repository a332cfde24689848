//! Release bindings: render a release for its environment, hand the manifests on, and tell how the component is.

mod connections;
mod deletion;
mod memo;
mod readiness;
mod rendering;

use super::channel;
use super::context::{Context, Error, SOON, is_new, now};
use super::events;
use super::names;
use super::queue::Outcome;
use super::rendered::{Ground, NoPlane, Written, ground};
use super::store::{Entry, Key, Store, What};
use crate::types::{
    Component, ConditionStatus, Conditions, ReleaseBinding, ReleaseBindingSpec,
    ReleaseBindingStatus, ReleaseState, RenderedRelease, WorkloadType,
};
use connections::Connections;
use kube::runtime::events::EventType;

pub(super) use memo::Renderings;

/// Keeps a binding until its RenderedReleases are gone.
pub(super) const FINALIZER: &str = "openchoreo.dev/releasebinding-cleanup";

/// Everything a binding refers to.
struct Subject {
    release: Entry,
    ground: Ground,
    component: Entry,
    project: Entry,
    workload_type: Option<WorkloadType>,
    /// The environment's default notification channel.
    default_channel: Option<String>,
}

/// Why a binding cannot be rendered: the condition's reason and message.
struct Obstacle(&'static str, String);

/// One pass over a binding.
pub(super) async fn reconcile(ctx: &Context, key: &Key) -> Result<Outcome, Error> {
    let Some(binding) = ctx.get(What::ReleaseBinding, &key.namespace, &key.name) else {
        return Ok(Outcome::Settled);
    };
    if binding.deleting() {
        return deletion::finalize(ctx, &binding).await;
    }
    let spec = binding.spec::<ReleaseBinding>()?;
    let mut status = binding.status::<ReleaseBinding>()?;
    let told = obstacle(&status);
    let generation = binding.meta.generation;
    // A component makes its release and its binding at once.
    let missing = ctx.read(|store| release_of(store, &binding, &spec).is_err());
    if missing && binding.status.is_empty() && is_new(&binding) {
        return Ok(Outcome::Again(SOON));
    }
    if status.observed_generation != generation {
        status.observed_generation = generation;
        status.last_spec_update_time = Some(now());
    }
    // What a pass makes is controlled by the binding, so it may be made while the finalizer is on its way.
    let (finalizer, outcome) = tokio::join!(
        ctx.add_finalizer::<ReleaseBinding>(&binding, FINALIZER),
        pass(ctx, &binding, &spec, &mut status),
    );
    let ready = readiness::ready(&status.conditions);
    let now = now();
    status.conditions.set_condition(
        "Ready",
        ready.ready.into(),
        ready.reason,
        &ready.message,
        generation,
        &now,
    );
    report(ctx, &binding, &status).await?;
    let news = match (obstacle(&status), told) {
        (new, told) if new == told => None,
        (Some(obstacle), _) => Some((EventType::Warning, obstacle)),
        (None, _) => {
            Some((EventType::Normal, ("Rendered".into(), "The release is rendered".into())))
        }
    };
    if let Some((kind, (reason, message))) = news {
        let said = (reason.as_str(), message.as_str());
        events::tell::<ReleaseBinding>(&ctx.control, &binding, kind, said).await;
    }
    finalizer.and(outcome).map(|()| Outcome::Settled)
}

/// Why a release could not be rendered: reason and message.
fn obstacle(status: &ReleaseBindingStatus) -> Option<(String, String)> {
    let synced = status.conditions.iter().find(|one| one.r#type == "ReleaseSynced")?;
    (synced.status == ConditionStatus::False)
        .then(|| (synced.reason.clone(), synced.message.clone()))
}

async fn report(
    ctx: &Context,
    binding: &Entry,
    status: &ReleaseBindingStatus,
) -> Result<(), Error> {
    ctx.write_status::<ReleaseBinding>(binding, status).await.map(drop)
}

fn set(
    binding: &Entry,
    status: &mut ReleaseBindingStatus,
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
        binding.meta.generation,
        &now(),
    );
}

/// Brings the objects in line. Obstacles that only a change elsewhere removes are conditions, not errors.
async fn pass(
    ctx: &Context,
    binding: &Entry,
    spec: &ReleaseBindingSpec,
    status: &mut ReleaseBindingStatus,
) -> Result<(), Error> {
    let subject = match ctx.read(|store| gather(store, binding, spec)) {
        Ok(subject) => subject,
        Err(Obstacle(reason, message)) => {
            set(binding, status, "ReleaseSynced", false, reason, &message);
            return Ok(());
        }
    };
    if spec.state == ReleaseState::Undeploy {
        return deletion::undeploy(ctx, binding, status).await;
    }
    let changed = match rendering::bring_up(ctx, binding, spec, &subject, status).await? {
        Ok(written) => written == Written::Changed,
        Err(Obstacle(reason, message)) => {
            set(binding, status, "ReleaseSynced", false, reason, &message);
            return Ok(());
        }
    };
    let (reason, message) = match changed {
        true => ("ReleaseCreated", "The release is rendered"),
        false => ("ReleaseSynced", "The release is rendered and up to date"),
    };
    // Told before the guard below, unlike upstream: an obstacle that is gone must not stay in the status.
    set(binding, status, "ReleaseSynced", true, reason, message);
    if !dependencies_hold(status) {
        return Ok(());
    }
    let name = names::rendered_release(&spec.owner.component_name, &spec.environment);
    let verdict = match ctx.get(What::RenderedRelease, binding.namespace(), &name) {
        Some(release) => {
            let rendered = release.status::<RenderedRelease>()?;
            readiness::resources_ready(subject.workload_type, &rendered, release.meta.generation)
        }
        None => readiness::resources_ready(subject.workload_type, &Default::default(), None),
    };
    set(binding, status, "ResourcesReady", verdict.ready, verdict.reason, &verdict.message);
    Ok(())
}

/// Finds everything the binding refers to.
fn gather(store: &Store, binding: &Entry, spec: &ReleaseBindingSpec) -> Result<Subject, Obstacle> {
    let namespace = binding.namespace();
    let release = release_of(store, binding, spec)?;
    let name = release.name();
    let owner = &spec.owner;
    if *release.links.project != *owner.project_name
        || *release.links.component != *owner.component_name
    {
        return Err(Obstacle(
            "InvalidReleaseConfiguration",
            format!(
                "ComponentRelease {name} belongs to {}/{}, the binding to {}/{}",
                release.links.project,
                release.links.component,
                owner.project_name,
                owner.component_name
            ),
        ));
    }
    let ground = ground(store, namespace, &spec.environment).map_err(|error| {
        let reason = match &error {
            NoPlane::NoEnvironment(_) => "EnvironmentNotFound",
            _ => "DataPlaneNotFound",
        };
        Obstacle(reason, error.to_string())
    })?;
    let component =
        store.get(What::Component, namespace, &owner.component_name).ok_or_else(|| {
            Obstacle(
                "ComponentNotFound",
                format!("Component {} does not exist", owner.component_name),
            )
        })?;
    let project = store.get(What::Project, namespace, &owner.project_name).ok_or_else(|| {
        Obstacle("ProjectNotFound", format!("Project {} does not exist", owner.project_name))
    })?;
    let workload_type = component.spec::<Component>().ok().and_then(|spec| {
        spec.component_type
            .split()
            .and_then(|(workload_type, _)| WorkloadType::parse(workload_type))
    });
    Ok(Subject {
        release: release.clone(),
        ground,
        component: component.clone(),
        project: project.clone(),
        workload_type,
        default_channel: channel::default_of(store, namespace, &spec.environment),
    })
}

/// The release that the binding names.
fn release_of<'s>(
    store: &'s Store,
    binding: &Entry,
    spec: &ReleaseBindingSpec,
) -> Result<&'s Entry, Obstacle> {
    let missing = |message: String| Obstacle("ComponentReleaseNotFound", message);
    match spec.release_name.as_deref().unwrap_or_default() {
        "" => Err(missing("spec.releaseName is not set".into())),
        name => store
            .get(What::ComponentRelease, binding.namespace(), name)
            .ok_or_else(|| missing(format!("ComponentRelease {name} does not exist"))),
    }
}

/// Puts what the workload depends on into the status.
fn tell_dependencies(binding: &Entry, status: &mut ReleaseBindingStatus, found: Connections) {
    let declared = !found.targets.is_empty();
    let resources_declared = !found.resource_targets.is_empty();
    status.connection_targets = found.targets;
    status.resolved_connections = found.resolved.into_iter().map(|c| c.resolved).collect();
    status.pending_connections = found.pending;
    status.resource_dependency_targets = found.resource_targets;
    status.pending_resource_dependencies = found.pending_resources;
    let pending: Vec<String> =
        status.pending_connections.iter().map(|p| p.reason.clone()).collect();
    let (holds, reason, message) = match (declared, pending.is_empty()) {
        (false, _) => (true, "NoConnections", "The workload calls no endpoints".to_owned()),
        (true, true) => {
            (true, "AllConnectionsResolved", "Every called endpoint has an address".to_owned())
        }
        (true, false) => (false, "ConnectionsPending", pending.join("; ")),
    };
    set(binding, status, "ConnectionsResolved", holds, reason, &message);
    let pending: Vec<String> = status
        .pending_resource_dependencies
        .iter()
        .map(|p| format!("{}: {}", p.resource_name, p.reason))
        .collect();
    let (holds, reason, message) = match (resources_declared, pending.is_empty()) {
        (false, _) => (true, "NoResourceDependencies", "The workload uses no resources".to_owned()),
        (true, true) => {
            (true, "AllResourceDependenciesReady", "Every used resource is ready".to_owned())
        }
        (true, false) => (false, "ResourceDependenciesPending", pending.join("; ")),
    };
    set(binding, status, "ResourceDependenciesReady", holds, reason, &message);
}

/// Whether everything the workload depends on is there.
fn dependencies_hold(status: &ReleaseBindingStatus) -> bool {
    status.conditions.holds("ConnectionsResolved")
        && status.conditions.holds("ResourceDependenciesReady")
}
