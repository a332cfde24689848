//! What rendering needs to know.

use crate::types::{
    ComponentReleaseSpec, EndpointDependency, EndpointUrl, GatewaySpec, ReleaseBindingSpec, labels,
};
use curtain_template::{MAX_LABEL, MAX_NAME, name_gen};
use serde_json::Value;
use std::collections::BTreeMap;

/// Everything a component's rendering depends on.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// Who and where.
    pub metadata: &'a Metadata,
    /// The frozen component, type, traits and workload.
    pub release: &'a ComponentReleaseSpec,
    /// The environment's input and overrides.
    pub binding: &'a ReleaseBindingSpec,
    /// The environment.
    pub environment: Environment<'a>,
    /// The environment's data plane.
    pub data_plane: DataPlane<'a>,
    /// The endpoint dependencies that have an address.
    pub connections: &'a [Connection],
    /// The resource dependencies that are ready.
    pub resources: &'a [ResourceBinding],
    /// The secret keys that SecretReferences of the namespace offer.
    pub secrets: &'a SecretKeys,
}

/// A name with its uid.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// The object's name.
    pub name: String,
    /// The object's uid.
    pub uid: String,
}

impl Named {
    /// A name with its uid.
    pub fn new(name: impl Into<String>, uid: impl Into<String>) -> Named {
        Named { name: name.into(), uid: uid.into() }
    }
}

/// Who is rendered, and where to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The control-plane namespace.
    pub namespace: String,
    /// The project.
    pub project: Named,
    /// The component.
    pub component: Named,
    /// The environment.
    pub environment: Named,
    /// The data plane.
    pub data_plane: Named,
}

impl Metadata {
    /// The name for the component's objects.
    pub fn name(&self) -> String {
        name_gen(MAX_NAME, &[&self.component.name, &self.environment.name])
    }

    /// The namespace in the data plane that the project's components of the environment share.
    pub fn cell(&self) -> String {
        cell_namespace(&self.namespace, &self.project.name, &self.environment.name)
    }

    /// Labels of every rendered object, and the selector of the component's pods.
    pub fn labels(&self) -> BTreeMap<&'static str, &str> {
        BTreeMap::from([
            (labels::NAMESPACE, self.namespace.as_str()),
            (labels::PROJECT, &self.project.name),
            (labels::PROJECT_UID, &self.project.uid),
            (labels::COMPONENT, &self.component.name),
            (labels::COMPONENT_UID, &self.component.uid),
            (labels::ENVIRONMENT, &self.environment.name),
            (labels::ENVIRONMENT_UID, &self.environment.uid),
        ])
    }
}

/// The data-plane namespace of a project in an environment.
pub fn cell_namespace(namespace: &str, project: &str, environment: &str) -> String {
    name_gen(MAX_LABEL, &["dp", namespace, project, environment])
}

/// What templates see of the environment.
#[derive(Debug, Clone, Default)]
pub struct Environment<'a> {
    /// Gateways that replace the data plane's, level by level.
    pub gateway: Option<&'a GatewaySpec>,
    /// The environment's default notification channel.
    pub default_notification_channel: Option<&'a str>,
}

/// What templates see of the data plane.
#[derive(Debug, Clone, Default)]
pub struct DataPlane<'a> {
    /// Its gateways.
    pub gateway: Option<&'a GatewaySpec>,
    /// Its ClusterSecretStore.
    pub secret_store: Option<&'a str>,
    /// Where its telemetry goes, when the plane says so.
    pub observability_plane_ref: Option<PlaneRef>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

/// A reference to a plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaneRef {
    /// Kind of the plane.
    pub kind: String,
    /// Name of the plane.
    pub name: String,
}

/// An endpoint dependency with its address.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    /// The namespace it is in.
    pub namespace: String,
    /// The project it is in: the dependency's, or the component's own.
    pub project: String,
    /// What the workload asks for.
    pub dependency: EndpointDependency,
    /// The address.
    pub url: EndpointUrl,
}

/// A resource dependency that is ready, as container fields.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResourceBinding {
    /// Name of the Resource.
    pub reference: String,
    /// `env` entries.
    pub env_vars: Vec<Value>,
    /// `volumeMounts` entries.
    pub volume_mounts: Vec<Value>,
    /// `volumes` entries.
    pub volumes: Vec<Value>,
}

/// Secret keys by SecretReference name and key.
pub type SecretKeys = BTreeMap<(String, String), RemoteRef>;

/// Where a secret store keeps a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteRef {
    /// Key in the store.
    pub key: String,
    /// Property of it.
    pub property: Option<String>,
    /// Version of it.
    pub version: Option<String>,
}
