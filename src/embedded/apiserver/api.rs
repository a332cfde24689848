//! What all handlers share.

use std::sync::{Arc, PoisonError, RwLock};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::addresses::Allocator;
use super::admission::Plugin;
use super::auth::rbac::Rbac;
use super::auth::token::Tokens;
use super::kinds::{Catalog, DEFINITIONS, Resource, builtin_resources};
use super::node::NodeBackend;
use super::quota::Turn;
use super::store::{Store, Table};

/// The server's state: the store, and what is derived from it.
pub struct Api {
    pub(super) store: Store,
    pub(super) rbac: Rbac,
    pub(super) tokens: Tokens,
    pub(super) addresses: Allocator,
    pub(super) quotas: Turn,
    /// Asked about every write.
    pub(super) plugins: Vec<Box<dyn Plugin>>,
    /// Ends watches, log streams and WebSockets.
    pub(super) stopping: CancellationToken,
    /// The tasks that serve WebSockets.
    pub(super) streams: TaskTracker,
    builtin: Vec<Arc<Resource>>,
    definitions: Table,
    /// With the resourceVersion of the definitions that it was made from.
    catalog: RwLock<(u64, Arc<Catalog>)>,
    node: RwLock<Option<Arc<dyn NodeBackend>>>,
}

impl Api {
    pub(super) fn new(
        store: Store,
        tokens: Tokens,
        addresses: Allocator,
        plugins: Vec<Box<dyn Plugin>>,
        stopping: CancellationToken,
    ) -> Self {
        let builtin = builtin_resources();
        let catalog = RwLock::new((u64::MAX, Arc::default()));
        let api = Self {
            store,
            rbac: Rbac::default(),
            tokens,
            addresses,
            quotas: Turn::default(),
            plugins,
            stopping,
            streams: TaskTracker::new(),
            builtin,
            definitions: DEFINITIONS.into(),
            catalog,
            node: RwLock::default(),
        };
        for service in api.store.list(&"/services".into(), None).objects {
            api.addresses.restore(&service.value());
        }
        api
    }

    /// What is served right now: never older than the definitions that a client can see.
    pub(super) fn catalog(&self) -> Arc<Catalog> {
        let current = self.store.changed(&self.definitions);
        {
            let catalog = self.catalog.read().unwrap_or_else(PoisonError::into_inner);
            if catalog.0 == current {
                return catalog.1.clone();
            }
        }
        let mut catalog = self.catalog.write().unwrap_or_else(PoisonError::into_inner);
        // Read again under the lock: of two changes the later one must win.
        let current = self.store.changed(&self.definitions);
        if catalog.0 != current {
            let definitions = super::kinds::custom_resources(&self.store, &catalog.1);
            *catalog = (current, Arc::new(Catalog::new(&self.builtin, definitions)));
        }
        catalog.1.clone()
    }

    pub(super) fn node(&self) -> Option<Arc<dyn NodeBackend>> {
        self.node.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_node(&self, node: Arc<dyn NodeBackend>) {
        *self.node.write().unwrap_or_else(PoisonError::into_inner) = Some(node);
    }
}
