//! What the controllers know of the control plane: one entry per object, filled by watches and by the answers to our
//! own writes, whichever comes first.

use super::watch::Object;
use crate::types::{self, Kind, KindInfo};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashSet};

/// The kinds the controllers follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub(crate) enum What {
    ClusterComponentType,
    ClusterDataPlane,
    ClusterObservabilityPlane,
    ClusterTrait,
    ClusterWorkflowPlane,
    Component,
    ComponentRelease,
    DeploymentPipeline,
    Environment,
    ObservabilityAlertsNotificationChannel,
    Project,
    ReleaseBinding,
    RenderedRelease,
    Trait,
    Workload,
}

impl What {
    pub(crate) const ALL: [Self; 15] = [
        Self::ClusterComponentType,
        Self::ClusterDataPlane,
        Self::ClusterObservabilityPlane,
        Self::ClusterTrait,
        Self::ClusterWorkflowPlane,
        Self::Component,
        Self::ComponentRelease,
        Self::DeploymentPipeline,
        Self::Environment,
        Self::ObservabilityAlertsNotificationChannel,
        Self::Project,
        Self::ReleaseBinding,
        Self::RenderedRelease,
        Self::Trait,
        Self::Workload,
    ];

    pub(crate) fn info(self) -> &'static KindInfo {
        match self {
            Self::ClusterComponentType => types::ClusterComponentType::INFO,
            Self::ClusterDataPlane => types::ClusterDataPlane::INFO,
            Self::ClusterObservabilityPlane => types::ClusterObservabilityPlane::INFO,
            Self::ClusterTrait => types::ClusterTrait::INFO,
            Self::ClusterWorkflowPlane => types::ClusterWorkflowPlane::INFO,
            Self::Component => types::Component::INFO,
            Self::ComponentRelease => types::ComponentRelease::INFO,
            Self::DeploymentPipeline => types::DeploymentPipeline::INFO,
            Self::Environment => types::Environment::INFO,
            Self::ObservabilityAlertsNotificationChannel => {
                types::ObservabilityAlertsNotificationChannel::INFO
            }
            Self::Project => types::Project::INFO,
            Self::ReleaseBinding => types::ReleaseBinding::INFO,
            Self::RenderedRelease => types::RenderedRelease::INFO,
            Self::Trait => types::Trait::INFO,
            Self::Workload => types::Workload::INFO,
        }
    }

    /// Releases are large, many and read once: only their heads stay, their content is fetched when it is needed.
    fn keeps_spec(self) -> bool {
        !matches!(self, Self::ComponentRelease | Self::RenderedRelease)
    }
}

/// Names an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) what: What,
    /// Empty for cluster-scoped kinds.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(what: What, namespace: &str, name: &str) -> Self {
        Self { what, namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = self.what.info().kind;
        match self.namespace.as_str() {
            "" => write!(f, "{kind} {}", self.name),
            namespace => write!(f, "{kind} {namespace}/{}", self.name),
        }
    }
}

/// Whose an object is, from its spec; empty where it does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Links {
    pub(crate) project: Box<str>,
    pub(crate) component: Box<str>,
    pub(crate) environment: Box<str>,
    pub(crate) release: Box<str>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LinkFields<'a> {
    #[serde(borrow)]
    owner: Option<&'a RawValue>,
    environment: Box<str>,
    environment_name: Box<str>,
    release_name: Box<str>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct OwnerFields {
    project_name: Box<str>,
    component_name: Box<str>,
}

impl Links {
    fn parse(spec: &str) -> Self {
        let fields: LinkFields = serde_json::from_str(spec).unwrap_or_default();
        let owner: OwnerFields =
            fields.owner.and_then(|o| serde_json::from_str(o.get()).ok()).unwrap_or_default();
        let environment = match fields.environment.is_empty() {
            true => fields.environment_name,
            false => fields.environment,
        };
        Self {
            project: owner.project_name,
            component: owner.component_name,
            environment,
            release: fields.release_name,
        }
    }
}

/// One object with its links.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) object: Object,
    pub(crate) links: Links,
}

impl std::ops::Deref for Entry {
    type Target = Object;

    fn deref(&self) -> &Object {
        &self.object
    }
}

