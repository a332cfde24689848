//! From a binding and what it refers to, to RenderedReleases.

use super::connections::{self, Connections};
use super::memo::Rendering;
use super::{Obstacle, Subject, names, tell_dependencies};
use crate::controllers::context::{Context, Error, controls};
use crate::controllers::rendered::{Wanted, Written, controlled_by, observability, write};
use crate::controllers::store::{Entry, What};
use crate::render;
use crate::types::{
    ComponentRelease, ComponentReleaseSpec, ReleaseBinding, ReleaseBindingSpec,
    ReleaseBindingStatus, RenderedReleaseOwner, TargetPlane, VarSource, WorkloadTemplate, labels,
};
use std::collections::BTreeSet;

/// Renders if anything it depends on changed, writes the RenderedReleases, and puts endpoints and dependencies into the
/// status.
pub(super) async fn bring_up(
    ctx: &Context,
    binding: &Entry,
    spec: &ReleaseBindingSpec,
    subject: &Subject,
    status: &mut ReleaseBindingStatus,
) -> Result<Result<Written, Obstacle>, Error> {
    let inputs = inputs(binding, subject);
    if let Some(last) = ctx.renderings.get(binding.uid()).filter(|last| last.inputs == inputs)
        && let Some(found) = unchanged(ctx, binding, spec, &last)
    {
        status.endpoints = last.endpoints;
        status.secret_reference_names = last.secrets;
        tell_dependencies(binding, status, found);
        return Ok(Ok(Written::Same));
    }
    let name = subject.release.name();
    let Some(release) = ctx.fetch::<ComponentRelease>(binding.namespace(), name).await? else {
        let message = format!("ComponentRelease {name} does not exist");
        return Ok(Err(Obstacle("ComponentReleaseNotFound", message)));
    };
    let release = match release.spec::<ComponentRelease>() {
        Ok(release) if release.component_type.spec.resources.is_empty() => {
            let message = format!("the component type in ComponentRelease {name} renders nothing");
            return Ok(Err(Obstacle("InvalidReleaseConfiguration", message)));
        }
        Ok(release) => release,
        Err(error) => return Ok(Err(Obstacle("InvalidReleaseConfiguration", error.to_string()))),
    };
    let found =
        ctx.read(|store| connections::resolve(store, binding.namespace(), spec, &release.workload));
    let rendered = match render(binding, spec, subject, &release, &found) {
        Ok(rendered) => rendered,
        Err(error) => return Ok(Err(Obstacle("RenderingFailed", error.to_string()))),
    };
    let endpoints = render::endpoint_urls(
        &rendered.data_plane,
        &release.workload,
        subject.ground.environment_spec.gateway.as_ref(),
        subject.ground.data_plane_spec.gateway.as_ref(),
    );
    let secrets = secrets(&release.workload, spec);
    let connections: Vec<_> = found.resolved.iter().map(|c| c.resolved.clone()).collect();
    let written = match write_all(ctx, binding, spec, subject, rendered).await {
        Ok(Ok(written)) => written,
        Ok(Err(obstacle)) => return Ok(Err(obstacle)),
        Err(error) => {
            super::set(
                binding,
                status,
                "ReleaseSynced",
                false,
                "ReleaseUpdateFailed",
                &error.to_string(),
            );
            return Err(error);
        }
    };
    status.endpoints.clone_from(&endpoints);
    status.secret_reference_names.clone_from(&secrets);
    tell_dependencies(binding, status, found);
    if let Some(current) = current(ctx, binding, spec) {
        let dependencies = release.workload.dependencies;
        let release = (current.uid().to_owned(), current.meta.generation);
        let rendering =
            Rendering { inputs, connections, dependencies, release, endpoints, secrets };
        ctx.renderings.set(binding.uid(), rendering);
    }
    Ok(Ok(written))
}

/// The dependencies, when the last rendering is still right: made with the same addresses, and untouched since.
fn unchanged(
    ctx: &Context,
    binding: &Entry,
    spec: &ReleaseBindingSpec,
    last: &Rendering,
) -> Option<Connections> {
    let current = current(ctx, binding, spec)?;
    if (current.uid(), current.meta.generation) != (&last.release.0, last.release.1) {
        return None;
    }
    let found = ctx.read(|store| {
        connections::resolve_dependencies(
            store,
            binding.namespace(),
            spec,
            last.dependencies.as_ref(),
        )
    });
    found.resolved.iter().map(|c| &c.resolved).eq(&last.connections).then_some(found)
}

fn current(ctx: &Context, binding: &Entry, spec: &ReleaseBindingSpec) -> Option<Entry> {
    let name = names::rendered_release(&spec.owner.component_name, &spec.environment);
    let current = ctx.get(What::RenderedRelease, binding.namespace(), &name)?;
    (controls(binding, &current) && !current.deleting()).then_some(current)
}

