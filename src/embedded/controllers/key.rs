//! Namespace and name.

use std::fmt;
use std::sync::Arc;

use kube::{Resource, ResourceExt};

/// Which object of a kind. The namespace of a cluster-scoped one is empty. Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) namespace: Arc<str>,
    pub(super) name: Arc<str>,
}

impl Key {
    pub(super) fn new(namespace: &str, name: &str) -> Key {
        Key { namespace: namespace.into(), name: name.into() }
    }

    pub(super) fn of<K: Resource>(object: &K) -> Key {
        Key::new(object.namespace().as_deref().unwrap_or_default(), &object.name_any())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.namespace {
            "" => f.write_str(&self.name),
            namespace => write!(f, "{namespace}/{}", self.name),
        }
    }
}
