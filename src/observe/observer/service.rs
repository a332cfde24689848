//! The one way from a query to its answer, for REST and MCP alike.

use std::sync::Arc;
use std::time::Instant;

use curtain_control::authz::Hierarchy;
use curtain_control::identity::Caller;
use serde_json::Value;

use super::ask::{LogsQuery, answer};
use super::gate::{Gate, GateError};
use crate::store::{Store, StoreError};

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

    /// Checks, asks, looks.
    pub(super) async fn query(
        &self,
        caller: &Caller,
        token: &str,
        query: LogsQuery,
    ) -> Result<Value, Refusal> {
        let started = Instant::now();
        let query = query.check().map_err(Refusal::Invalid)?;
        let at = Hierarchy {
            namespace: query.namespace.clone(),
            project: query.project.clone(),
            component: query.component.clone(),
            resource: String::new(),
        };
        self.gate.check(caller, token, &at, &query.environment).await?;
        let found = self.store.run(move |store| store.query(&query)).await?;
        Ok(answer(&found, started.elapsed().as_millis()))
    }
}
