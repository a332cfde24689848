//! The table of kinds.

use kube::core::{ApiResource, GroupVersionKind};
use serde_json::Value;

use super::{Object, store::check_name, view::text_at};
use crate::authz::{Attributes, Hierarchy};

/// What can be done with the objects of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Read one or many.
    View,
    /// Make one.
    Create,
    /// Replace one.
    Update,
    /// Remove one.
    Delete,
}

impl Verb {
    /// As actions name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// Where an object stands in the hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: it is the installation's.
    Cluster,
    /// It is a namespace.
    Namespace,
    /// In its namespace.
    InNamespace,
    /// It is a project of its namespace.
    Project,
    /// It is a component of the project that owns it.
    Component,
    /// It belongs to the component that owns it.
    OfComponent,
}

/// A kind that callers can see.
#[derive(Debug)]
pub struct Kind {
    /// `Component`
    pub kind: &'static str,
    /// `components`: in URLs.
    pub plural: &'static str,
    /// `component`: in actions.
    pub action: &'static str,
    /// Where its objects stand.
    pub place: Place,
    /// What callers can do with them.
    pub verbs: &'static [Verb],
    /// The query parameter that narrows lists, if there is one: `project` or `component`.
    pub filter: Option<&'static str>,
    /// Whether `…/{name}/schema` shows the schema of its parameters.
    pub schema: bool,
}

const CRUD: &[Verb] = &[Verb::View, Verb::Create, Verb::Update, Verb::Delete];
const NO_UPDATE: &[Verb] = &[Verb::View, Verb::Create, Verb::Delete];

macro_rules! kinds {
    ($($kind:literal $plural:literal $action:literal $place:ident $verbs:ident
       $(by $filter:literal)? $(with $schema:ident)?;)+) => {
        /// Every kind, in the order of the API's documentation.
        pub static KINDS: &[Kind] = &[$(Kind {
            kind: $kind,
            plural: $plural,
            action: $action,
            place: Place::$place,
            verbs: $verbs,
            filter: kinds!(@filter $($filter)?),
            schema: kinds!(@schema $($schema)?),
        }),+];
    };
    (@filter) => { None };
    (@filter $filter:literal) => { Some($filter) };
    (@schema) => { false };
    (@schema schema) => { true };
}

kinds! {
    "Namespace" "namespaces" "namespace" Namespace CRUD;
    "Project" "projects" "project" Project CRUD;
    "Component" "components" "component" Component CRUD by "project" with schema;
    "Environment" "environments" "environment" InNamespace CRUD;
    "ClusterDataPlane" "clusterdataplanes" "clusterdataplane" Cluster CRUD;
    "ClusterWorkflowPlane" "clusterworkflowplanes" "clusterworkflowplane" Cluster CRUD;
    "ClusterObservabilityPlane" "clusterobservabilityplanes" "clusterobservabilityplane" Cluster CRUD;
    "ClusterComponentType" "clustercomponenttypes" "clustercomponenttype" Cluster CRUD with schema;
    "ClusterTrait" "clustertraits" "clustertrait" Cluster CRUD with schema;
    "Trait" "traits" "trait" InNamespace CRUD with schema;
    "ClusterAuthzRole" "clusterauthzroles" "clusterauthzrole" Cluster CRUD;
    "ClusterAuthzRoleBinding" "clusterauthzrolebindings" "clusterauthzrolebinding" Cluster CRUD;
    "AuthzRole" "authzroles" "authzrole" InNamespace CRUD;
    "AuthzRoleBinding" "authzrolebindings" "authzrolebinding" InNamespace CRUD;
    "Workload" "workloads" "workload" OfComponent CRUD by "component";
    "ComponentRelease" "componentreleases" "componentrelease" OfComponent NO_UPDATE by "component";
    "ReleaseBinding" "releasebindings" "releasebinding" OfComponent CRUD by "component";
    "DeploymentPipeline" "deploymentpipelines" "deploymentpipeline" InNamespace CRUD;
    "ObservabilityAlertsNotificationChannel" "observabilityalertsnotificationchannels"
        "observabilityalertsnotificationchannel" InNamespace CRUD;
}

/// The row of `kind`, which the code names and the table has.
pub fn kind(kind: &str) -> &'static Kind {
    kind_of(kind).unwrap_or_else(|| {
        // Every caller passes a literal, and the test below looks each of them up.
        unreachable!("{kind} is not in the table of kinds")
    })
}

/// The row of `kind`, which may be anything.
pub fn kind_of(kind: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|row| row.kind == kind)
}

impl Kind {
    /// Whether its objects live in namespaces.
    pub fn is_namespaced(&self) -> bool {
        !matches!(self.place, Place::Cluster | Place::Namespace)
    }

