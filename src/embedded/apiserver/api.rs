//! What all handlers share.

use std::sync::{Arc, PoisonError, RwLock};

use tokio_util::sync::CancellationToken;

use super::addresses::Allocator;
use super::auth::rbac::Rbac;
use super::auth::token::Tokens;
use super::kinds::{Catalog, Resource, builtin_resources};
use super::node::NodeBackend;
use super::store::Store;

/// The server's state: the store, and what is derived from it.
pub struct Api {
    pub(super) store: Store,
    pub(super) rbac: Rbac,
    pub(super) tokens: Tokens,
    pub(super) addresses: Allocator,
    /// Ends watches and log streams.
    pub(super) stopping: CancellationToken,
    builtin: Vec<Arc<Resource>>,
    catalog: RwLock<Arc<Catalog>>,
    node: RwLock<Option<Arc<dyn NodeBackend>>>,
}

impl Api {
    pub(super) fn new(
        store: Store,
        tokens: Tokens,
        addresses: Allocator,
        stopping: CancellationToken,
    ) -> Self {
        let builtin = builtin_resources();
        let catalog = RwLock::new(Arc::new(Catalog::new(builtin.clone())));
        let api = Self {
            store,
            rbac: Rbac::default(),
            tokens,
            addresses,
            stopping,
            builtin,
            catalog,
            node: RwLock::default(),
        };
        for service in api.store.list(&"/services".into(), None).objects {
            api.addresses.restore(&service.value());
        }
        api.refresh_catalog();
        api
    }

    /// What is served right now.
    pub(super) fn catalog(&self) -> Arc<Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Brings the catalog up to date with the stored definitions.
    pub(super) fn refresh_catalog(&self) {
        // The lock is held over the reading, so that of two changes the later one wins.
        let mut catalog = self.catalog.write().unwrap_or_else(PoisonError::into_inner);
        let known = catalog.clone();
        let mut resources = self.builtin.clone();
        resources.extend(super::kinds::custom_resources(&self.store, &known));
        *catalog = Arc::new(Catalog::new(resources));
    }

    pub(super) fn node(&self) -> Option<Arc<dyn NodeBackend>> {
        self.node.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_node(&self, node: Arc<dyn NodeBackend>) {
        *self.node.write().unwrap_or_else(PoisonError::into_inner) = Some(node);
    }
}
