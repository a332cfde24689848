//! Where the endpoints are that a workload calls.

use crate::controllers::store::{Entry, Store, What};
use crate::types::{
    ConnectionTarget, Dependencies, DependencyVisibility, EndpointDependency, EndpointUrl,
    PendingConnection, PendingResourceDependency, ReleaseBinding, ReleaseBindingSpec, ReleaseState,
    ResolvedConnection, ResourceDependencyTarget, Visibility, WorkloadTemplate,
};

/// A dependency with its address.
pub(super) struct Connection {
    pub(super) dependency: EndpointDependency,
    pub(super) resolved: ResolvedConnection,
}

/// The state of everything a workload depends on.
#[derive(Default)]
pub(super) struct Connections {
    pub(super) targets: Vec<ConnectionTarget>,
    pub(super) resolved: Vec<Connection>,
    pub(super) pending: Vec<PendingConnection>,
    pub(super) resource_targets: Vec<ResourceDependencyTarget>,
    pub(super) pending_resources: Vec<PendingResourceDependency>,
}

/// Looks every dependency up.
pub(super) fn resolve(
    store: &Store,
    namespace: &str,
    binding: &ReleaseBindingSpec,
    workload: &WorkloadTemplate,
) -> Connections {
    resolve_dependencies(store, namespace, binding, workload.dependencies.as_ref())
}

/// The same for what a workload is known to depend on.
pub(super) fn resolve_dependencies(
    store: &Store,
    namespace: &str,
    binding: &ReleaseBindingSpec,
    dependencies: Option<&Dependencies>,
) -> Connections {
    let mut all = Connections::default();
    let Some(dependencies) = dependencies else { return all };
    for dependency in &dependencies.endpoints {
        let project = dependency.project.as_deref().filter(|p| !p.is_empty());
        let project = project.unwrap_or(&binding.owner.project_name);
        let visibility = match dependency.visibility {
            DependencyVisibility::Project => Visibility::Project,
            DependencyVisibility::Namespace => Visibility::Namespace,
        };
        all.targets.push(ConnectionTarget {
            namespace: namespace.to_owned(),
            project: project.to_owned(),
            component: dependency.component.clone(),
            endpoint: dependency.name.clone(),
            visibility,
            environment: Some(binding.environment.clone()),
        });
        match address(store, namespace, project, &binding.environment, dependency) {
            Ok(url) => all.resolved.push(Connection {
                dependency: dependency.clone(),
                resolved: ResolvedConnection {
                    namespace: namespace.to_owned(),
                    project: project.to_owned(),
                    component: dependency.component.clone(),
                    endpoint: dependency.name.clone(),
                    visibility,
                    url,
                },
            }),
            Err(reason) => all.pending.push(PendingConnection {
                namespace: namespace.to_owned(),
                project: project.to_owned(),
                component: dependency.component.clone(),
                endpoint: dependency.name.clone(),
                reason,
            }),
        }
    }
    for dependency in &dependencies.resources {
        all.resource_targets.push(ResourceDependencyTarget {
            namespace: namespace.to_owned(),
            project: binding.owner.project_name.clone(),
            resource_name: dependency.r#ref.clone(),
            environment: binding.environment.clone(),
        });
        all.pending_resources.push(PendingResourceDependency {
            namespace: namespace.to_owned(),
            project: binding.owner.project_name.clone(),
            resource_name: dependency.r#ref.clone(),
            reason: "this control plane serves no Resources yet".to_owned(),
        });
    }
    all
}

/// The address that a dependency may use: both visibilities it can name are reached by the Service.
fn address(
    store: &Store,
    namespace: &str,
    project: &str,
    environment: &str,
    dependency: &EndpointDependency,
) -> Result<EndpointUrl, String> {
    let component = &dependency.component;
    let found: Vec<&Entry> = store
        .of(What::ReleaseBinding, namespace)
        .filter(|b| {
            *b.links.project == *project
                && *b.links.component == **component
                && *b.links.environment == *environment
                && !b.deleting()
        })
        .collect();
    let binding = match found.as_slice() {
        [binding] => binding,
        [] => return Err(format!("{project}/{component} has no release in {environment}")),
        many => {
            return Err(format!(
                "{project}/{component} has {} releases in {environment}",
                many.len()
            ));
        }
    };
    let spec = binding.spec::<ReleaseBinding>().map_err(|error| error.to_string())?;
    if spec.state == ReleaseState::Undeploy {
        return Err(format!("{project}/{component} is undeployed in {environment}"));
    }
    let status = binding.status::<ReleaseBinding>().map_err(|error| error.to_string())?;
    let endpoint =
        status.endpoints.into_iter().find(|e| e.name == dependency.name).ok_or_else(|| {
            format!("{project}/{component} has no endpoint {} in {environment}", dependency.name)
        })?;
    endpoint.service_url.ok_or_else(|| {
        format!(
            "the endpoint {} of {project}/{component} has no Service in {environment}",
            dependency.name
        )
    })
}