/// Identity and version of everything that rendering reads.
fn inputs(binding: &Entry, subject: &Subject) -> String {
    let Subject { release, ground, component, project, .. } = subject;
    let mut text = String::new();
    for entry in [binding, &ground.environment, &ground.data_plane] {
        text.push_str(&format!("{}/{:?} ", entry.uid(), entry.meta.generation));
    }
    for entry in [release, component, project] {
        text.push_str(&format!("{} ", entry.uid()));
    }
    let restarted = binding.annotation(labels::RESTARTED_AT);
    let channel = &subject.default_channel;
    text.push_str(&format!("{restarted:?} {channel:?} {:?}", ground.data_plane.meta.annotations));
    text
}

fn render(
    binding: &Entry,
    spec: &ReleaseBindingSpec,
    subject: &Subject,
    release: &ComponentReleaseSpec,
    found: &Connections,
) -> Result<render::Rendered, render::Error> {
    let named = |entry: &Entry| render::Named::new(entry.name(), entry.uid());
    let plane = &subject.ground.data_plane_spec;
    let metadata = render::Metadata {
        namespace: binding.namespace().to_owned(),
        project: named(&subject.project),
        component: named(&subject.component),
        environment: named(&subject.ground.environment),
        data_plane: named(&subject.ground.data_plane),
    };
    let connections: Vec<render::Connection> = found
        .resolved
        .iter()
        .map(|c| render::Connection {
            namespace: c.resolved.namespace.clone(),
            project: c.resolved.project.clone(),
            dependency: c.dependency.clone(),
            url: c.resolved.url.clone(),
        })
        .collect();
    let annotations = subject.ground.data_plane.meta.annotations.clone().unwrap_or_default();
    let input = render::Input {
        metadata: &metadata,
        release,
        binding: spec,
        environment: render::Environment {
            gateway: subject.ground.environment_spec.gateway.as_ref(),
            default_notification_channel: subject.default_channel.as_deref(),
        },
        data_plane: render::DataPlane {
            gateway: plane.gateway.as_ref(),
            secret_store: plane.secret_store_ref.as_ref().map(|s| s.name.as_str()),
            observability_plane_ref: plane.observability_plane_ref.as_ref().map(|r| {
                render::PlaneRef {
                    kind: "ClusterObservabilityPlane".to_owned(),
                    name: r.name.clone(),
                }
            }),
            annotations,
        },
        connections: &connections,
        resources: &[],
        secrets: &Default::default(),
    };
    let mut rendered = render::component(&input)?;
    rendered.data_plane.extend(render::network_policies(&metadata, &release.workload));
    Ok(rendered)
}

async fn write_all(
    ctx: &Context,
    binding: &Entry,
    spec: &ReleaseBindingSpec,
    subject: &Subject,
    rendered: render::Rendered,
) -> Result<Result<Written, Obstacle>, Error> {
    let (component, environment) = (&spec.owner.component_name, &spec.environment);
    let foreign = |name: &str| {
        let message = format!("RenderedRelease {name} exists and does not belong to this binding");
        Ok(Err(Obstacle("ReleaseOwnershipConflict", message)))
    };
    let wanted = |name: &str, target_plane, plane, manifests| Wanted {
        name: name.to_owned(),
        owner: RenderedReleaseOwner {
            project_name: spec.owner.project_name.clone(),
            component_name: Some(component.clone()),
            resource_name: None,
        },
        environment,
        target_plane,
        plane,
        resources: render::resources(manifests),
    };
    let name = names::rendered_release(component, environment);
    let plane = subject.ground.data_plane_ref();
    let release = wanted(&name, TargetPlane::DataPlane, &plane, rendered.data_plane);
    let written = write::<ReleaseBinding>(ctx, binding, release).await?;
    if written == Written::Foreign {
        return foreign(&name);
    }
    let name = names::observability_release(component, environment);
    if rendered.observability_plane.is_empty() {
        let stale = controlled_by(ctx, binding).into_iter().find(|release| release.name() == name);
        if let Some(stale) = stale {
            ctx.delete(What::RenderedRelease, &stale).await?;
        }
        return Ok(Ok(written));
    }
    let plane = match ctx.read(|store| observability(store, &subject.ground.data_plane_spec)) {
        Ok(plane) => plane,
        Err(error) => return Ok(Err(Obstacle("ReleaseUpdateFailed", error.to_string()))),
    };
    let release =
        wanted(&name, TargetPlane::ObservabilityPlane, &plane, rendered.observability_plane);
    match write::<ReleaseBinding>(ctx, binding, release).await? {
        Written::Foreign => foreign(&name),
        _ => Ok(Ok(written)),
    }
}

/// The SecretReferences that variables and files name, overrides first.
fn secrets(workload: &WorkloadTemplate, binding: &ReleaseBindingSpec) -> Vec<String> {
    let overrides = binding.workload_overrides.as_ref().and_then(|o| o.container.as_ref());
    let sources = overrides
        .iter()
        .flat_map(|c| {
            c.env.iter().map(|v| &v.value_from).chain(c.files.iter().map(|v| &v.value_from))
        })
        .chain(workload.container.env.iter().map(|v| &v.value_from))
        .chain(workload.container.files.iter().map(|v| &v.value_from));
    let name =
        |source: &Option<VarSource>| Some(source.as_ref()?.secret_key_ref.as_ref()?.name.clone());
    let names: BTreeSet<String> = sources.filter_map(name).collect();
    names.into_iter().collect()
}
