//! Which plane an environment's objects go to.

use crate::controllers::store::{Entry, Store, What};
use crate::remote::{PlaneRef, PlaneType};
use crate::types::{
    ClusterDataPlane, ClusterDataPlaneSpec, ClusterObservabilityPlane, ClusterWorkflowPlane,
    DataPlaneKind, Environment, EnvironmentSpec, TargetPlane,
};

/// The name of the plane that is meant when none is named.
const DEFAULT: &str = "default";

/// Why there is no plane.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoPlane {
    #[error("Environment {0} does not exist")]
    NoEnvironment(String),
    #[error("{0} {1} does not exist")]
    NoDataPlane(&'static str, String),
    #[error("ClusterObservabilityPlane {0} does not exist")]
    NoObservabilityPlane(String),
    #[error("{0}")]
    Unreadable(String),
}

/// An environment with its data plane.
pub(crate) struct Ground {
    pub(crate) environment: Entry,
    pub(crate) environment_spec: EnvironmentSpec,
    pub(crate) data_plane: Entry,
    pub(crate) data_plane_spec: ClusterDataPlaneSpec,
}

impl Ground {
    pub(crate) fn data_plane_ref(&self) -> PlaneRef {
        cluster_plane(PlaneType::Data, &self.data_plane_spec.plane_id, self.data_plane.name())
    }
}

fn cluster_plane(r#type: PlaneType, id: &str, name: &str) -> PlaneRef {
    let id = if id.is_empty() { name } else { id };
    PlaneRef { r#type, id: id.to_owned(), namespace: None, name: name.to_owned() }
}

/// The environment and the data plane it names, or the one called `default`.
pub(crate) fn ground(store: &Store, namespace: &str, environment: &str) -> Result<Ground, NoPlane> {
    let found = store
        .get(What::Environment, namespace, environment)
        .ok_or_else(|| NoPlane::NoEnvironment(environment.to_owned()))?;
    let environment_spec =
        found.spec::<Environment>().map_err(|error| NoPlane::Unreadable(error.to_string()))?;
    let name = match &environment_spec.data_plane_ref {
        Some(reference) if reference.kind == DataPlaneKind::DataPlane => {
            return Err(NoPlane::NoDataPlane("DataPlane", reference.name.clone()));
        }
        Some(reference) => reference.name.as_str(),
        None => DEFAULT,
    };
    let data_plane = store
        .get(What::ClusterDataPlane, "", name)
        .ok_or_else(|| NoPlane::NoDataPlane("ClusterDataPlane", name.to_owned()))?;
    let data_plane_spec = data_plane
        .spec::<ClusterDataPlane>()
        .map_err(|error| NoPlane::Unreadable(error.to_string()))?;
    Ok(Ground {
        environment: found.clone(),
        environment_spec,
        data_plane: data_plane.clone(),
        data_plane_spec,
    })
}

/// The plane that a release for this environment goes to.
pub(crate) fn target(
    store: &Store,
    namespace: &str,
    environment: &str,
    target: TargetPlane,
) -> Result<PlaneRef, NoPlane> {
    let ground = ground(store, namespace, environment)?;
    match target {
        TargetPlane::DataPlane => Ok(ground.data_plane_ref()),
        TargetPlane::ObservabilityPlane => observability(store, &ground.data_plane_spec),
    }
}

/// The observability plane of a data plane.
pub(crate) fn observability(
    store: &Store,
    data_plane: &ClusterDataPlaneSpec,
) -> Result<PlaneRef, NoPlane> {
    let name = data_plane.observability_plane_ref.as_ref().map_or(DEFAULT, |r| r.name.as_str());
    let plane = store
        .get(What::ClusterObservabilityPlane, "", name)
        .ok_or_else(|| NoPlane::NoObservabilityPlane(name.to_owned()))?;
    plane_ref(What::ClusterObservabilityPlane, plane)
        .ok_or_else(|| NoPlane::Unreadable(format!("cannot read ClusterObservabilityPlane {name}")))
}

/// The plane that an object registers; `None` when the object cannot be read.
pub(crate) fn plane_ref(what: What, plane: &Entry) -> Option<PlaneRef> {
    let (r#type, id) = match what {
        What::ClusterDataPlane => {
            (PlaneType::Data, plane.spec::<ClusterDataPlane>().ok()?.plane_id)
        }
        What::ClusterObservabilityPlane => {
            (PlaneType::Observability, plane.spec::<ClusterObservabilityPlane>().ok()?.plane_id)
        }
        What::ClusterWorkflowPlane => {
            (PlaneType::Workflow, plane.spec::<ClusterWorkflowPlane>().ok()?.plane_id)
        }
        _ => return None,
    };
    Some(cluster_plane(r#type, &id, plane.name()))
}