/// Why a stored object could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {part} of {kind} {name}: {source}")]
pub(crate) struct DecodeError {
    part: &'static str,
    kind: &'static str,
    name: String,
    source: serde_json::Error,
}

impl Object {
    /// The spec, decoded.
    pub(crate) fn spec<K: Kind>(&self) -> Result<K::Spec, DecodeError>
    where
        K::Spec: serde::de::DeserializeOwned,
    {
        let text = if self.spec.is_empty() { "{}" } else { &self.spec };
        serde_json::from_str(text).map_err(|source| self.unreadable::<K>("spec", source))
    }

    /// The status, decoded; the default when there is none.
    pub(crate) fn status<K: Kind>(&self) -> Result<K::Status, DecodeError>
    where
        K::Status: serde::de::DeserializeOwned + Default,
    {
        match &*self.status {
            "" => Ok(K::Status::default()),
            text => {
                serde_json::from_str(text).map_err(|source| self.unreadable::<K>("status", source))
            }
        }
    }

    fn unreadable<K: Kind>(&self, part: &'static str, source: serde_json::Error) -> DecodeError {
        DecodeError { part, kind: K::INFO.kind, name: self.name().to_owned(), source }
    }
}

/// All known objects.
#[derive(Debug, Default)]
pub(crate) struct Store {
    objects: BTreeMap<Key, Entry>,
}

/// What an observation changed, and the entry before; the one after is in the store.
#[derive(Debug)]
pub(crate) struct Delta {
    pub(crate) key: Key,
    pub(crate) before: Option<Entry>,
}

impl Store {
    pub(crate) fn get(&self, what: What, namespace: &str, name: &str) -> Option<&Entry> {
        self.objects.get(&Key::new(what, namespace, name))
    }

    /// The objects of a kind in a namespace.
    pub(crate) fn of(&self, what: What, namespace: &str) -> impl Iterator<Item = &Entry> {
        let namespace = namespace.to_owned();
        self.all_from(Key::new(what, &namespace, ""))
            .take_while(move |(key, _)| key.what == what && key.namespace == namespace)
            .map(|(_, entry)| entry)
    }

    /// The objects of a kind in every namespace.
    pub(crate) fn all(&self, what: What) -> impl Iterator<Item = &Entry> {
        self.all_from(Key::new(what, "", ""))
            .take_while(move |(key, _)| key.what == what)
            .map(|(_, entry)| entry)
    }

    fn all_from(&self, from: Key) -> impl Iterator<Item = (&Key, &Entry)> {
        self.objects.range(from..)
    }

    /// Takes an object in unless a newer state of it is known.
    pub(crate) fn put(&mut self, what: What, mut object: Object) -> Option<Delta> {
        let key = Key::new(what, object.namespace(), object.name());
        let before = self.objects.get(&key);
        if before.is_some_and(|b| b.uid() == object.uid() && !object.is_later_than(b.version())) {
            return None;
        }
        let links = Links::parse(&object.spec);
        if !what.keeps_spec() {
            object.spec = "".into();
        }
        let before = self.objects.insert(key.clone(), Entry { object, links });
        Some(Delta { key, before })
    }

    /// Takes note that an object is gone.
    pub(crate) fn remove(&mut self, what: What, object: &Object) -> Option<Delta> {
        let key = Key::new(what, object.namespace(), object.name());
        if self.objects.get(&key).is_none_or(|known| known.uid() != object.uid()) {
            return None;
        }
        let before = self.objects.remove(&key);
        Some(Delta { key, before })
    }

    /// Makes the objects of a kind those of a list made at `version`, and what is newer than it.
    pub(crate) fn replace(
        &mut self,
        what: What,
        objects: Vec<Object>,
        version: &str,
    ) -> Vec<Delta> {
        let listed: HashSet<String> = objects.iter().map(|o| o.uid().to_owned()).collect();
        let gone: Vec<Object> = self
            .all(what)
            .filter(|known| !listed.contains(known.uid()) && !known.is_later_than(version))
            .map(|known| known.object.clone())
            .collect();
        let mut deltas: Vec<Delta> = gone.iter().filter_map(|o| self.remove(what, o)).collect();
        deltas.extend(objects.into_iter().filter_map(|o| self.put(what, o)));
        deltas
    }
}
