//! What a kind of telemetry brings to the observer.

use axum::Router;
use curtain_control::mcp::{Arguments, Call, Tool};
use curtain_role::Shutdown;
use futures::future::BoxFuture;
use kube::Client;
use serde_json::Value;

use super::Refusal;
use crate::database::DatabaseError;

/// Logs, for example: with a store of its own, routes, and tools.
pub(crate) trait Signal: Send + Sync + 'static {
    /// Queries by REST. Callers are known; [`rest::ask`](super::rest::ask) takes one to its answer.
    fn rest(&self) -> Router;

    /// What the collector posts and asks. Only the collector comes this far.
    fn ingest(&self) -> Router;

    /// Queries by MCP.
    fn tools(&self) -> &'static [Tool];

    /// Answers one of [`Signal::tools`].
    fn call<'a>(
        &'a self,
        call: Call<'a>,
        tool: &'static Tool,
        arguments: Arguments,
    ) -> BoxFuture<'a, Result<Value, Refusal>>;

    /// Forgets what retention no longer covers at `now`, nanoseconds since 1970; returns how many rows that were.
    fn prune(&self, now: i64) -> BoxFuture<'_, Result<usize, DatabaseError>>;

    /// Starts what it does by itself, until `shutdown`.
    fn start(&self, _client: &Client, _shutdown: &Shutdown) {}
}