    /// `component:view`.
    pub fn action(&self, verb: Verb) -> String {
        format!("{}:{}", self.action, verb.as_str())
    }

    /// The object `name` as the audit lines say it: `Component/web`, or the kind alone without a name.
    pub fn object(&self, name: &str) -> String {
        if name.is_empty() { self.kind.to_owned() } else { format!("{}/{name}", self.kind) }
    }

    /// Whether an object of it can be called `name`.
    pub(crate) fn names(&self, name: &str) -> bool {
        check_name(self, name).is_ok()
    }

    /// For a dynamic client.
    pub fn resource(&self) -> ApiResource {
        let gvk = match self.place {
            Place::Namespace => GroupVersionKind::gvk("", "v1", self.kind),
            _ => GroupVersionKind::gvk("openchoreo.dev", "v1alpha1", self.kind),
        };
        ApiResource::from_gvk_with_plural(&gvk, self.plural)
    }

    /// Where `object` stands. Its namespace is `namespace`, whatever it says itself.
    pub fn place_of(&self, namespace: &str, object: &Object) -> Hierarchy {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let owner = |field: &str| text_at(&object.data, &["spec", "owner", field]);
        match self.place {
            Place::Cluster => Hierarchy::cluster(),
            Place::Namespace => Hierarchy::namespace(name),
            Place::InNamespace => Hierarchy::namespace(namespace),
            Place::Project => Hierarchy::namespace(namespace).project(name),
            Place::Component => {
                Hierarchy::namespace(namespace).project(owner("projectName")).component(name)
            }
            Place::OfComponent => Hierarchy::namespace(namespace)
                .project(owner("projectName"))
                .component(owner("componentName")),
        }
    }

    /// Where any object of this name stands, when that can be said without reading it.
    pub fn place_of_name(&self, namespace: &str, name: &str) -> Option<Hierarchy> {
        match self.place {
            Place::Cluster => Some(Hierarchy::cluster()),
            Place::Namespace => Some(Hierarchy::namespace(name)),
            Place::InNamespace => Some(Hierarchy::namespace(namespace)),
            Place::Project => Some(Hierarchy::namespace(namespace).project(name)),
            Place::Component | Place::OfComponent => None,
        }
    }

    /// The place that holds all objects of it in `namespace`.
    pub(super) fn somewhere(&self, namespace: &str) -> Hierarchy {
        match self.is_namespaced() {
            true => Hierarchy::namespace(namespace),
            false => Hierarchy::cluster(),
        }
    }

    /// What conditions may look at when `verb` is done to `object`.
    pub fn attributes(&self, namespace: &str, object: &Value, verb: Verb) -> Attributes {
        match (self.kind, verb) {
            ("ReleaseBinding", _) => {
                Attributes::environment(namespace, &text_at(object, &["spec", "environment"]))
            }
            ("Component", Verb::Create | Verb::Update | Verb::Delete) => {
                let name = text_at(object, &["spec", "componentType", "name"]);
                let kind = text_at(object, &["spec", "componentType", "kind"]);
                let component_type = match kind.as_str() {
                    "ClusterComponentType" => name,
                    _ => format!("{namespace}/{name}"),
                };
                Attributes { component_type: Some(component_type), ..Attributes::default() }
            }
            _ => Attributes::default(),
        }
    }

    /// The path in an object that the list filter compares.
    pub(super) fn filter_path(&self) -> &'static [&'static str] {
        match self.filter {
            Some("project") => &["spec", "owner", "projectName"],
            _ => &["spec", "owner", "componentName"],
        }
    }

    /// The kind that the list filter names.
    pub(super) fn filter_kind(&self) -> &'static Kind {
        match self.filter {
            Some("project") => kind("Project"),
            _ => kind("Component"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::ACTIONS;

    #[test]
    fn every_verb_of_every_kind_is_an_action_of_the_catalogue() {
        for row in KINDS {
            for verb in row.verbs {
                let action = row.action(*verb);
                assert!(ACTIONS.iter().any(|known| known.name() == action), "{action}");
            }
        }
    }

    #[test]
    fn every_kind_is_one_of_the_platform() {
        for row in KINDS.iter().filter(|row| row.kind != "Namespace") {
            let known = curtain_platform::types::KINDS.iter().find(|info| info.kind == row.kind);
            let known = known.unwrap_or_else(|| panic!("{} has no CRD", row.kind));
            let namespaced = known.scope == curtain_platform::types::Scope::Namespaced;
            assert_eq!((known.plural, namespaced), (row.plural, row.is_namespaced()));
        }
        for name in ["Project", "Component", "Workload", "ReleaseBinding", "Namespace"] {
            assert_eq!(kind(name).kind, name);
        }
    }
}
