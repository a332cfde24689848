//! The one way from a query to its answer, for REST and MCP alike.

use std::sync::Arc;

use curtain_control::authz::Hierarchy;
use curtain_control::identity::{Caller, Secret};

use super::ask::LogsQuery;
use super::gate::{Gate, GateError};
use crate::store::{Found, Store, StoreError};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Gate(#[from] GateError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Answers queries of callers who may ask them.
#[derive(Clone, Debug)]
pub(super) struct Logs {
    store: Store,
    gate: Arc<Gate>,
}

impl Logs {
    pub(super) fn new(store: Store, gate: Gate) -> Self {
        Logs { store, gate: Arc::new(gate) }
    }

    /// Whether the caller may look at the logs of anything.
    pub(super) async fn may_look_anywhere(&self, token: &Secret) -> bool {
        self.gate.anywhere(token).await
    }

    /// Checks, asks, looks.
    pub(super) async fn query(
        &self,
        caller: &Caller,
        token: &Secret,
        query: LogsQuery,
    ) -> Result<Found, Refusal> {
        let query = query.check().map_err(Refusal::Invalid)?;
        let at = Hierarchy::namespace(query.namespace.clone())
            .project(query.project.clone())
            .component(query.component.clone());
        self.gate.check(caller, token, &at, &query.environment).await?;
        Ok(self.store.run(move |store| store.query(&query)).await?)
    }
}
