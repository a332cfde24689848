//! What was rendered last, so that news about live objects does not render again.

use crate::types::{Dependencies, EndpointStatus, ResolvedConnection};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// One rendering: what it was made from and what it came to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rendering {
    /// Identity and version of every object it was made from.
    pub(super) inputs: String,
    /// The addresses it was made with.
    pub(super) connections: Vec<ResolvedConnection>,
    /// What the workload depends on.
    pub(super) dependencies: Option<Dependencies>,
    /// uid and generation of the RenderedRelease that holds it.
    pub(super) release: (String, Option<i64>),
    /// The endpoints' addresses.
    pub(super) endpoints: Vec<EndpointStatus>,
    /// SecretReferences in use.
    pub(super) secrets: Vec<String>,
}

/// The last rendering of each binding, by uid.
#[derive(Default)]
pub(crate) struct Renderings(Mutex<HashMap<String, Rendering>>);

impl Renderings {
    pub(super) fn get(&self, uid: &str) -> Option<Rendering> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(uid).cloned()
    }

    pub(super) fn set(&self, uid: &str, rendering: Rendering) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(uid.to_owned(), rendering);
    }

    pub(super) fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}
