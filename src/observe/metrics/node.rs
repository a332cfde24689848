//! One end of a call.

use super::names::{
    PEER, PEER_ENVIRONMENT, PEER_NAME, PEER_NAMESPACE, PEER_PROJECT, PEER_PROJECT_UID, PEER_UID,
};
use super::scan::Series;
use crate::asked::Place;
use crate::owner::Owner;

/// One end of a call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Node {
    /// A component in an environment. Of its uids those of the component and the project are known.
    Component(Box<Owner>),
    /// A gateway, by its name.
    Gateway(String),
    /// Something that is not of the platform, by its host.
    External(String),
}

impl Node {
    /// A component.
    pub(super) fn of(owner: &Owner) -> Node {
        Node::Component(Box::new(Owner { environment_uid: String::new(), ..owner.clone() }))
    }

    /// A component by its names alone.
    pub(super) fn named(owner: &Owner) -> Node {
        let Owner { namespace, project, component, environment, .. } = owner.clone();
        let names = Owner { namespace, project, component, environment, ..Owner::default() };
        Node::Component(Box::new(names))
    }

    /// The same without uids.
    pub(super) fn by_name(&self) -> Node {
        match self {
            Node::Component(owner) => Node::named(owner),
            other => other.clone(),
        }
    }

    /// The other end of a series.
    pub(super) fn peer(series: &Series) -> Node {
        let label = |name: &str| series.label(name).to_owned();
        match series.label(PEER) {
            "component" => Node::Component(Box::new(Owner {
                namespace: label(PEER_NAMESPACE),
                project: label(PEER_PROJECT),
                component: label(PEER_NAME),
                environment: label(PEER_ENVIRONMENT),
                project_uid: label(PEER_PROJECT_UID),
                component_uid: label(PEER_UID),
                environment_uid: String::new(),
            })),
            "gateway" => Node::Gateway(label(PEER_NAME)),
            _ => Node::External(label(PEER_NAME)),
        }
    }

    /// Whether it is a component of that project in that environment.
    pub(super) fn is_in(&self, place: &Place) -> bool {
        matches!(self, Node::Component(owner) if owner.namespace == place.namespace
            && owner.project == place.project && owner.environment == place.environment)
    }

    pub(super) fn is_component(&self, name: &str) -> bool {
        matches!(self, Node::Component(owner) if owner.component == name)
    }

    /// In few words.
    pub(super) fn name(&self, place: &Place) -> String {
        match self {
            Node::Component(owner) if self.is_in(place) => owner.component.clone(),
            Node::Component(owner) => format!("{}/{}", owner.project, owner.component),
            Node::Gateway(name) => format!("gateway:{name}"),
            Node::External(host) => format!("external:{host}"),
        }
    }
}
