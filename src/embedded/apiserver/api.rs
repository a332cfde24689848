//! What all handlers share.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::addresses::Allocator;
use super::admission::Plugin;
use super::auth::rbac::Rbac;
use super::auth::token::Tokens;
use super::kinds::{Catalog, DEFINITIONS, Names, Resource, builtin_resources};
use super::node::NodeBackend;
use super::quota::Turn;
use super::store::{Derived, Store};

/// The server's state: the store, and what is derived from it.
pub struct Api {
    pub(super) store: Store,
    pub(super) rbac: Rbac,
    pub(super) tokens: Tokens,
    pub(super) addresses: Allocator,
    pub(super) quotas: Turn,
    pub(super) names: Names,
    /// Held while a write that means something for others is amended and queued.
    pub(super) along: Mutex<()>,
    /// Asked about every write.
    pub(super) plugins: Vec<Box<dyn Plugin>>,
    /// Ends watches, log streams and WebSockets.
    pub(super) stopping: CancellationToken,
    /// The tasks that serve WebSockets.
    pub(super) streams: TaskTracker,
    /// Nobody beyond this machine is asked, by address or by name.
    pub(super) offline: bool,
    builtin: Vec<Arc<Resource>>,
    /// Made from the definitions.
    catalog: Derived<Catalog>,
    node: RwLock<Option<Arc<dyn NodeBackend>>>,
}

impl Api {
    pub(super) fn new(
        store: Store,
        tokens: Tokens,
        addresses: Allocator,
        plugins: Vec<Box<dyn Plugin>>,
        offline: bool,
        stopping: CancellationToken,
    ) -> Self {
        let builtin = builtin_resources();
        let api = Self {
            store,
            rbac: Rbac::default(),
            tokens,
            addresses,
            quotas: Turn::default(),
            names: Names::default(),
            along: Mutex::default(),
            plugins,
            stopping,
            streams: TaskTracker::new(),
            offline,
            builtin,
            catalog: Derived::new(DEFINITIONS),
            node: RwLock::default(),
        };
        for service in api.store.list(&"/services".into(), None).objects {
            api.addresses.restore(&service.value());
        }
        api
    }

    /// What is served right now: never older than the definitions that a client can see.
    pub(super) fn catalog(&self) -> Arc<Catalog> {
        self.catalog.get(&self.store, |_, known| {
            let definitions = super::kinds::custom_resources(&self.store, known);
            Catalog::new(&self.builtin, definitions)
        })
    }

    pub(super) fn node(&self) -> Option<Arc<dyn NodeBackend>> {
        self.node.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_node(&self, node: Arc<dyn NodeBackend>) {
        *self.node.write().unwrap_or_else(PoisonError::into_inner) = Some(node);
    }
}
